// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/run_choice.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "engine/base/error.h"

namespace expertscope {

RunEntry chosenRun(const SessionReader& reader, int asked, const std::function<bool(const RunEntry&)>& suits,
                   std::string_view lacking) {
    if (asked != 0) return reader.run(RunId(asked));
    const std::vector<RunEntry> runs = reader.runs();
    const auto last = std::ranges::find_if(runs.rbegin(), runs.rend(), suits);
    if (last == runs.rend()) throw BadInputError(fmt::format("{} holds no {}", reader.file().string(), lacking));
    return *last;
}

std::pair<std::string, int> sessionAndRun(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    int run = 0;
    if (colon != std::string::npos) {
        const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), run);
        if (error == std::errc() && end == text.data() + text.size()) return {text.substr(0, colon), run};
    }
    return {text, 0};
}

}  // namespace expertscope
