// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/open_command.h"

#include <QApplication>
#include <QStringList>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "app/desktop/desktop.h"
#include "engine/base/error.h"

namespace expertscope {
namespace {

bool isSet(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0';
}

/// Without a display Qt ends the process with a message for programmers; this comes before it.
void needDisplay() {
    if (isSet("DISPLAY") || isSet("WAYLAND_DISPLAY") || isSet("QT_QPA_PLATFORM")) return;
    throw FailedError(
        "There is no display to open a window on: use 'expertscope run' and 'expertscope render' in the terminal, or "
        "'tools/start', which does both.");
}

/// Qt has no error for a display that does not answer: it tells this handler and aborts.
void tellDeadDisplay(QtMsgType type, const QMessageLogContext&, const QString&) {
    if (type != QtFatalMsg) return;
    std::fputs(
        "expertscope: The display cannot be opened: check DISPLAY or WAYLAND_DISPLAY, or use 'expertscope run' and "
        "'expertscope render' in the terminal.\n",
        stderr);
    std::_Exit(static_cast<int>(ErrorKind::Failed));
}

int openDesktop(const std::vector<std::string>& sessions) {
    needDisplay();
    // Qt keeps references to both for as long as the application lives.
    static int argc = 1;
    static char name[] = "expertscope";
    static char* argv[] = {name, nullptr};
    const QtMessageHandler usual = qInstallMessageHandler(tellDeadDisplay);
    QApplication application(argc, argv);
    qInstallMessageHandler(usual);
    QStringList files;
    for (const std::string& session : sessions)
        files << QString::fromStdString(session);
    return runDesktop(application, files);
}

}  // namespace

void addOpenCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("open", "The desktop program (also without any command)");
    const auto sessions = std::make_shared<std::vector<std::string>>();
    command->add_option("SESSION", *sessions, "Sessions to open");
    command->callback([sessions, &action] { action = [sessions] { return openDesktop(*sessions); }; });
}

CommandAction openWithoutSessions() {
    return [] { return openDesktop({}); };
}

}  // namespace expertscope
