// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

#include "engine/base/run_facts.h"
#include "storage/sqlite_db.h"

namespace expertscope {

/// The costs by which a run's policy decided; unknown ones where it asked for none, or the session is older than they
/// are.
OffloadCosts readCosts(Database& database, std::int64_t run);
/// Keeps them, where they are known.
void addCosts(Database& database, std::int64_t run, const OffloadCosts& costs);

}  // namespace expertscope
