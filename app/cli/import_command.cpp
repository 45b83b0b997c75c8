// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/import_command.h"

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/output.h"
#include "app/cli/run_json.h"
#include "engine/base/error.h"
#include "profiler/interchange/route_trace_import.h"

namespace expertscope {
namespace {

struct ImportArguments {
    std::string in, out, format = "auto";
    bool json = false;
};

void checkFormat(const ImportArguments& arguments) {
    if (arguments.format != "auto" && arguments.format != "route-trace")
        throw UsageError(fmt::format("There is no import format '{}': use auto or route-trace.", arguments.format));
    if (!std::filesystem::exists(arguments.in))
        throw BadInputError(fmt::format("There is no file {}: check its name.", arguments.in));
    if (arguments.format == "auto" && !isRouteTrace(arguments.in))
        throw BadInputError(
            fmt::format("{} has no format that can be imported: this build knows route-trace.", arguments.in));
}

int import(const ImportArguments& arguments) {
    checkFormat(arguments);
    const ImportedRun imported = importRouteTrace(arguments.in, arguments.out);
    if (arguments.json) {
        printJson({{"session", arguments.out},
                   {"format", "route-trace"},
                   {"runs",
                    {{{"run_id", imported.run.value()},
                      {"model", modelJson(imported.model)},
                      {"selections", imported.rows},
                      {"steps", imported.steps},
                      {"prompt_tokens", imported.summary.promptTokens},
                      {"generated_tokens", imported.summary.generatedTokens},
                      {"accesses", imported.summary.accesses},
                      {"dropped_choices", imported.dropped}}}}});
        return 0;
    }
    std::cout << fmt::format("{}: run {}, {} of {} prompt and {} decoded tokens, {} selections, {} accesses\n",
                             arguments.out, imported.run.value(), imported.model.name, imported.summary.promptTokens,
                             imported.summary.generatedTokens, imported.rows, imported.summary.accesses);
    return 0;
}

}  // namespace

void addImportCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("import", "What other tools recorded, as a run of a session");
    const auto arguments = std::make_shared<ImportArguments>();
    command->add_option("IN", arguments->in, "A route-trace CSV")->required();
    command->add_option("--out", arguments->out, "The session; appends where it exists")
        ->required()
        ->type_name("S.esdb");
    command->add_option("--format", arguments->format, "auto or route-trace")->capture_default_str();
    command->add_flag("--json", arguments->json, "What was imported, as one JSON object");
    command->callback([arguments, &action] { action = [arguments] { return import(*arguments); }; });
}

}  // namespace expertscope
