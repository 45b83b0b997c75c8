// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/prompts.h"

#include <charconv>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/format.h>

#include "app/cli/engine_arguments.h"
#include "app/cli/output.h"
#include "engine/base/error.h"

namespace expertscope {
namespace {

bool isPromptObject(const std::string& line) {
    const Json value = Json::parse(line, nullptr, false);
    return value.is_object() && value.contains("prompt");
}

Prompt promptOfObject(const std::string& line, const std::filesystem::path& file, int number) {
    const Json value = Json::parse(line, nullptr, false);
    if (!value.is_object() || !value.contains("prompt") || !value["prompt"].is_string() ||
        (value.contains("label") && !value["label"].is_string())) {
        throw BadInputError(fmt::format(
            "Line {1} of {0} is no JSON object with a text \"prompt\" and an optional text \"label\": correct it.",
            file.string(), number));
    }
    return {value.value("label", std::string()), value["prompt"].get<std::string>(), {}};
}

}  // namespace

std::vector<Prompt> readPromptFile(const std::filesystem::path& file) {
    std::istringstream text(readTextFile(file));
    std::vector<Prompt> prompts;
    bool jsonLines = false;
    int number = 0;
    for (std::string line; std::getline(text, line);) {
        ++number;
        if (line.ends_with('\r')) line.pop_back();
        if (line.find_first_not_of(" \t") == std::string::npos) continue;
        if (prompts.empty()) jsonLines = isPromptObject(line);
        prompts.push_back(jsonLines ? promptOfObject(line, file, number) : Prompt{{}, line, {}});
    }
    if (prompts.empty())
        throw BadInputError(fmt::format("The file {} holds no prompt: write one a line.", file.string()));
    return prompts;
}

std::vector<std::int32_t> parsePromptIds(const std::string& text) {
    std::vector<std::int32_t> ids;
    for (const std::string& item : splitList(text, "--prompt-ids")) {
        std::int32_t id = 0;
        const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), id);
        if (error != std::errc() || end != item.data() + item.size()) {
            throw UsageError(fmt::format("'{}' is no token id: --prompt-ids takes numbers separated by commas.", item));
        }
        ids.push_back(id);
    }
    return ids;
}

std::vector<std::int32_t> encodePrompt(const Tokenizer& tokenizer, std::string_view text) {
    std::vector<std::int32_t> ids = tokenizer.encode(text);
    if (tokenizer.addBos() && tokenizer.bosId() >= 0) ids.insert(ids.begin(), tokenizer.bosId());
    return ids;
}

std::string readTextFile(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream || std::filesystem::is_directory(file)) {
        throw BadInputError(fmt::format("The file {} cannot be read: check its name and permissions.", file.string()));
    }
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

}  // namespace expertscope
