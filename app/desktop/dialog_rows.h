// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <functional>
#include <initializer_list>

class QDialog;
class QLineEdit;
class QPushButton;
class QWidget;

namespace expertscope {

/// Widgets side by side without margins; that of number `stretched` takes what room is left (-1: none does).
QWidget* inARow(std::initializer_list<QWidget*> widgets, int stretched);

/// A line for a session's file and a button that asks for one, with that title. An existing one may be chosen.
QWidget* sessionRow(QLineEdit& line, const QString& title);

/// The row below a dialog: `copy` at the left, Cancel, which closes it, and `accept`, which Enter presses and which
/// calls `take`.
QWidget* dialogButtons(QDialog& dialog, QPushButton& copy, QPushButton& accept, std::function<void()> take);

}  // namespace expertscope
