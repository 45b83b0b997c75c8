// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/run_routing.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "profiler/analysis/number_text.h"

namespace expertscope {
namespace {

/// Runs of tokens routed alike to the bit that are told as a possible warm-up.
constexpr std::int64_t kSuspiciousRun = 32;

bool sameBits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

bool sameRow(const LayerChoices& layer, std::size_t a, std::size_t b) {
    for (std::size_t slot = 0; slot < static_cast<std::size_t>(layer.width); ++slot) {
        const std::size_t i = a * static_cast<std::size_t>(layer.width) + slot;
        const std::size_t j = b * static_cast<std::size_t>(layer.width) + slot;
        if (layer.experts[i] != layer.experts[j] || !sameBits(layer.weights[i], layer.weights[j])) return false;
    }
    return true;
}

std::int64_t choicesIn(const LayerChoices& layer) {
    return std::ranges::count_if(layer.experts, [](std::int32_t expert) { return expert >= 0; });
}

}  // namespace

bool LayerChoices::complete(std::size_t row) const { return std::ranges::find(chosen(row), -1) == chosen(row).end(); }

void LayerChoices::append(const LayerChoices& from, std::size_t row) {
    const auto first = static_cast<std::ptrdiff_t>(row * static_cast<std::size_t>(from.width));
    tokens.push_back(from.tokens[row]);
    steps.push_back(from.steps[row]);
    experts.insert(experts.end(), from.experts.begin() + first, from.experts.begin() + first + from.width);
    weights.insert(weights.end(), from.weights.begin() + first, from.weights.begin() + first + from.width);
}

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
            if (tokens[static_cast<std::size_t>(layer.tokens[row])]) to.append(layer, row);
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
    if (most == 0)
        return m_counts.empty() ? "Nothing was counted: the run holds no selection of what was asked for."
                                : "Nothing was counted: the run holds sums by expert only, without tokens.";
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

}  // namespace expertscope
