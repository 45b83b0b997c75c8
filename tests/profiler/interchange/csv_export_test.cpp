// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/csv_export.h"

#include <fstream>
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "storage/session_writer.h"
#include "storage/sql.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

using Table = std::vector<std::vector<std::string>>;

/// Reads CSV by RFC 4180, with CRLF line ends.
Table parse(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    Table table;
    std::vector<std::string> row;
    std::string field;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
            field += '"';
            ++i;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && c == ',') {
            row.push_back(std::move(field));
            field.clear();
        } else if (!quoted && c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
            row.push_back(std::move(field));
            field.clear();
            table.push_back(std::move(row));
            row.clear();
            ++i;
        } else {
            field += c;
        }
    }
    EXPECT_TRUE(row.empty() && field.empty() && !quoted) << file << " does not end with a line";
    return table;
}

/// Whether the CSV field says the value exactly: numbers are compared as numbers, so that every bit counts.
bool says(const std::string& field, const SqlValue& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return field == std::to_string(*integer);
    if (const auto* real = std::get_if<double>(&value)) return std::strtod(field.c_str(), nullptr) == *real;
    if (const auto* text = std::get_if<std::string>(&value)) return field == *text;
    if (const auto* blob = std::get_if<SqlBlob>(&value)) {
        std::string bytes;
        for (std::size_t i = 0; i + 1 < field.size(); i += 2) {
            bytes += static_cast<char>(std::stoi(field.substr(i, 2), nullptr, 16));
        }
        return bytes == blob->bytes;
    }
    return field.empty();
}

class CsvExport : public testing::Test {
protected:
    CsvExport() {
        SessionWriter writer(file);
        for (int run = 1; run <= 2; ++run) {
            const RecordBatch batch = sampleRecords(1000, static_cast<std::uint32_t>(run));
            writer.beginRun(sampleDescription(run));
            writer.append(batch.spans);
            writer.append(batch.selections);
            writer.append(batch.predictions);
            writer.append(batch.residency);
            writer.append(batch.transfers);
            writer.append(batch.tokens);
            writer.append(sampleRequest(0));
            writer.append(sampleDiagnostic(0));
            writer.endRun(sampleSummary(run), RunState::Complete);
        }
        writer.close();
    }

    void expectSameAsSql(const std::filesystem::path& csv, const std::string& query) {
        const Table table = parse(csv);
        const SqlResult result = runSql(file, query);
        ASSERT_EQ(table.size(), result.rows.size() + 1) << csv;
        EXPECT_GT(table.size(), 1u) << csv;
        EXPECT_EQ(table[0], result.columns) << csv;
        for (std::size_t i = 0; i < result.rows.size(); ++i) {
            ASSERT_EQ(table[i + 1].size(), result.columns.size()) << csv;
            for (std::size_t j = 0; j < result.columns.size(); ++j) {
                ASSERT_TRUE(says(table[i + 1][j], result.rows[i][j]))
                    << csv << " row " << i << " " << result.columns[j];
            }
        }
    }

    TemporaryFolder folder;
    std::filesystem::path file = folder / "s.esdb";
};

TEST_F(CsvExport, WritesEveryTableOfTheSessionIntoAFolder) {
    EXPECT_EQ(exportCsv(file, std::nullopt, folder / "new/out").size(), 10u);
    for (const std::string table : {"run", "request", "token", "selection", "span", "transfer", "residency", "norm",
                                    "prediction", "diagnostic"}) {
        expectSameAsSql(folder / "new/out" / (table + ".csv"), "SELECT * FROM " + table);
    }
}

TEST_F(CsvExport, WritesOneRun) {
    exportCsv(file, RunId(2), folder / "out");
    expectSameAsSql(folder / "out/span.csv", "SELECT * FROM span WHERE run_id=2");
    expectSameAsSql(folder / "out/run.csv", "SELECT * FROM run WHERE run_id=2");
}

TEST_F(CsvExport, WritesTheSelectionsAloneIntoAFileNamedCsv) {
    EXPECT_THAT(exportCsv(file, RunId(1), folder / "x.csv"), testing::ElementsAre(folder / "x.csv"));
    expectSameAsSql(folder / "x.csv", "SELECT * FROM selection WHERE run_id=1");
}

TEST_F(CsvExport, RefusesWithASentence) {
    EXPECT_THROW(exportCsv(file, RunId(9), folder / "out"), UsageError);
    EXPECT_THROW(exportCsv(folder / "none.esdb", std::nullopt, folder / "out"), BadInputError);
    EXPECT_THROW(exportCsv(file, std::nullopt, file / "out"), FailedError);
    EXPECT_THROW(exportCsv(file, std::nullopt, folder / "no/such/x.csv"), FailedError);
}

TEST_F(CsvExport, SaysThatTheDiskIsFull) {
    if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full here";
    std::filesystem::create_symlink("/dev/full", folder / "full.csv");
    EXPECT_THROW(exportCsv(file, std::nullopt, folder / "full.csv"), FailedError);
}

}  // namespace
}  // namespace expertscope
