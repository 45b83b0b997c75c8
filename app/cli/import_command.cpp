// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/import_command.h"

#include <iostream>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/output.h"
#include "app/cli/run_json.h"
#include "engine/base/error.h"
#include "profiler/interchange/import_registry.h"

namespace expertscope {
namespace {

struct ImportArguments {
    std::string in, out, format = "auto", expertBytes;
    ImportOptions options;
    bool json = false;
};

Json importJson(const ImportArguments& arguments, const ImportFormat& format, const ImportedRun& imported) {
    return {{"session", arguments.out},
            {"format", format.name},
            {"runs",
             {{{"run_id", imported.run.value()},
               {"model", modelJson(imported.model)},
               {"rows", imported.rows},
               {"selections", imported.summary.selections},
               {"spans", imported.summary.spans},
               {"steps", imported.steps},
               {"prompt_tokens", imported.summary.promptTokens},
               {"generated_tokens", imported.summary.generatedTokens},
               {"accesses", imported.summary.accesses},
               {"dropped_choices", imported.dropped},
               {"excluded_rows", imported.excludedRows},
               {"excluded_tokens", imported.excludedTokens},
               {"notes", imported.notes}}}}};
}

void printImported(const ImportArguments& arguments, const ImportFormat& format, const ImportedRun& imported) {
    const RunSummary& summary = imported.summary;
    std::cout << fmt::format("{}: run {} from {}", arguments.out, imported.run.value(), format.name);
    if (summary.selections > 0)
        std::cout << fmt::format(", {} of {} prompt and {} decoded tokens, {} selections, {} accesses",
                                 imported.model.name, summary.promptTokens, summary.generatedTokens, summary.selections,
                                 summary.accesses);
    if (summary.spans > 0) std::cout << fmt::format(", {} spans", summary.spans);
    std::cout << '\n';
    if (imported.excludedRows > 0) std::cout << fmt::format("{} (--keep-warmup keeps them).\n", excludedText(imported));
    for (const std::string& note : imported.notes)
        std::cout << note << '\n';
}

int import(const ImportArguments& arguments) {
    const ImportFormat& format = importFormat(arguments.format, arguments.in);
    ImportOptions options = arguments.options;
    options.expertBytes = expertBytesOf(arguments.expertBytes, "--expert-bytes");
    const ImportedRun imported = importFile(format, arguments.in, arguments.out, options);
    if (arguments.json)
        printJson(importJson(arguments, format, imported));
    else
        printImported(arguments, format, imported);
    return 0;
}

std::string importFormatsHelp() {
    std::string text = "auto, or";
    for (const ImportFormat& format : importFormats())
        text += fmt::format("{} {} ({})", text.ends_with("or") ? "" : ",", format.name, format.what);
    return text;
}

}  // namespace

void addImportCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("import", "What other tools recorded, as a run of a session");
    const auto arguments = std::make_shared<ImportArguments>();
    command->add_option("IN", arguments->in, "The file of the other tool, gzip too")->required();
    command->add_option("--out", arguments->out, "The session; appends where it exists")
        ->required()
        ->type_name("S.esdb");
    command->add_option("--format", arguments->format, importFormatsHelp())->capture_default_str();
    command->add_flag("--keep-warmup", arguments->options.keepWarmUp,
                      "Also the tokens that look like an engine's warm-up: long runs with the same routing");
    ImportOptions& options = arguments->options;
    command->add_option("--model-name", options.modelName, "Where the file does not name the model");
    command->add_option("--layers", options.layers, "Layers of the model, where the file does not say them")
        ->check(CLI::Range(1, 4096));
    command->add_option("--experts", options.experts, "Experts of a layer, where the file does not say them")
        ->check(CLI::Range(1, 65'536));
    command->add_option("--top-k", options.topK, "Experts of a token, where the file does not say them")
        ->check(CLI::Range(1, 65'536));
    command->add_option("--expert-bytes", arguments->expertBytes, "Size of one expert, where the file does not say it")
        ->type_name("SIZE");
    command->add_flag("--json", arguments->json, "What was imported, as one JSON object");
    command->callback([arguments, &action] { action = [arguments] { return import(*arguments); }; });
}

}  // namespace expertscope
