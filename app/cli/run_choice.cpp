// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/run_choice.h"

#include <algorithm>
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

}  // namespace expertscope
