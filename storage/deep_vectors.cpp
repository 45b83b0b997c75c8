// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/deep_vectors.h"

#include <algorithm>
#include <bit>
#include <span>

#include <fmt/format.h>

#include "storage/added_table.h"
#include "storage/session_errors.h"
#include "storage/session_open.h"
#include "storage/sqlite_db.h"

namespace expertscope {
namespace {

constexpr const char* kDeepVectorSql = R"sql(
CREATE TABLE IF NOT EXISTS deep_vector(
    run_id INTEGER NOT NULL REFERENCES run,
    layer INTEGER NOT NULL,
    name TEXT NOT NULL,
    first_token INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    columns INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY(run_id, layer, name, first_token)
) STRICT;
)sql";

constexpr std::size_t kValueBytes = 4;

/// Little-endian, whatever the machine.
template <class Value>
std::string packed(std::span<const Value> values) {
    static_assert(sizeof(Value) == kValueBytes);
    std::string bytes(values.size() * kValueBytes, '\0');
    for (std::size_t v = 0; v < values.size(); ++v) {
        const auto bits = std::bit_cast<std::uint32_t>(values[v]);
        for (std::size_t i = 0; i < kValueBytes; ++i)
            bytes[v * kValueBytes + i] = static_cast<char>(bits >> (8 * i) & 0xFFU);
    }
    return bytes;
}

template <class Value>
std::vector<Value> unpacked(std::string_view bytes) {
    static_assert(sizeof(Value) == kValueBytes);
    std::vector<Value> values;
    for (std::size_t at = 0; at + kValueBytes <= bytes.size(); at += kValueBytes) {
        std::uint32_t bits = 0;
        for (std::size_t i = kValueBytes; i-- > 0;)
            bits = bits << 8 | static_cast<unsigned char>(bytes[at + i]);
        values.push_back(std::bit_cast<Value>(bits));
    }
    return values;
}

bool hasTable(Database& database) {
    Statement known(database.handle(), "SELECT 1 FROM sqlite_master WHERE name='deep_vector'");
    return known.step();
}

}  // namespace

void keepDeepVectors(const std::filesystem::path& session, RunId run, const DeepRawBlock& block) {
    writeAddedTable(session, kDeepVectorSql, [&](Database& database) {
        Statement row(database.handle(), "INSERT INTO deep_vector VALUES(?, ?, ?, ?, ?, ?, ?)");
        const auto keep = [&](const char* name, auto values) {
            row.bind(1, run.value());
            row.bind(2, std::int64_t{block.layer.value()});
            row.bindText(3, name);
            row.bind(4, std::int64_t{block.made.index.front()});
            row.bind(5, std::int64_t{block.made.tokens});
            row.bind(6, static_cast<std::int64_t>(values.size()) / block.made.tokens);
            const std::string bytes = packed(values);
            row.bindBlob(7, bytes);
            row.run();
        };
        keep("tokens", block.made.index);
        keep("inputs", block.inputs);
        keep("after", block.after);
        keep("logits", block.made.logits);
        keep("weights", block.made.weights);
        keep("outputs", block.made.outputs);
        keep("activations", block.activations);
    });
}

std::vector<DeepVectors> deepVectors(const std::filesystem::path& session, RunId run) {
    std::vector<DeepVectors> kinds;
    try {
        Database database = openForReading(session);
        if (!hasTable(database)) return kinds;
        Statement row(database.handle(),
                      "SELECT layer, name, sum(rows), min(columns), max(columns), sum(rows * columns * 4), "
                      "sum(length(data)) FROM deep_vector WHERE run_id=? GROUP BY layer, name ORDER BY layer, name");
        row.bind(1, run.value());
        while (row.step()) {
            kinds.push_back({.layer = LayerIndex(static_cast<std::int32_t>(row.integer(0))),
                             .name = std::string(row.text(1)),
                             .rows = row.integer(2),
                             .columns = row.integer(3)});
            if (row.integer(3) != row.integer(4) || row.integer(5) != row.integer(6))
                throwDamaged(session,
                             fmt::format("the vectors {} of layer {} of run {} are not as long as their shape says",
                                         kinds.back().name, kinds.back().layer.value(), run.value()));
        }
    } catch (const SqliteError& error) { throwReadError(error, session); }
    return kinds;
}

void eachDeepVectorBlock(const std::filesystem::path& session, RunId run, LayerIndex layer, const std::string& name,
                         const std::function<void(std::string_view)>& take) {
    try {
        Database database = openForReading(session);
        if (!hasTable(database)) return;
        Statement row(database.handle(),
                      "SELECT data FROM deep_vector WHERE run_id=? AND layer=? AND name=? ORDER BY first_token");
        row.bind(1, run.value());
        row.bind(2, std::int64_t{layer.value()});
        row.bindText(3, name);
        while (row.step())
            take(row.blob(0));
    } catch (const SqliteError& error) { throwReadError(error, session); }
}

std::vector<float> deepVectorValues(const std::filesystem::path& session, RunId run, LayerIndex layer,
                                    const std::string& name) {
    std::vector<float> values;
    eachDeepVectorBlock(session, run, layer, name, [&](std::string_view bytes) {
        const std::vector<float> some = unpacked<float>(bytes);
        values.insert(values.end(), some.begin(), some.end());
    });
    return values;
}

std::vector<std::int32_t> deepVectorTokens(const std::filesystem::path& session, RunId run, LayerIndex layer) {
    std::vector<std::int32_t> tokens;
    eachDeepVectorBlock(session, run, layer, "tokens", [&](std::string_view bytes) {
        const std::vector<std::int32_t> some = unpacked<std::int32_t>(bytes);
        tokens.insert(tokens.end(), some.begin(), some.end());
    });
    return tokens;
}

std::vector<float> deepVectorOf(const std::filesystem::path& session, RunId run, LayerIndex layer, TokenIndex token,
                                const std::string& name) {
    try {
        Database database = openForReading(session);
        if (!hasTable(database)) return {};
        Statement row(database.handle(),
                      "SELECT t.data, v.data, v.columns FROM deep_vector t JOIN deep_vector v "
                      "USING(run_id, layer, first_token) WHERE t.name='tokens' AND v.name=?1 AND run_id=?2 AND "
                      "layer=?3 AND first_token<=?4 ORDER BY first_token DESC LIMIT 1");
        row.bindText(1, name);
        row.bind(2, run.value());
        row.bind(3, std::int64_t{layer.value()});
        row.bind(4, std::int64_t{token.value()});
        if (!row.step()) return {};
        const std::vector<std::int32_t> tokens = unpacked<std::int32_t>(row.blob(0));
        const auto found = std::ranges::find(tokens, token.value());
        if (found == tokens.end()) return {};
        const auto length = static_cast<std::size_t>(row.integer(2)) * kValueBytes;
        const std::size_t first = static_cast<std::size_t>(found - tokens.begin()) * length;
        if (row.blob(1).size() < first + length)
            throwDamaged(session,
                         fmt::format("the vectors {} of layer {} of run {} are not as long as their shape says", name,
                                     layer.value(), run.value()));
        return unpacked<float>(row.blob(1).substr(first, length));
    } catch (const SqliteError& error) { throwReadError(error, session); }
}

}  // namespace expertscope
