// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/tokenize_command.h"

#include <iostream>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/output.h"
#include "app/cli/prompts.h"
#include "app/resource_paths.h"
#include "engine/base/error.h"
#include "engine/model/tokenizer.h"

namespace expertscope {
namespace {

struct TokenizeArguments {
    std::string model, text, file;
    bool textGiven = false;
    bool json = false;
};

int tokenize(const TokenizeArguments& arguments) {
    if (arguments.textGiven == !arguments.file.empty()) {
        throw UsageError("'tokenize' needs exactly one of --text and --file.");
    }
    const std::filesystem::path folder = resolveModel(arguments.model);
    const std::string text = arguments.textGiven ? arguments.text : readTextFile(arguments.file);
    const Tokenizer tokenizer = Tokenizer::load(folder);
    const std::vector<std::int32_t> ids = tokenizer.encode(text);
    if (arguments.json) {
        Json pieces = Json::array();
        for (const std::int32_t id : ids)
            pieces.push_back(std::string(tokenizer.bytes(id)));
        printJson({{"ids", ids}, {"pieces", std::move(pieces)}});
        return 0;
    }
    for (const std::int32_t id : ids)
        std::cout << fmt::format("{:>7}  {}\n", id, printable(tokenizer.bytes(id)));
    return 0;
}

}  // namespace

void addTokenizeCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("tokenize", "Token ids and pieces of a text (no BOS added)");
    const auto arguments = std::make_shared<TokenizeArguments>();
    command->add_option("--model", arguments->model, "A folder with tokenizer files, or 'demo'")
        ->required()
        ->type_name("MODEL");
    command
        ->add_option_function<std::string>(
            "--text",
            [a = arguments.get()](const std::string& text) {
                a->text = text;
                a->textGiven = true;
            },
            "The text")
        ->type_name("TEXT");
    command->add_option("--file", arguments->file, "A file with the text")->type_name("FILE");
    command->add_flag("--json", arguments->json, "As one JSON object");
    command->callback([arguments, &action] { action = [arguments] { return tokenize(*arguments); }; });
}

}  // namespace expertscope
