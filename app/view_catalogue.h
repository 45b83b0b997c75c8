// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <functional>
#include <vector>

class QWidget;

namespace expertscope {

class SelectionModel;
class SessionModel;
class View;

/// A kind of view: how it is called and how one is made.
struct ViewEntry {
    QString name;   ///< stable, as `expertscope render --view` takes it
    QString title;  ///< as the window shows it
    std::function<View*(SessionModel&, SelectionModel&, QWidget* parent)> make;
};

/// Every view, in the window's order.
const std::vector<ViewEntry>& viewCatalogue();

}  // namespace expertscope
