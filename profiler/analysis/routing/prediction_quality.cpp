// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/prediction_quality.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include <fmt/format.h>

#include "engine/base/record_names.h"
#include "profiler/analysis/number_text.h"
#include "profiler/analysis/routing/expert_marks.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

/// Sums over predictions, from which every score follows; tables of several layers add up.
struct Sums {
    std::int64_t predictions = 0, expected = 0, used = 0, found = 0, exact = 0;
    double randomFound = 0, randomExact = 0, shuffledFound = 0, shuffledExact = 0;

    void add(const Sums& other) {
        predictions += other.predictions;
        expected += other.expected;
        used += other.used;
        found += other.found;
        exact += other.exact;
        randomFound += other.randomFound;
        randomExact += other.randomExact;
        shuffledFound += other.shuffledFound;
        shuffledExact += other.shuffledExact;
    }
};

/// 1 / C(n, k).
double oneOfSubsets(std::int64_t n, std::int64_t k) {
    double one = 1;
    for (std::int64_t i = 0; i < k; ++i)
        one *= static_cast<double>(k - i) / static_cast<double>(n - i);
    return one;
}

/// The same for equal sets in any order; two different ones share it once in 2⁶⁴.
std::uint64_t setHash(std::span<const std::int32_t> experts) {
    std::uint64_t hash = 0;
    for (const std::int32_t expert : experts) {
        std::uint64_t z = (static_cast<std::uint64_t>(expert) + 1) * 0x9E3779B97F4A7C15U;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        hash += z ^ (z >> 31U);
    }
    return hash;
}

/// Compares sets one by one, and keeps what the shuffled control needs.
class Comparison {
public:
    explicit Comparison(std::int32_t experts)
        : m_experts(experts),
          m_marks(experts),
          m_expectedBy(static_cast<std::size_t>(experts)),
          m_usedBy(static_cast<std::size_t>(experts)) {}

    /// `expected` and `used` hold no expert twice.
    void add(std::span<const std::int32_t> expected, std::span<const std::int32_t> used) {
        m_marks.clear();
        m_marks.insertAll(used);
        const std::int32_t found = m_marks.shared(expected);
        const auto sizeP = std::ssize(expected), sizeA = std::ssize(used);
        ++m_sums.predictions;
        m_sums.expected += sizeP;
        m_sums.used += sizeA;
        m_sums.found += found;
        m_sums.exact += sizeP == sizeA && found == sizeA ? 1 : 0;
        m_sums.randomFound += static_cast<double>(sizeP) * static_cast<double>(sizeA) / m_experts;
        if (sizeP == sizeA) m_sums.randomExact += oneOfSubsets(m_experts, sizeA);
        for (const std::int32_t expert : expected)
            m_expectedBy[static_cast<std::size_t>(expert)] += 1;
        for (const std::int32_t expert : used)
            m_usedBy[static_cast<std::size_t>(expert)] += 1;
        m_expectedSets.push_back(setHash(expected));
        m_usedSets.push_back(setHash(used));
    }

    Sums finish() {
        if (m_sums.predictions == 0) return m_sums;
        const auto n = static_cast<double>(m_sums.predictions);
        for (std::size_t e = 0; e < m_expectedBy.size(); ++e)
            m_sums.shuffledFound += m_expectedBy[e] * m_usedBy[e] / n;
        std::ranges::sort(m_expectedSets);
        std::ranges::sort(m_usedSets);
        double equal = 0;
        for (auto p = m_expectedSets.begin(), a = m_usedSets.begin();
             p != m_expectedSets.end() && a != m_usedSets.end();) {
            if (*p != *a) {
                *p < *a ? ++p : ++a;
                continue;
            }
            const auto pEnd = std::upper_bound(p, m_expectedSets.end(), *p);
            const auto aEnd = std::upper_bound(a, m_usedSets.end(), *a);
            equal += static_cast<double>(pEnd - p) * static_cast<double>(aEnd - a);
            p = pEnd;
            a = aEnd;
        }
        m_sums.shuffledExact = equal / n;
        return m_sums;
    }

private:
    std::int32_t m_experts;
    ExpertMarks m_marks;
    std::vector<double> m_expectedBy, m_usedBy;  ///< predictions and tokens, by expert
    std::vector<std::uint64_t> m_expectedSets, m_usedSets;
    Sums m_sums;
};

/// The experts of a list, each once.
void distinct(std::span<const std::int32_t> experts, ExpertMarks& marks, std::vector<std::int32_t>& to) {
    for (const std::int32_t expert : experts)
        if (expert >= 0 && marks.insert(expert)) to.push_back(expert);
}

void compareTokens(const RunRouting& routing, const LayerPredictions& table, Comparison& comparison) {
    const LayerChoices& layer = routing.layer(table.target.value());
    ExpertMarks marks(routing.experts());
    std::vector<std::int32_t> expected, used;
    std::size_t row = 0;
    for (std::size_t p = 0; p < table.tokens.size(); ++p) {
        while (row < layer.rows() && layer.tokens[row] < table.tokens[p])
            ++row;
        if (row == layer.rows()) return;
        if (layer.tokens[row] != table.tokens[p]) continue;
        expected.clear();
        used.clear();
        marks.clear();
        distinct(table.expected(p), marks, expected);
        marks.clear();
        distinct(layer.chosen(row), marks, used);
        if (!used.empty()) comparison.add(expected, used);
    }
}

