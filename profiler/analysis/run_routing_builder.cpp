// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/analysis/run_routing.h"
#include "profiler/analysis/run_trace.h"

namespace expertscope {
namespace {

/// A token index beyond this is damage, not a run: tables by token stay of a sane size.
constexpr std::int32_t kMostTokens = 1 << 27;
constexpr int kChunksAtOnce = 16;

/// Rows in order of tokens; a token that came in parts becomes one row of the slots that it first had.
void sortRows(LayerChoices& layer, std::int64_t& repeated) {
    if (std::ranges::is_sorted(layer.tokens, std::ranges::less_equal{})) return;
    std::vector<std::size_t> order(layer.rows());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t row) { return layer.tokens[row]; });
    LayerChoices sorted;
    sorted.width = layer.width;
    for (const std::size_t row : order) {
        if (sorted.tokens.empty() || sorted.tokens.back() != layer.tokens[row]) {
            sorted.append(layer, row);
            continue;
        }
        const std::size_t to = (sorted.rows() - 1) * static_cast<std::size_t>(layer.width);
        const std::size_t from = row * static_cast<std::size_t>(layer.width);
        for (std::size_t slot = 0; slot < static_cast<std::size_t>(layer.width); ++slot) {
            const std::int32_t expert = layer.experts[from + slot];
            if (expert < 0) continue;
            const auto known = sorted.chosen(sorted.rows() - 1);
            if (sorted.experts[to + slot] >= 0 || std::ranges::find(known, expert) != known.end()) {
                ++repeated;
                continue;
            }
            sorted.experts[to + slot] = expert;
            sorted.weights[to + slot] = layer.weights[from + slot];
        }
    }
    layer = std::move(sorted);
}

void sortPredictions(LayerPredictions& table) {
    if (std::ranges::is_sorted(table.tokens, std::ranges::less_equal{})) return;
    std::vector<std::size_t> order(table.tokens.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t row) { return table.tokens[row]; });
    LayerPredictions sorted;
    sorted.predictor = table.predictor;
    sorted.from = table.from;
    sorted.target = table.target;
    for (const std::size_t row : order) {
        const auto expected = table.expected(row);
        if (sorted.tokens.empty() || sorted.tokens.back() != table.tokens[row]) {
            sorted.tokens.push_back(table.tokens[row]);
            sorted.steps.push_back(table.steps[row]);
            sorted.firsts.push_back(static_cast<std::uint32_t>(sorted.experts.size()));
        }
        sorted.experts.insert(sorted.experts.end(), expected.begin(), expected.end());
    }
    sorted.firsts.push_back(static_cast<std::uint32_t>(sorted.experts.size()));
    table = std::move(sorted);
}

}  // namespace

RunRoutingBuilder::RunRoutingBuilder(const ModelFacts& model) {
    if (model.layers <= 0 || model.experts <= 0 || model.topK <= 0 || model.topK > model.experts)
        throw BadInputError(fmt::format(
            "The model of this run is said to have {} layers that choose {} of {} experts, which cannot be: record or "
            "import it again.",
            model.layers, model.topK, model.experts));
    m_routing.m_model = model;
    m_routing.m_layers.resize(static_cast<std::size_t>(model.layers));
    for (LayerChoices& layer : m_routing.m_layers)
        layer.width = model.topK;
}

bool RunRoutingBuilder::sane(const SelectionRecord& s) const {
    const ModelFacts& model = m_routing.m_model;
    return s.layer.value() >= 0 && s.layer.value() < model.layers && s.expert.value() >= 0 &&
           s.expert.value() < model.experts && s.slot >= 0 && s.slot < model.topK && s.token.value() >= 0 &&
           s.token.value() < kMostTokens;
}

RunRouting::Token& RunRoutingBuilder::tokenAt(std::int32_t token) {
    auto& tokens = m_routing.m_tokens;
    if (static_cast<std::size_t>(token) >= tokens.size()) tokens.resize(static_cast<std::size_t>(token) + 1);
    return tokens[static_cast<std::size_t>(token)];
}

