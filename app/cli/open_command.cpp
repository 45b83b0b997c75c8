// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/open_command.h"

#include <QApplication>
#include <QStringList>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "app/cli/qt_messages.h"
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

int openDesktop(const std::vector<std::string>& sessions) {
    needDisplay();
    // Qt keeps references to both for as long as the application lives.
    static int argc = 1;
    static char name[] = "expertscope";
    static char* argv[] = {name, nullptr};
    std::optional<QuietQtMessages> quiet(std::in_place);
    QApplication application(argc, argv);
    quiet.reset();
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
