// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/analysis_results.h"

#include "storage/added_table.h"
#include "storage/session_errors.h"
#include "storage/session_open.h"
#include "storage/sqlite_db.h"

namespace expertscope {
namespace {

constexpr const char* kAnalysisSql = R"sql(
CREATE TABLE IF NOT EXISTS analysis(
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    made_utc TEXT NOT NULL,
    counted TEXT NOT NULL,
    columns TEXT NOT NULL,
    rows TEXT NOT NULL,
    PRIMARY KEY(subject, name)
) STRICT;
)sql";

}  // namespace

void keepAnalysis(const std::filesystem::path& session, const AnalysisKey& key, const StoredAnalysis& result) {
    writeAddedTable(session, kAnalysisSql, [&](Database& database) {
        Statement row(
            database.handle(),
            "INSERT OR REPLACE INTO analysis VALUES(?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?, ?, ?)");
        row.bindText(1, key.subject);
        row.bindText(2, key.name);
        row.bind(3, key.version);
        row.bindText(4, result.counted);
        row.bindText(5, result.columns);
        row.bindText(6, result.rows);
        row.run();
    });
}

std::optional<StoredAnalysis> keptAnalysis(const std::filesystem::path& session, const AnalysisKey& key) {
    try {
        Database database = openForReading(session);
        Statement known(database.handle(), "SELECT 1 FROM sqlite_master WHERE name='analysis'");
        if (!known.step()) return std::nullopt;
        Statement row(database.handle(),
                      "SELECT counted, columns, rows FROM analysis WHERE subject=? AND name=? AND version=?");
        row.bindText(1, key.subject);
        row.bindText(2, key.name);
        row.bind(3, key.version);
        if (!row.step()) return std::nullopt;
        return StoredAnalysis{std::string(row.text(0)), std::string(row.text(1)), std::string(row.text(2))};
    } catch (const SqliteError& error) { throwReadError(error, session); }
}

}  // namespace expertscope
