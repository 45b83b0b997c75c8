// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/model/tokenizer.h"

namespace expertscope {

/// A text as a model scores it: token ids, and how many bytes of the text each stands for.
struct ScoredText {
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> bytes;  ///< [ids.size()]; 0 for an end-of-text token that was put between documents
};

/// Tokens of `text` without BOS. A text with NUL bytes holds several documents, which NUL separates: each is preceded
/// by the tokenizer's end-of-text token, where it has one, as in training.
ScoredText encodeDocuments(const Tokenizer& tokenizer, std::string_view text);

/// Tokens first … first + length: the first `length` of them are run and predict those from first + 1.
struct ScoreWindow {
    std::size_t first = 0;
    std::size_t length = 0;
};

/// Windows of `context` predictions that share their boundary token; what is left at the end and fills no window is not
/// scored, but a text shorter than one window makes one of its own. At most `limit` windows (0 = all).
std::vector<ScoreWindow> scoreWindows(std::size_t tokens, std::size_t context, std::size_t limit);

}  // namespace expertscope