std::size_t RunRoutingBuilder::rowOf(LayerChoices& layer, const SelectionRecord& selection) {
    if (!layer.tokens.empty() && layer.tokens.back() == selection.token.value()) return layer.rows() - 1;
    tokenAt(selection.token.value());
    layer.tokens.push_back(selection.token.value());
    layer.steps.push_back(selection.step.value());
    layer.experts.resize(layer.experts.size() + static_cast<std::size_t>(layer.width), -1);
    layer.weights.resize(layer.weights.size() + static_cast<std::size_t>(layer.width),
                         std::numeric_limits<float>::quiet_NaN());
    return layer.rows() - 1;
}

void RunRoutingBuilder::add(std::span<const SelectionRecord> selections) {
    for (const SelectionRecord& selection : selections) {
        if (!sane(selection)) {
            ++m_routing.m_leftOut.malformed;
            continue;
        }
        LayerChoices& layer = m_routing.m_layers[selection.layer.index()];
        const std::size_t row = rowOf(layer, selection);
        if (selection.action == SelectionAction::Dropped) {
            ++m_routing.m_leftOut.dropped;
            continue;
        }
        const std::size_t first = row * static_cast<std::size_t>(layer.width);
        const auto slot = first + static_cast<std::size_t>(selection.slot);
        const auto known = layer.chosen(row);
        if (layer.experts[slot] >= 0 || std::ranges::find(known, selection.expert.value()) != known.end()) {
            ++m_routing.m_leftOut.repeated;
            continue;
        }
        layer.experts[slot] = selection.expert.value();
        layer.weights[slot] = selection.weight;
    }
}

void RunRoutingBuilder::add(std::span<const PredictionRecord> predictions) {
    const auto layers = m_routing.m_model.layers;
    m_predictionAt.resize(4 * static_cast<std::size_t>(layers) * static_cast<std::size_t>(layers), -1);
    for (const PredictionRecord& p : predictions) {
        const auto kind = static_cast<std::size_t>(p.predictor);
        const bool fits = kind < 4 && p.fromLayer.value() >= 0 && p.fromLayer.value() < layers &&
                          p.targetLayer.value() >= 0 && p.targetLayer.value() < layers && p.expert.value() >= 0 &&
                          p.expert.value() < m_routing.m_model.experts && p.token.value() >= 0 &&
                          p.token.value() < kMostTokens;
        if (!fits) {
            ++m_routing.m_leftOut.malformed;
            continue;
        }
        std::int32_t& at = m_predictionAt[(kind * static_cast<std::size_t>(layers) + p.fromLayer.index()) *
                                              static_cast<std::size_t>(layers) +
                                          p.targetLayer.index()];
        if (at < 0) {
            at = static_cast<std::int32_t>(m_routing.m_predictions.size());
            LayerPredictions& table = m_routing.m_predictions.emplace_back();
            table.predictor = p.predictor;
            table.from = p.fromLayer;
            table.target = p.targetLayer;
        }
        LayerPredictions& table = m_routing.m_predictions[static_cast<std::size_t>(at)];
        if (table.tokens.empty() || table.tokens.back() != p.token.value()) {
            tokenAt(p.token.value());
            table.tokens.push_back(p.token.value());
            table.steps.push_back(p.step.value());
            table.firsts.push_back(static_cast<std::uint32_t>(table.experts.size()));
        }
        table.experts.push_back(p.expert.value());
    }
}

void RunRoutingBuilder::add(std::span<const TokenRecord> tokens) {
    for (const TokenRecord& record : tokens) {
        if (record.token.value() < 0 || record.token.value() >= kMostTokens) continue;
        RunRouting::Token& token = tokenAt(record.token.value());
        token.id = record.id;
        if (record.id >= 0 && !record.bytes.empty()) m_routing.m_texts.try_emplace(record.id, record.bytes);
        token.request = record.request.value();
        token.position = record.position;
        token.phase = static_cast<std::int8_t>(record.phase);
    }
}

