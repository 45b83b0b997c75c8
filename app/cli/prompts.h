// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/tokenizer.h"

namespace expertscope {

/// One request as the user wrote it: a text, or the ids themselves.
struct Prompt {
    std::string label;  ///< of the prompt file; may be empty
    std::string text;   ///< empty when ids were given
    std::vector<std::int32_t> ids;
};

/// Reads a prompt file: JSON Lines with `prompt` and an optional `label` where the first line is such an object, else
/// text with one prompt a line; blank lines are skipped. Throws BadInputError naming file and line.
std::vector<Prompt> readPromptFile(const std::filesystem::path& file);

/// "84,104,…". Throws UsageError for what is no list of numbers.
std::vector<std::int32_t> parsePromptIds(const std::string& text);

/// The token ids of a prompt's text, with BOS where the tokenizer's configuration asks for it.
std::vector<std::int32_t> encodePrompt(const Tokenizer& tokenizer, std::string_view text);

/// A whole file. Throws BadInputError when it cannot be read.
std::string readTextFile(const std::filesystem::path& file);

}  // namespace expertscope
