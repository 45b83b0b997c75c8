// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/export_command.h"

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/output.h"
#include "engine/base/error.h"
#include "profiler/interchange/export_registry.h"

namespace expertscope {
namespace {

struct ExportArguments {
    std::string session, format, out, budget;
    int run = 0;  ///< 0: all
    bool json = false;
};

int runExport(const ExportArguments& arguments) {
    const ExportFormat& format = exportFormat(arguments.format);
    ExportOptions options;
    if (arguments.run != 0) options.run = RunId(arguments.run);
    if (!arguments.budget.empty()) options.budget = parseSize(arguments.budget, "--budget");
    Json files = Json::array();
    for (const std::filesystem::path& file : exportSession(format, arguments.session, options, arguments.out)) {
        files.push_back(file.string());
        if (!arguments.json) std::cout << file.string() << '\n';
    }
    if (arguments.json) printJson({{"files", std::move(files)}});
    return 0;
}

std::string exportFormatsHelp() {
    std::string text;
    for (const ExportFormat& format : exportFormats())
        text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", format.name, format.what);
    return text;
}

}  // namespace

void addExportCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("export", "A session in the format of another tool");
    const auto arguments = std::make_shared<ExportArguments>();
    command->add_option("SESSION", arguments->session, "A session file")->required();
    command->add_option("--format", arguments->format, exportFormatsHelp())->required()->type_name("F");
    command->add_option("--out", arguments->out, "The file; text ending in .gz is packed; for csv also a folder")
        ->required()
        ->type_name("OUT");
    command->add_option("--run", arguments->run, "Only this run [all; the only one where the format takes one]");
    command
        ->add_option("--budget", arguments->budget,
                     "Expert bytes that the GPU holds, for kt-mask and llama-ot [the run's budget]")
        ->type_name("SIZE");
    command->add_flag("--json", arguments->json, "The files written, as one JSON object");
    command->callback([arguments, &action] { action = [arguments] { return runExport(*arguments); }; });
}

}  // namespace expertscope
