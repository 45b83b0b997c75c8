// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/expert_counts.h"

#include "storage/added_table.h"
#include "storage/session_errors.h"
#include "storage/sqlite_db.h"

namespace expertscope {
namespace {

constexpr const char* kExpertCountSql = R"sql(
CREATE TABLE IF NOT EXISTS expert_count(
    run_id INTEGER NOT NULL REFERENCES run,
    step INTEGER NOT NULL,
    layer INTEGER NOT NULL,
    expert INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY(run_id, step, layer, expert)
) STRICT, WITHOUT ROWID;
)sql";

}  // namespace

void writeExpertCounts(const std::filesystem::path& session, RunId run, std::span<const ExpertCount> counts) {
    writeAddedTable(session, kExpertCountSql, [&](Database& database) {
        Statement row(database.handle(), "INSERT INTO expert_count VALUES(?, ?, ?, ?, ?)");
        for (const ExpertCount& count : counts) {
            row.bind(1, run.value());
            row.bind(2, std::int64_t{count.step.value()});
            row.bind(3, std::int64_t{count.layer.value()});
            row.bind(4, std::int64_t{count.expert.value()});
            row.bind(5, count.count);
            row.run();
        }
    });
}

namespace {

std::vector<ExpertCount> readRows(const std::filesystem::path& session, RunId run, const char* sql) {
    std::vector<ExpertCount> counts;
    try {
        Database database(session, OpenMode::Existing);
        checkFormat(database, session);
        Statement known(database.handle(), "SELECT 1 FROM sqlite_master WHERE name='expert_count'");
        if (!known.step()) return counts;
        Statement row(database.handle(), sql);
        row.bind(1, run.value());
        while (row.step())
            counts.push_back({StepIndex(static_cast<std::int32_t>(row.integer(0))),
                              LayerIndex(static_cast<std::int32_t>(row.integer(1))),
                              ExpertId(static_cast<std::int32_t>(row.integer(2))), row.integer(3)});
    } catch (const SqliteError& error) { throwReadError(error, session); }
    return counts;
}

}  // namespace

std::vector<ExpertCount> readExpertCounts(const std::filesystem::path& session, RunId run) {
    return readRows(session, run,
                    "SELECT step, layer, expert, count FROM expert_count WHERE run_id=? ORDER BY step, layer, expert");
}

std::vector<ExpertCount> readExpertSums(const std::filesystem::path& session, RunId run) {
    return readRows(session, run,
                    "SELECT -1, layer, expert, sum(count) FROM expert_count WHERE run_id=? GROUP BY layer, expert");
}

}  // namespace expertscope
