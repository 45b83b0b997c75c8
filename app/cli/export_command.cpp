// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/export_command.h"

#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/output.h"
#include "engine/base/error.h"
#include "profiler/interchange/csv_export.h"

namespace expertscope {
namespace {

struct ExportArguments {
    std::string session, format, out;
    int run = 0;  ///< 0: all
    bool json = false;
};

int exportSession(const ExportArguments& arguments) {
    if (arguments.format != "csv") {
        throw UsageError(fmt::format("There is no export format '{}': use csv.", arguments.format));
    }
    std::optional<RunId> run;
    if (arguments.run != 0) run = RunId(arguments.run);
    Json files = Json::array();
    for (const std::filesystem::path& file : exportCsv(arguments.session, run, arguments.out)) {
        files.push_back(file.string());
        if (!arguments.json) std::cout << file.string() << '\n';
    }
    if (arguments.json) printJson({{"files", std::move(files)}});
    return 0;
}

}  // namespace

void addExportCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("export", "A session in the format of another tool");
    const auto arguments = std::make_shared<ExportArguments>();
    command->add_option("SESSION", arguments->session, "A session file")->required();
    command->add_option("--format", arguments->format, "csv")->required()->type_name("F");
    command->add_option("--out", arguments->out, "A .csv file for the selections, or a folder for one file a table")
        ->required()
        ->type_name("OUT");
    command->add_option("--run", arguments->run, "Only this run [all]");
    command->add_flag("--json", arguments->json, "The files written, as one JSON object");
    command->callback([arguments, &action] { action = [arguments] { return exportSession(*arguments); }; });
}

}  // namespace expertscope
