// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/perplexity_windows.h"

#include <algorithm>

namespace expertscope {
namespace {

void appendDocument(const Tokenizer& tokenizer, std::string_view document, ScoredText& out) {
    for (const std::int32_t id : tokenizer.encode(document)) {
        out.ids.push_back(id);
        out.bytes.push_back(static_cast<std::int32_t>(tokenizer.bytes(id).size()));
    }
}

}  // namespace

ScoredText encodeDocuments(const Tokenizer& tokenizer, std::string_view text) {
    ScoredText out;
    const bool several = text.find('\0') != std::string_view::npos;
    for (std::size_t from = 0; from <= text.size();) {
        const std::size_t end = std::min(text.find('\0', from), text.size());
        if (several && tokenizer.eosId() >= 0) {
            out.ids.push_back(tokenizer.eosId());
            out.bytes.push_back(0);
        }
        appendDocument(tokenizer, text.substr(from, end - from), out);
        from = end + 1;
    }
    return out;
}

std::vector<ScoreWindow> scoreWindows(std::size_t tokens, std::size_t context, std::size_t limit) {
    std::vector<ScoreWindow> windows;
    if (tokens < 2) return windows;
    const std::size_t predictions = tokens - 1;
    if (predictions < context) return {{0, predictions}};
    for (std::size_t first = 0; first + context <= predictions; first += context) {
        if (limit > 0 && windows.size() == limit) break;
        windows.push_back({first, context});
    }
    return windows;
}

}  // namespace expertscope
