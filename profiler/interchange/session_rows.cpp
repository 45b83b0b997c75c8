// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/session_rows.h"

#include <fmt/format.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

constexpr int kChunksAtOnce = 64;

}  // namespace

void eachBatch(const SessionReader& reader, RunId run, const std::function<void(const RecordBatch&)>& take) {
    ReadCursor cursor;
    for (RecordBatch batch = reader.readNew(run, cursor, kChunksAtOnce); !batch.empty();
         batch = reader.readNew(run, cursor, kChunksAtOnce))
        take(batch);
}

std::vector<TokenPlace> tokenPlaces(const SessionReader& reader, RunId run) {
    std::vector<TokenPlace> places;
    eachBatch(reader, run, [&](const RecordBatch& batch) {
        for (const TokenRecord& token : batch.tokens) {
            if (places.size() <= token.token.index()) places.resize(token.token.index() + 1);
            places[token.token.index()] = {token.request.value(), token.position, token.id, token.step.value(),
                                           token.phase};
        }
    });
    return places;
}

void eachSelection(const SessionReader& reader, RunId run, const std::vector<TokenPlace>& places,
                   const std::function<void(const SelectionRecord&, const TokenPlace&)>& take) {
    eachBatch(reader, run, [&](const RecordBatch& batch) {
        for (const SelectionRecord& selection : batch.selections) {
            if (selection.token.value() < 0 || selection.token.index() >= places.size())
                throw BadInputError(fmt::format("{} is damaged: it selects for token {} of run {}, which it lacks.",
                                                reader.file().string(), selection.token.value(), run.value()));
            take(selection, places[selection.token.index()]);
        }
    });
}

RunId chosenRun(const SessionReader& reader, std::optional<RunId> run) {
    if (run) return reader.run(*run).id;
    const std::vector<RunEntry> runs = reader.runs();
    if (runs.empty()) throw BadInputError(fmt::format("{} holds no run: record one.", reader.file().string()));
    if (runs.size() > 1)
        throw UsageError(fmt::format("{} holds {} runs, and this format takes one: name it with --run N.",
                                     reader.file().string(), runs.size()));
    return runs.front().id;
}

}  // namespace expertscope
