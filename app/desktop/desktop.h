// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>

class QApplication;

namespace expertscope {

/// The desktop program: shows the main window on `sessions` (the first is opened, the others become recent ones; none
/// gives the start page) and runs until it is closed. Gives the exit code.
int runDesktop(QApplication& application, const QStringList& sessions);

}  // namespace expertscope
