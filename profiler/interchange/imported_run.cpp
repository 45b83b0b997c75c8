// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/imported_run.h"

#include <fmt/format.h>

namespace expertscope {

std::string excludedText(const ImportedRun& imported) {
    if (imported.excludedRows == 0) return "";
    return fmt::format("{} rows excluded: {} tokens that look like an engine's warm-up", imported.excludedRows,
                       imported.excludedTokens);
}

}  // namespace expertscope