/// Wishes for whole steps: rows of a step lie together in its target layer, steps ascend.
void compareSteps(const RunRouting& routing, const LayerPredictions& table, Comparison& comparison) {
    const LayerChoices& layer = routing.layer(table.target.value());
    const bool nextStep = table.target <= table.from;
    ExpertMarks marks(routing.experts());
    std::vector<std::int32_t> expected, used;
    std::size_t row = 0;
    for (std::size_t p = 0; p < table.tokens.size(); ++p) {
        const std::int32_t first = table.steps[p] + (nextStep ? 1 : 0);
        while (row < layer.rows() && layer.steps[row] < first)
            ++row;
        if (row == layer.rows()) return;
        const std::int32_t step = layer.steps[row];
        const bool meant = nextStep ? routing.sameRequest(layer.tokens[row], table.tokens[p]) : step == table.steps[p];
        if (!meant) continue;
        expected.clear();
        used.clear();
        marks.clear();
        distinct(table.expected(p), marks, expected);
        marks.clear();
        for (std::size_t r = row; r < layer.rows() && layer.steps[r] == step; ++r)
            distinct(layer.chosen(r), marks, used);
        if (!used.empty()) comparison.add(expected, used);
    }
}

PredictionQuality::Score scoreOf(double found, double exact, const Sums& sums) {
    const auto part = [](double of, std::int64_t whole) {
        return whole > 0 ? of / static_cast<double>(whole) : kNoData;
    };
    return {part(found, sums.used), part(found, sums.expected), part(exact, sums.predictions)};
}

PredictionQuality qualityOf(PredictorKind predictor, std::int32_t ahead, LayerIndex target, const Sums& sums) {
    PredictionQuality quality;
    quality.predictor = predictor;
    quality.ahead = ahead;
    quality.target = target;
    quality.predictions = sums.predictions;
    quality.expected = sums.expected;
    quality.used = sums.used;
    quality.found = sums.found;
    quality.score = scoreOf(static_cast<double>(sums.found), static_cast<double>(sums.exact), sums);
    quality.random = scoreOf(sums.randomFound, sums.randomExact, sums);
    quality.shuffled = scoreOf(sums.shuffledFound, sums.shuffledExact, sums);
    return quality;
}

AnalysisTable qualityTable(const AnalysisInput& input, Parameters&) {
    AnalysisTable table;
    table.columns = {"predictor",
                     "ahead",
                     "layer",
                     "predictions",
                     "expected",
                     "used",
                     "found",
                     "recall",
                     "precision",
                     "exact_rate",
                     "random_recall",
                     "random_precision",
                     "random_exact_rate",
                     "shuffled_recall",
                     "shuffled_precision",
                     "shuffled_exact_rate"};
    std::int64_t compared = 0, recorded = 0;
    for (const LayerPredictions& one : input.routing->predictions())
        recorded += std::ssize(one.tokens);
    for (const PredictionQuality& row : predictionQuality(*input.routing)) {
        const bool all = row.target.value() < 0;
        if (!all) compared += row.predictions;
        table.rows.push_back({std::string(name(row.predictor)), std::int64_t{row.ahead},
                              all ? AnalysisCell{std::string("all")} : AnalysisCell{std::int64_t{row.target.value()}},
                              row.predictions, row.expected, row.used, row.found, row.score.recall, row.score.precision,
                              row.score.exact, row.random.recall, row.random.precision, row.random.exact,
                              row.shuffled.recall, row.shuffled.precision, row.shuffled.exact});
    }
    table.counted = input.routing->counted();
    if (input.routing->assignments() == 0) return table;
    table.counted +=
        recorded == 0
            ? " The run holds no predictions: record it with --record predictions."
            : fmt::format(
                  " {} predictions (sets of one token; of the policy, of one step) compared with what ran; {} "
                  "of choices that were not recorded are left out. shuffled hands each token's prediction to "
                  "another one, random draws as many experts uniformly.",
                  groupedNumber(compared), groupedNumber(recorded - compared));
    return table;
}

}  // namespace

std::vector<PredictionQuality> predictionQuality(const RunRouting& routing) {
    using Key = std::tuple<PredictorKind, std::int32_t, std::int32_t>;  // predictor, ahead, target
    std::vector<std::pair<Key, Sums>> tables;
    for (const LayerPredictions& table : routing.predictions()) {
        std::int32_t ahead = table.target.value() - table.from.value();
        const bool wishes = table.predictor == PredictorKind::Policy;
        if (wishes && ahead <= 0) ahead += routing.layers();
        Comparison comparison(routing.experts());
        wishes ? compareSteps(routing, table, comparison) : compareTokens(routing, table, comparison);
        const Sums sums = comparison.finish();
        if (sums.predictions > 0) tables.push_back({{table.predictor, ahead, table.target.value()}, sums});
    }
    std::ranges::sort(tables, {}, [](const auto& table) { return table.first; });
    std::vector<PredictionQuality> rows;
    for (std::size_t begin = 0, end = 0; begin < tables.size(); begin = end) {
        const auto [predictor, ahead, target] = tables[begin].first;
        Sums all;
        for (; end < tables.size(); ++end) {
            const auto& [key, sums] = tables[end];
            if (std::get<0>(key) != predictor || std::get<1>(key) != ahead) break;
            rows.push_back(qualityOf(predictor, ahead, LayerIndex(std::get<2>(key)), sums));
            all.add(sums);
        }
        rows.push_back(qualityOf(predictor, ahead, LayerIndex(-1), all));
    }
    return rows;
}

AnalysisInfo predictionQualityAnalysis() {
    return {.name = "prediction-quality",
            .source = AnalysisSource::Routing,
            .parameters = "",
            .needs = "predictions",
            .summary = "by predictor, distance and layer: recall, precision, exact sets, against chance and shuffling",
            .reference = "Pre-gated MoE (arXiv 2308.12066), Megatron-LM's one-layer-ahead predictability",
            .run = qualityTable};
}

}  // namespace expertscope
