// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/prepared_tables.h"

#include <algorithm>
#include <array>
#include <cassert>

#include <fmt/format.h>

#include "engine/offload/policy_registry.h"
#include "profiler/analysis/run_trace.h"

namespace expertscope {
namespace {

struct Collection {
    std::string_view table;
    PreparedTable (*count)(const TraceView&, const ModelFacts&);
};
constexpr std::array kCollections{Collection{"popularity", countPopularity},
                                  Collection{"co_activation", countCoActivation}, Collection{"eamc", countActivations}};

const Collection* collectionOf(std::string_view table) {
    const auto* const found = std::ranges::find(kCollections, table, &Collection::table);
    return found == kCollections.end() ? nullptr : found;
}

/// Whether an expert of the model ran for the choice.
bool ran(const SelectionRecord& selection, const ModelFacts& model) {
    return selection.action != SelectionAction::Dropped && selection.expert.value() >= 0 &&
           selection.expert.value() < model.experts && selection.layer.value() >= 0 &&
           selection.layer.value() < model.layers;
}

std::size_t cellOf(const SelectionRecord& selection, const ModelFacts& model) {
    return selection.layer.index() * static_cast<std::size_t>(model.experts) + selection.expert.index();
}

/// An empty table.
PreparedTable zeros(std::vector<std::int64_t> shape) {
    std::size_t size = 1;
    for (const std::int64_t dimension : shape)
        size *= static_cast<std::size_t>(dimension);
    return {std::move(shape), std::vector<float>(size)};
}

}  // namespace

PreparedTable countPopularity(const TraceView& trace, const ModelFacts& model) {
    PreparedTable table = zeros({model.layers, model.experts});
    for (const SelectionRecord& selection : trace.selections)
        if (ran(selection, model)) ++table.values[cellOf(selection, model)];
    return table;
}

PreparedTable countCoActivation(const TraceView& trace, const ModelFacts& model) {
    PreparedTable table = zeros({model.layers, model.experts, model.experts});
    const auto experts = static_cast<std::size_t>(model.experts);
    const auto& all = trace.selections;
    for (std::size_t first = 0; first < all.size();) {
        std::size_t end = first;  // the choices of one token in one layer follow one another
        while (end < all.size() && all[end].token == all[first].token && all[end].layer == all[first].layer)
            ++end;
        for (std::size_t a = first; a < end; ++a)
            for (std::size_t b = first; b < end; ++b)
                if (all[a].expert != all[b].expert && ran(all[a], model) && ran(all[b], model))
                    ++table.values[cellOf(all[a], model) * experts + all[b].expert.index()];
        first = end;
    }
    return table;
}

PreparedTable countActivations(const TraceView& trace, const ModelFacts& model) {
    // Tokens of a run are told in order, so that a token's record stands at its index; a trace without them is one
    // matrix.
    const auto part = [&](TokenIndex token) {
        if (token.index() >= trace.tokens.size()) return std::pair(RequestIndex(0), Phase::Prefill);
        const TokenRecord& record = trace.tokens[token.index()];
        return std::pair(record.request, record.phase);
    };
    PreparedTable table{{0, model.layers, model.experts}, {}};
    const auto cells = static_cast<std::size_t>(model.layers) * static_cast<std::size_t>(model.experts);
    std::pair<RequestIndex, Phase> current{RequestIndex(-1), Phase::Prefill};
    for (const SelectionRecord& selection : trace.selections) {
        if (!ran(selection, model)) continue;
        if (const auto of = part(selection.token); table.shape[0] == 0 || of != current) {
            current = of;
            ++table.shape[0];
            table.values.resize(table.values.size() + cells);
        }
        ++table.values[table.values.size() - cells + cellOf(selection, model)];
    }
    return table;
}

PreparedData calibratedTables(const SessionReader& reader, const RunDescription& run) {
    PreparedData data;
    const auto& known = policyCatalogue();
    const auto info = std::ranges::find(known, run.policy.substr(0, run.policy.find(':')), &PolicyInfo::name);
    if (info == known.end() || info->prepared.empty()) return data;
    for (const RunEntry& entry : reader.runs()) {
        if (entry.description.group != run.group + kCalibrationSuffix) continue;
        data = PreparedData(run.model.fingerprint, run.model.name);
        const RunTrace trace(reader, entry.id);
        for (const std::string& table : info->prepared)
            if (isCollected(table)) collectTable(table, viewOf(trace), entry.description, entry.id, data);
    }
    return data;
}

bool isCollected(std::string_view table) { return collectionOf(table) != nullptr; }

std::vector<std::string> collectedTables() {
    std::vector<std::string> names;
    for (const Collection& collection : kCollections)
        names.emplace_back(collection.table);
    return names;
}

bool collectTable(std::string_view table, const TraceView& trace, const RunDescription& run, RunId id,
                  PreparedData& data) {
    const Collection* const collection = collectionOf(table);
    assert(collection);
    const std::string source = fmt::format("{}: run {} of {} under {}, {} tokens, started {}", table, id.value(),
                                           run.group, run.policy, trace.tokens.size(), run.startedUtc);
    if (data.hasSource(source)) return false;
    PreparedTable counted = collection->count(trace, run.model);
    PreparedData part(run.model.fingerprint, run.model.name);
    if (!counted.values.empty()) part.set(std::string(table), std::move(counted.shape), std::move(counted.values));
    part.addSource(source);
    data.merge(part);
    return true;
}

}  // namespace expertscope
