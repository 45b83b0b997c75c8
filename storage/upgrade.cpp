// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/upgrade.h"

#include <iterator>

#include <fmt/format.h>

#include "storage/schema.h"

namespace expertscope {
namespace {

/// What makes of a file of version i + 1 one of version i + 2, in SQL.
constexpr const char* kSteps[] = {
    // 1 to 2: selections say what became of them, in chunks of an encoding of their own.
    "",
    // 2 to 3: chunks are blocks of bits, and are found by time and token in an index alone.
    "DROP INDEX IF EXISTS chunk_run_kind;"
    "CREATE INDEX IF NOT EXISTS chunk_range ON chunk(run_id, kind, start_ns, end_ns, first_token, last_token);"};
static_assert(std::size(kSteps) + 1 == kFormatVersion);

}  // namespace

void upgradeFormat(Database& database) {
    const std::int64_t version = database.queryInteger("PRAGMA user_version");
    for (std::int64_t from = version; from < kFormatVersion; ++from)
        database.execute(kSteps[from - 1]);
    database.execute(fmt::format("PRAGMA user_version={}", kFormatVersion).c_str());
}

}  // namespace expertscope
