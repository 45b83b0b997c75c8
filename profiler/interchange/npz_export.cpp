// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/npz_export.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <string>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/little_endian.h"
#include "profiler/interchange/npy.h"
#include "profiler/interchange/session_rows.h"
#include "profiler/interchange/zip_file.h"
#include "storage/deep_vectors.h"
#include "storage/session_reader.h"

namespace expertscope {
namespace {

/// A token in a step: one row of the arrays.
struct TokenRow {
    const TokenPlace* place = nullptr;
    std::int32_t step = 0;
    std::vector<SelectionRecord> choices;
};

/// Hands on the rows of a run, those of a step in order of its tokens.
template <class Take>
void eachTokenRow(const SessionReader& reader, RunId run, const std::vector<TokenPlace>& places, const Take& take) {
    std::map<std::int32_t, TokenRow> step;
    const auto flush = [&] {
        for (const auto& [token, row] : step)
            take(row);
        step.clear();
    };
    eachSelection(reader, run, places, [&](const SelectionRecord& s, const TokenPlace& place) {
        if (!step.empty() && step.begin()->second.step != s.step.value()) flush();
        TokenRow& row = step[s.token.value()];
        row.place = &place;
        row.step = s.step.value();
        row.choices.push_back(s);
    });
    flush();
}

/// The arrays' shape, and the small arrays.
struct Rows {
    std::int64_t tokens = 0, layers = 0, k = 0;
    std::string request, position, phase, step, tokenId;
};

Rows measure(const SessionReader& reader, RunId run, const std::vector<TokenPlace>& places) {
    Rows rows;
    rows.layers = reader.run(run).description.model.layers;
    eachTokenRow(reader, run, places, [&](const TokenRow& row) {
        ++rows.tokens;
        for (const SelectionRecord& s : row.choices) {
            rows.k = std::max<std::int64_t>(rows.k, s.slot + 1);
            rows.layers = std::max<std::int64_t>(rows.layers, s.layer.value() + 1);
        }
        const auto put = [](std::string& array, std::int32_t value) {
            appendLittleEndian(array, static_cast<std::uint32_t>(value), 4);
        };
        put(rows.request, row.place->request);
        put(rows.position, row.place->position);
        put(rows.phase, static_cast<std::int32_t>(row.place->phase));
        put(rows.step, row.step);
        put(rows.tokenId, row.place->id);
    });
    return rows;
}

/// Writes one array [tokens, layers, k]; `bitsOf` gives a choice's value, `none` stands where there is no choice.
template <class BitsOf>
void writeArray(ZipWriter& zip, const SessionReader& reader, RunId run, const std::vector<TokenPlace>& places,
                const Rows& rows, const std::string& name, const char* type, std::size_t width, std::uint64_t none,
                const BitsOf& bitsOf) {
    zip.begin(name + ".npy");
    zip.write(npyHeader(type, {rows.tokens, rows.layers, rows.k}));
    std::vector<std::uint64_t> values(static_cast<std::size_t>(rows.layers * rows.k));
    std::string bytes;
    eachTokenRow(reader, run, places, [&](const TokenRow& row) {
        std::ranges::fill(values, none);
        for (const SelectionRecord& s : row.choices)
            values[static_cast<std::size_t>(s.layer.value() * rows.k + s.slot)] = bitsOf(s);
        bytes.clear();
        for (const std::uint64_t value : values)
            appendLittleEndian(bytes, value, width);
        zip.write(bytes);
    });
    zip.end();
}

void writeColumn(ZipWriter& zip, const std::string& name, std::int64_t tokens, const std::string& bytes) {
    zip.begin(name + ".npy");
    zip.write(npyHeader("<i4", {tokens}));
    zip.write(bytes);
    zip.end();
}

/// The raw vectors of a deep capture, where the run has them: arrays named deep/LAYER/KIND.
void writeDeepVectors(ZipWriter& zip, const std::filesystem::path& session, RunId run) {
    const std::int64_t experts = SessionReader(session).run(run).description.model.experts;
    for (const DeepVectors& vectors : deepVectors(session, run)) {
        const bool whole = vectors.name == "tokens";
        std::vector<std::int64_t> shape{vectors.rows};
        if (vectors.name == "outputs" || vectors.name == "activations")
            shape.insert(shape.end(), {experts, vectors.columns / experts});
        else if (!whole)
            shape.push_back(vectors.columns);
        zip.begin(fmt::format("deep/{}/{}.npy", vectors.layer.value(), vectors.name));
        zip.write(npyHeader(whole ? "<i4" : "<f4", shape));
        eachDeepVectorBlock(session, run, vectors.layer, vectors.name,
                            [&](std::string_view bytes) { zip.write(bytes); });
        zip.end();
    }
}

}  // namespace

std::vector<std::filesystem::path> exportNpz(const std::filesystem::path& session, RunId run,
                                             const std::filesystem::path& out) {
    const SessionReader reader(session);
    const std::vector<TokenPlace> places = tokenPlaces(reader, run);
    const Rows rows = measure(reader, run, places);
    if (rows.tokens == 0)
        throw BadInputError(fmt::format("Run {} of {} has no routing to export: name another with --run.", run.value(),
                                        session.string()));
    ZipWriter zip(out);
    const auto minusOne = std::numeric_limits<std::uint64_t>::max();
    writeArray(zip, reader, run, places, rows, "routed_experts", "<i4", 4, minusOne, [](const SelectionRecord& s) {
        return static_cast<std::uint64_t>(static_cast<std::uint32_t>(s.expert.value()));
    });
    const auto nan = std::bit_cast<std::uint32_t>(std::numeric_limits<float>::quiet_NaN());
    writeArray(zip, reader, run, places, rows, "weights", "<f4", 4, nan,
               [](const SelectionRecord& s) { return std::uint64_t{std::bit_cast<std::uint32_t>(s.weight)}; });
    writeArray(zip, reader, run, places, rows, "outcome", "|i1", 1, minusOne,
               [](const SelectionRecord& s) { return static_cast<std::uint64_t>(s.outcome); });
    writeColumn(zip, "request", rows.tokens, rows.request);
    writeColumn(zip, "position", rows.tokens, rows.position);
    writeColumn(zip, "phase", rows.tokens, rows.phase);
    writeColumn(zip, "step", rows.tokens, rows.step);
    writeColumn(zip, "token_id", rows.tokens, rows.tokenId);
    writeDeepVectors(zip, session, run);
    zip.close();
    return {out};
}

}  // namespace expertscope
