// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/command_line.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/cli/advise_command.h"
#include "app/cli/analyze_command.h"
#include "app/cli/export_command.h"
#include "app/cli/import_command.h"
#include "app/cli/info_command.h"
#include "app/cli/open_command.h"
#include "app/cli/perplexity_command.h"
#include "app/cli/policies_command.h"
#include "app/cli/prepare_command.h"
#include "app/cli/record_command.h"
#include "app/cli/render_command.h"
#include "app/cli/replay_command.h"
#include "app/cli/run_command.h"
#include "app/cli/sql_command.h"
#include "app/cli/tokenize_command.h"
#include "engine/base/error.h"

namespace expertscope {
namespace {

std::vector<std::string> commandNames(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(command->get_name());
    }
    return names;
}

/// CLI11 reports a word that is no command as a stray argument; the user is better served by the list of commands.
void refuseUnknownCommand(const CLI::App& app, const std::vector<std::string>& words) {
    if (words.empty() || words.front().starts_with('-')) return;
    const std::vector<std::string> names = commandNames(app);
    if (std::ranges::find(names, words.front()) != names.end()) return;
    throw UsageError(fmt::format("There is no command '{}': use one of {}.", words.front(), fmt::join(names, ", ")));
}

/// The message of a CLI11 error as part of one sentence: one line, no full stop.
std::string asClause(std::string message) {
    for (char& c : message) {
        if (c == '\n') c = ' ';
    }
    while (!message.empty() && (message.back() == '.' || message.back() == ' '))
        message.pop_back();
    return message;
}

std::string chosenCommand(const CLI::App& app) {
    const auto chosen = app.get_subcommands();
    return chosen.empty() ? "" : " " + chosen.front()->get_name();
}

}  // namespace

int runCommandLine(int argc, char** argv) {
    CLI::App app{"ExpertScope: a profiler for Mixture-of-Experts language models", "expertscope"};
    app.set_version_flag("--version", "expertscope " EXPERTSCOPE_VERSION);
    app.footer(
        "Without a command: the desktop program. Exit codes: 0 done, 1 the job failed, 2 wrong usage, 3 an input file "
        "is\n"
        "missing or unusable, 130 interrupted. 'expertscope COMMAND --help' explains a command.");
    CommandAction action;
    addOpenCommand(app, action);
    addRunCommand(app, action);
    addRecordCommand(app, action);
    addInfoCommand(app, action);
    addPoliciesCommand(app, action);
    addTokenizeCommand(app, action);
    addPerplexityCommand(app, action);
    addPrepareCommand(app, action);
    addReplayCommand(app, action);
    addAdviseCommand(app, action);
    addAnalyzeCommand(app, action);
    addRenderCommand(app, action);
    addSqlCommand(app, action);
    addImportCommand(app, action);
    addExportCommand(app, action);

    refuseUnknownCommand(app, std::vector<std::string>(argv + 1, argv + argc));
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& success) {  // --help, --version
        return app.exit(success);
    } catch (const CLI::ParseError& error) {
        throw UsageError(fmt::format("{}: see 'expertscope{} --help'.", asClause(error.what()), chosenCommand(app)));
    }
    if (!action) action = openWithoutSessions();
    return action();
}

}  // namespace expertscope