void RunRoutingBuilder::add(std::span<const ExpertCount> counts) {
    const ModelFacts& model = m_routing.m_model;
    for (const ExpertCount& one : counts) {
        if (one.layer.value() < 0 || one.layer.value() >= model.layers || one.expert.value() < 0 ||
            one.expert.value() >= model.experts || one.count < 0) {
            ++m_routing.m_leftOut.malformed;
            continue;
        }
        if (m_routing.m_counts.empty())
            m_routing.m_counts.assign(m_routing.m_layers.size(),
                                      std::vector<double>(static_cast<std::size_t>(model.experts)));
        m_routing.m_counts[one.layer.index()][one.expert.index()] += static_cast<double>(one.count);
    }
}

/// What no token record told, as far as the requests tell it.
void RunRoutingBuilder::placeTokens() {
    const auto& requests = m_routing.m_requests;
    for (std::size_t i = 0; i < m_routing.m_tokens.size(); ++i) {
        RunRouting::Token& token = m_routing.m_tokens[i];
        if (token.request >= 0) continue;
        const auto next = std::ranges::upper_bound(requests, TokenIndex(static_cast<std::int32_t>(i)), {},
                                                   &RequestRecord::firstToken);
        if (next == requests.begin()) continue;
        const RequestRecord& request = *std::prev(next);
        token.request = request.request.value();
        token.position = static_cast<std::int32_t>(i) - request.firstToken.value();
        token.phase = static_cast<std::int8_t>(token.position < request.promptTokens ? Phase::Prefill : Phase::Decode);
    }
}

RunRouting RunRoutingBuilder::finish(std::vector<RequestRecord> requests) {
    std::ranges::sort(requests, {}, &RequestRecord::firstToken);
    m_routing.m_requests = std::move(requests);
    placeTokens();
    for (LayerChoices& layer : m_routing.m_layers)
        sortRows(layer, m_routing.m_leftOut.repeated);
    for (LayerPredictions& table : m_routing.m_predictions) {
        table.firsts.push_back(static_cast<std::uint32_t>(table.experts.size()));
        sortPredictions(table);
    }
    std::ranges::sort(m_routing.m_predictions, [](const LayerPredictions& a, const LayerPredictions& b) {
        const int aheadA = a.target.value() - a.from.value(), aheadB = b.target.value() - b.from.value();
        return std::tuple(a.predictor, a.target, aheadA) < std::tuple(b.predictor, b.target, aheadB);
    });
    const std::vector<std::int32_t> runs = m_routing.constantRuns();
    m_routing.m_longestConstantRun = runs.empty() ? 0 : *std::ranges::max_element(runs);
    return std::move(m_routing);
}

RunRouting readRunRouting(const SessionReader& reader, RunId run) {
    const RunEntry entry = reader.run(run);
    RunRoutingBuilder builder(entry.description.model);
    ReadCursor cursor;
    std::int64_t selections = 0;
    for (RecordBatch batch = reader.readNew(run, cursor, kChunksAtOnce); !batch.empty();
         batch = reader.readNew(run, cursor, kChunksAtOnce)) {
        selections += static_cast<std::int64_t>(batch.selections.size());
        builder.add(std::span<const SelectionRecord>(batch.selections));
        builder.add(std::span<const PredictionRecord>(batch.predictions));
        builder.add(std::span<const TokenRecord>(batch.tokens));
    }
    if (selections == 0) {
        const std::vector<ExpertCount> counts = readExpertCounts(reader.file(), run);
        if (counts.empty())
            throw BadInputError(
                fmt::format("Run {} of {} holds no selections: record it with routing, or import another trace.",
                            run.value(), reader.file().string()));
        builder.add(std::span<const ExpertCount>(counts));
    }
    return builder.finish(reader.requests(run));
}

RunRouting runRoutingOf(const RunTrace& trace) {
    RunRoutingBuilder builder(trace.model());
    builder.add(std::span<const SelectionRecord>(trace.selections()));
    builder.add(std::span<const PredictionRecord>(trace.predictions()));
    builder.add(std::span<const TokenRecord>(trace.tokens()));
    return builder.finish(trace.requests());
}

}  // namespace expertscope
