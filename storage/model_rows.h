// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

#include "engine/base/run_facts.h"
#include "storage/sqlite_db.h"

namespace expertscope {

/// The facts of one model of the file. Throws SqliteError (SQLITE_CORRUPT) where there is no such row.
ModelFacts readModel(Database& database, std::int64_t modelId);
/// The id of the row with these very facts, added where there is none.
std::int64_t findOrAddModel(Database& database, const ModelFacts& model);

}  // namespace expertscope
