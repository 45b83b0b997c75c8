// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/deep_arrays.h"

#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "storage/added_table.h"
#include "storage/session_errors.h"
#include "storage/session_open.h"
#include "storage/sqlite_db.h"

namespace expertscope {
namespace {

constexpr const char* kDeepArraySql = R"sql(
CREATE TABLE IF NOT EXISTS deep_array(
    run_id INTEGER NOT NULL REFERENCES run,
    layer INTEGER NOT NULL,
    name TEXT NOT NULL,
    rows INTEGER NOT NULL,
    columns INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY(run_id, layer, name)
) STRICT;
)sql";

/// Little-endian float64, whatever the machine.
std::string packed(const std::vector<double>& values) {
    std::string bytes;
    bytes.reserve(values.size() * 8);
    for (const double value : values) {
        auto bits = std::bit_cast<std::uint64_t>(value);
        for (int i = 0; i < 8; ++i, bits >>= 8)
            bytes.push_back(static_cast<char>(bits & 0xFFU));
    }
    return bytes;
}

std::vector<double> unpacked(std::string_view bytes) {
    std::vector<double> values(bytes.size() / 8);
    for (std::size_t v = 0; v < values.size(); ++v) {
        std::uint64_t bits = 0;
        for (std::size_t i = 8; i-- > 0;)
            bits = bits << 8 | static_cast<unsigned char>(bytes[v * 8 + i]);
        values[v] = std::bit_cast<double>(bits);
    }
    return values;
}

}  // namespace

void keepDeepArrays(const std::filesystem::path& session, RunId run, std::span<const DeepArray> arrays) {
    writeAddedTable(session, kDeepArraySql, [&](Database& database) {
        Statement old(database.handle(), "DELETE FROM deep_array WHERE run_id=?");
        old.bind(1, run.value());
        old.run();
        Statement row(database.handle(), "INSERT INTO deep_array VALUES(?, ?, ?, ?, ?, ?)");
        for (const DeepArray& array : arrays) {
            row.bind(1, run.value());
            row.bind(2, std::int64_t{array.layer.value()});
            row.bindText(3, array.name);
            row.bind(4, array.rows);
            row.bind(5, array.columns);
            const std::string bytes = packed(array.values);
            row.bindBlob(6, bytes);
            row.run();
        }
    });
}

bool holdsDeepArrays(const std::filesystem::path& session, RunId run) {
    try {
        Database database = openForReading(session);
        Statement known(database.handle(), "SELECT 1 FROM sqlite_master WHERE name='deep_array'");
        if (!known.step()) return false;
        Statement row(database.handle(), "SELECT 1 FROM deep_array WHERE run_id=? LIMIT 1");
        row.bind(1, run.value());
        return row.step();
    } catch (const SqliteError& error) { throwReadError(error, session); }
}

std::vector<DeepArray> deepArrays(const std::filesystem::path& session, RunId run) {
    std::vector<DeepArray> arrays;
    try {
        Database database = openForReading(session);
        Statement known(database.handle(), "SELECT 1 FROM sqlite_master WHERE name='deep_array'");
        if (!known.step()) return arrays;
        Statement row(database.handle(),
                      "SELECT layer, name, rows, columns, data FROM deep_array WHERE run_id=? ORDER BY layer, name");
        row.bind(1, run.value());
        while (row.step()) {
            DeepArray array{.layer = LayerIndex(static_cast<std::int32_t>(row.integer(0))),
                            .name = std::string(row.text(1)),
                            .rows = row.integer(2),
                            .columns = row.integer(3),
                            .values = unpacked(row.blob(4))};
            const auto values = static_cast<std::int64_t>(array.values.size());
            const bool fits =
                array.rows >= 0 && array.columns >= 0 &&
                (array.columns == 0 ? values == 0
                                    : values % array.columns == 0 && values / array.columns == array.rows);
            if (!fits || row.blob(4).size() % 8 != 0)
                throwDamaged(session, fmt::format("the array {} of layer {} of run {} is not as long as its shape says",
                                                  array.name, array.layer.value(), run.value()));
            arrays.push_back(std::move(array));
        }
    } catch (const SqliteError& error) { throwReadError(error, session); }
    return arrays;
}

}  // namespace expertscope
