// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/run_routing.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <tuple>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/analysis/number_text.h"
#include "profiler/analysis/run_trace.h"

namespace expertscope {
namespace {

/// A token index beyond this is damage, not a run: tables by token stay of a sane size.
constexpr std::int32_t kMostTokens = 1 << 27;
/// Runs of tokens routed alike to the bit that are told as a possible warm-up.
constexpr std::int64_t kSuspiciousRun = 32;
constexpr int kChunksAtOnce = 16;

bool sameBits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

bool sameRow(const LayerChoices& layer, std::size_t a, std::size_t b) {
    for (std::size_t slot = 0; slot < static_cast<std::size_t>(layer.width); ++slot) {
        const std::size_t i = a * static_cast<std::size_t>(layer.width) + slot;
        const std::size_t j = b * static_cast<std::size_t>(layer.width) + slot;
        if (layer.experts[i] != layer.experts[j] || !sameBits(layer.weights[i], layer.weights[j])) return false;
    }
    return true;
}

void appendRow(LayerChoices& to, const LayerChoices& from, std::size_t row) {
    const auto first = static_cast<std::ptrdiff_t>(row * static_cast<std::size_t>(from.width));
    to.tokens.push_back(from.tokens[row]);
    to.steps.push_back(from.steps[row]);
    to.experts.insert(to.experts.end(), from.experts.begin() + first, from.experts.begin() + first + from.width);
    to.weights.insert(to.weights.end(), from.weights.begin() + first, from.weights.begin() + first + from.width);
}

std::int64_t choicesIn(const LayerChoices& layer) {
    return std::ranges::count_if(layer.experts, [](std::int32_t expert) { return expert >= 0; });
}

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
            appendRow(sorted, layer, row);
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

bool LayerChoices::complete(std::size_t row) const { return std::ranges::find(chosen(row), -1) == chosen(row).end(); }

const std::string& RunRouting::textOf(std::int32_t id) const {
    static const std::string kNone;
    const auto found = m_texts.find(id);
    return found == m_texts.end() ? kNone : found->second;
}

std::int64_t RunRouting::assignments() const {
    std::int64_t sum = 0;
    for (const LayerChoices& layer : m_layers)
        sum += choicesIn(layer);
    return sum;
}

RunRouting RunRouting::keeping(const std::vector<bool>& tokens) const {
    RunRouting kept;
    kept.m_model = m_model;
    kept.m_tokens = m_tokens;
    kept.m_requests = m_requests;
    kept.m_texts = m_texts;
    kept.m_leftOut = m_leftOut;
    kept.m_longestConstantRun = m_longestConstantRun;
    for (const LayerChoices& layer : m_layers) {
        LayerChoices& to = kept.m_layers.emplace_back();
        to.width = layer.width;
        for (std::size_t row = 0; row < layer.rows(); ++row)
            if (tokens[static_cast<std::size_t>(layer.tokens[row])]) appendRow(to, layer, row);
    }
    for (const LayerPredictions& table : m_predictions) {
        LayerPredictions& to = kept.m_predictions.emplace_back();
        to.predictor = table.predictor;
        to.from = table.from;
        to.target = table.target;
        for (std::size_t row = 0; row < table.tokens.size(); ++row) {
            if (!tokens[static_cast<std::size_t>(table.tokens[row])]) continue;
            const auto expected = table.expected(row);
            to.tokens.push_back(table.tokens[row]);
            to.steps.push_back(table.steps[row]);
            to.firsts.push_back(static_cast<std::uint32_t>(to.experts.size()));
            to.experts.insert(to.experts.end(), expected.begin(), expected.end());
        }
        to.firsts.push_back(static_cast<std::uint32_t>(to.experts.size()));
    }
    return kept;
}

RunRouting RunRouting::onlyPhase(Phase phase) const {
    std::vector<bool> wanted(m_tokens.size());
    for (std::size_t i = 0; i < m_tokens.size(); ++i)
        wanted[i] = m_tokens[i].phase == static_cast<std::int8_t>(phase);
    RunRouting kept = keeping(wanted);
    for (const LayerChoices& layer : m_layers) {
        for (std::size_t row = 0; row < layer.rows(); ++row) {
            const auto token = static_cast<std::size_t>(layer.tokens[row]);
            if (wanted[token]) continue;
            const auto count = std::ranges::count_if(layer.chosen(row), [](std::int32_t e) { return e >= 0; });
            (m_tokens[token].phase < 0 ? kept.m_leftOut.unknownPhase : kept.m_leftOut.otherPhase) += count;
        }
    }
    return kept;
}

/// For each token the length of the run of tokens routed alike that it is in; 1 where it differs from both neighbours
/// or nothing was routed.
std::vector<std::int32_t> RunRouting::constantRuns() const {
    // Where every expert is always chosen, routing says nothing about what was run.
    if (experts() == topK()) return std::vector<std::int32_t>(m_tokens.size(), 1);
    std::vector<bool> likeBefore(m_tokens.size(), true), routed(m_tokens.size(), false);
    for (const LayerChoices& layer : m_layers) {
        for (std::size_t row = 0; row < layer.rows(); ++row) {
            const auto token = static_cast<std::size_t>(layer.tokens[row]);
            routed[token] = true;
            const bool neighbour = row > 0 && layer.tokens[row - 1] == layer.tokens[row] - 1;
            if (!likeBefore[token]) continue;
            if (!neighbour || !sameRow(layer, row - 1, row)) likeBefore[token] = false;
        }
    }
    std::vector<std::int32_t> lengths(m_tokens.size(), 1);
    for (std::size_t begin = 0; begin < m_tokens.size();) {
        std::size_t end = begin + 1;
        while (end < m_tokens.size() && routed[end] && likeBefore[end])
            ++end;
        std::fill(lengths.begin() + static_cast<std::ptrdiff_t>(begin),
                  lengths.begin() + static_cast<std::ptrdiff_t>(end), static_cast<std::int32_t>(end - begin));
        begin = end;
    }
    return lengths;
}

RunRouting RunRouting::withoutConstantRuns(std::int64_t shortest) const {
    const std::vector<std::int32_t> lengths = constantRuns();
    std::vector<bool> wanted(lengths.size());
    for (std::size_t i = 0; i < lengths.size(); ++i)
        wanted[i] = lengths[i] < shortest;
    RunRouting kept = keeping(wanted);
    kept.m_leftOut.warmUp += assignments() - kept.assignments();
    kept.m_longestConstantRun = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i)
        if (wanted[i]) kept.m_longestConstantRun = std::max<std::int64_t>(kept.m_longestConstantRun, lengths[i]);
    return kept;
}

std::string RunRouting::counted() const {
    std::vector<bool> routed(m_tokens.size(), false);
    std::size_t most = 0;
    for (const LayerChoices& layer : m_layers) {
        most = std::max(most, layer.rows());
        for (const std::int32_t token : layer.tokens)
            routed[static_cast<std::size_t>(token)] = true;
    }
    if (most == 0) return "Nothing was counted: the run holds no selection of what was asked for.";
    std::int64_t byPhase[3] = {};
    for (std::size_t i = 0; i < routed.size(); ++i)
        if (routed[i]) ++byPhase[m_tokens[i].phase + 1];
    std::string text =
        fmt::format("{} tokens ({} prompt, {} generated", groupedNumber(byPhase[0] + byPhase[1] + byPhase[2]),
                    groupedNumber(byPhase[1]), groupedNumber(byPhase[2]));
    if (byPhase[0] > 0) text += fmt::format(", {} of unknown phase", groupedNumber(byPhase[0]));
    text += fmt::format(") in {} layers, {} assignments of logical experts.", layers(), groupedNumber(assignments()));
    const auto partial = std::ranges::count_if(m_layers, [&](const auto& layer) { return layer.rows() < most; });
    if (partial > 0) {
        const auto fewest = std::ranges::min_element(m_layers, {}, [](const auto& layer) { return layer.rows(); });
        text += fmt::format(" {} of the layers routed fewer tokens than the others (layer {}: {} of {}).", partial,
                            fewest - m_layers.begin(), groupedNumber(static_cast<std::int64_t>(fewest->rows())),
                            groupedNumber(static_cast<std::int64_t>(most)));
    }
    const auto tell = [&](std::int64_t count, const char* what) {
        if (count > 0) text += fmt::format(" Left out: {} {}.", groupedNumber(count), what);
    };
    tell(m_leftOut.otherPhase, "assignments of the other phase");
    tell(m_leftOut.unknownPhase, "assignments of tokens of unknown phase");
    tell(m_leftOut.warmUp, "assignments of tokens that were routed exactly alike one after another (a warm-up)");
    tell(m_leftOut.dropped, "choices that the policy dropped");
    tell(m_leftOut.repeated, "selections that repeat a slot or an expert of their token and layer");
    tell(m_leftOut.malformed, "selections that name no layer, expert, slot or token of this model");
    if (m_longestConstantRun >= kSuspiciousRun)
        text += fmt::format(
            " {} tokens one after another were routed alike to the bit, as in an engine's warm-up: warmup=exclude "
            "leaves such runs out.",
            groupedNumber(m_longestConstantRun));
    return text;
}

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
    if (selections == 0)
        throw BadInputError(
            fmt::format("Run {} of {} holds no selections: record it with routing, or import another trace.",
                        run.value(), reader.file().string()));
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
