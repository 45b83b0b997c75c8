// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "storage/session_reader.h"

namespace expertscope {

/// The run asked for; for 0 the last one that suits. Throws BadInputError where the session has no such run: "FILE
/// holds no <lacking>", which says what to do.
RunEntry chosenRun(const SessionReader& reader, int asked, const std::function<bool(const RunEntry&)>& suits,
                   std::string_view lacking);

/// "SESSION" or "SESSION:RUN" as both; run 0 where none is named.
std::pair<std::string, int> sessionAndRun(const std::string& text);

}  // namespace expertscope
