// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

namespace expertscope {

/// "ESDB": SQLite's application_id of a session file.
inline constexpr std::int64_t kApplicationId = 0x45534442;
/// SQLite's user_version of a session file: raised whenever an older program could not read what a newer one writes.
inline constexpr std::int64_t kFormatVersion = 3;

/// The statements that make the tables of an empty session file. docs/FORMAT.md explains every column.
extern const char* const kSchemaSql;
/// The table that a session gets with the first model whose layers have experts of different sizes.
extern const char* const kLayerExpertBytesSql;
/// The table that a session gets with the first run whose policy decides by costs.
extern const char* const kRunCostSql;
/// The table that a session gets with its first named range.
extern const char* const kRangeNameSql;
/// The tables that a session gets with the end of its first run.
extern const char* const kSummarySql;

}  // namespace expertscope
