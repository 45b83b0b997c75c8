// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <string_view>

#include "storage/session_reader.h"

namespace expertscope {

/// The run asked for; for 0 the last one that suits. Throws BadInputError where the session has no such run: "FILE
/// holds no <lacking>", which says what to do.
RunEntry chosenRun(const SessionReader& reader, int asked, const std::function<bool(const RunEntry&)>& suits,
                   std::string_view lacking);

}  // namespace expertscope
