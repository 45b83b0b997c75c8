// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/qt_messages.h"

#include <QString>
#include <QtGlobal>
#include <cstdio>
#include <cstdlib>

#include "engine/base/error.h"

namespace expertscope {
namespace {

/// Qt has no error for a display that does not answer: it tells its message handler and aborts.
void handleQtMessage(QtMsgType type, const QMessageLogContext&, const QString& message) {
    if (type == QtCriticalMsg) std::fprintf(stderr, "%s\n", qPrintable(message));
    if (type != QtFatalMsg) return;
    std::fputs(
        "expertscope: The display cannot be opened: check DISPLAY or WAYLAND_DISPLAY, or use 'expertscope run' and "
        "'expertscope render' in the terminal.\n",
        stderr);
    std::_Exit(static_cast<int>(ErrorKind::Failed));
}

}  // namespace

QuietQtMessages::QuietQtMessages() { qInstallMessageHandler(handleQtMessage); }

QuietQtMessages::~QuietQtMessages() { qInstallMessageHandler(nullptr); }

}  // namespace expertscope
