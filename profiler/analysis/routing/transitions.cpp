// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/transitions.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>
#include <tuple>

#include <fmt/format.h>

#include "profiler/analysis/routing/random_choices.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();
constexpr int kPermutations = 4;
constexpr double kTopSuccessors = 0.2;

using RowPair = std::pair<std::uint32_t, std::uint32_t>;

/// Rows of both layers that belong together: of the same token, or of a token and the next of its request.
std::vector<RowPair> rowPairs(const RunRouting& routing, std::int32_t from, std::int32_t to) {
    const LayerChoices &a = routing.layer(from), &b = routing.layer(to);
    const std::int32_t shift = from == to ? 1 : 0;
    std::vector<RowPair> pairs;
    pairs.reserve(a.rows());
    std::size_t j = 0;
    for (std::size_t i = 0; i < a.rows(); ++i) {
        const std::int32_t wanted = a.tokens[i] + shift;
        while (j < b.rows() && b.tokens[j] < wanted)
            ++j;
        if (j == b.rows()) break;
        if (b.tokens[j] == wanted && routing.sameRequest(a.tokens[i], wanted))
            pairs.emplace_back(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j));
    }
    return pairs;
}

std::int64_t countPair(Transitions& transitions, std::span<const std::int32_t> from, std::span<const std::int32_t> to,
                       TransitionPairs pairs, std::size_t experts) {
    std::int64_t counted = 0;
    const auto one = [&](std::int32_t a, std::int32_t b) {
        if (a < 0 || b < 0) return;
        ++transitions.counts[static_cast<std::size_t>(a) * experts + static_cast<std::size_t>(b)];
        ++counted;
    };
    switch (pairs) {
        case TransitionPairs::First:
            one(from[0], to[0]);
            break;
        case TransitionPairs::SameRank:
            for (std::size_t slot = 0; slot < from.size(); ++slot)
                one(from[slot], to[slot]);
            break;
        case TransitionPairs::All:
            for (const std::int32_t a : from)
                for (const std::int32_t b : to)
                    one(a, b);
            break;
    }
    return counted;
}

Transitions countAll(const RunRouting& routing, std::int32_t from, std::int32_t to, const std::vector<RowPair>& rows,
                     TransitionPairs pairs) {
    const auto experts = static_cast<std::size_t>(routing.experts());
    Transitions transitions{.from = from, .to = to, .tokens = 0, .total = 0, .counts = {}, .out = {}, .in = {}};
    transitions.counts.resize(experts * experts);
    transitions.out.resize(experts);
    transitions.in.resize(experts);
    for (const auto& [i, j] : rows) {
        const std::int64_t counted =
            countPair(transitions, routing.layer(from).chosen(i), routing.layer(to).chosen(j), pairs, experts);
        transitions.total += counted;
        transitions.tokens += counted > 0 ? 1 : 0;
    }
    for (std::size_t i = 0; i < experts; ++i) {
        for (std::size_t j = 0; j < experts; ++j) {
            transitions.out[i] += transitions.counts[i * experts + j];
            transitions.in[j] += transitions.counts[i * experts + j];
        }
    }
    return transitions;
}

double entropyBits(const std::vector<std::int64_t>& counts, double total) {
    double bits = 0;
    for (const std::int64_t count : counts) {
        if (count == 0) continue;
        const double p = static_cast<double>(count) / total;
        bits -= p * std::log2(p);
    }
    return bits;
}

std::int64_t nonZero(const std::vector<std::int64_t>& counts) {
    return std::ssize(counts) - std::ranges::count(counts, 0);
}

/// Mean over the first side's experts, by use, of what their most frequent fifth of the successors take.
double topSuccessorShare(const Transitions& transitions) {
    const std::size_t experts = transitions.out.size();
    const auto top = static_cast<std::ptrdiff_t>(std::ceil(kTopSuccessors * static_cast<double>(experts)));
    std::vector<std::int64_t> row(experts);
    std::int64_t taken = 0;
    for (std::size_t i = 0; i < experts; ++i) {
        const auto begin = transitions.counts.begin() + static_cast<std::ptrdiff_t>(i * experts);
        std::partial_sort_copy(begin, begin + static_cast<std::ptrdiff_t>(experts), row.begin(), row.begin() + top,
                               std::greater{});
        taken += std::accumulate(row.begin(), row.begin() + top, std::int64_t{0});
    }
    return static_cast<double>(taken) / static_cast<double>(transitions.total);
}

TransitionSpan spanOf(Parameters& parameters, const RunRouting& routing) {
    TransitionSpan span;
    span.layers = parameters.integer("ahead", 1, 1, std::max(1, routing.layers() - 1));
    if (parameters.word("across", {"layers", "tokens"}) == "tokens") span.layers = 0;
    const std::string pairs = parameters.word("pairs", {"first", "rank", "all"});
    span.pairs = pairs == "first"  ? TransitionPairs::First
                 : pairs == "rank" ? TransitionPairs::SameRank
                                   : TransitionPairs::All;
    return span;
}

std::string countedOf(const RunRouting& routing, const TransitionSpan& span) {
    const char* pairs = span.pairs == TransitionPairs::First      ? "the first choices"
                        : span.pairs == TransitionPairs::SameRank ? "choices of the same rank"
                                                                  : "every choice with every choice";
    if (span.layers == 0)
        return routing.counted() + fmt::format(" Transitions from a token to the next of its request: {}.", pairs);
    return routing.counted() + fmt::format(" Transitions over {} layer{}, of tokens that both layers routed: {}.",
                                           span.layers, span.layers == 1 ? "" : "s", pairs);
}

AnalysisTable transitionsTable(const AnalysisInput& input, Parameters& parameters) {
    const RunRouting& routing = *input.routing;
    const TransitionSpan span = spanOf(parameters, routing);
    const int top = parameters.integer("top", 32, 0, 1 << 30);
    AnalysisTable table;
    table.counted = countedOf(routing, span);
    if (top > 0) table.counted += fmt::format(" The {} most frequent of each layer are listed; top=0 lists all.", top);
    table.columns = {"layer", "next_layer",  "expert", "next_expert",
                     "count", "probability", "lift",   "random_probability"};
    const auto experts = static_cast<std::size_t>(routing.experts());
    for (const Transitions& t : transitionsOf(routing, span)) {
        std::vector<std::size_t> cells;
        for (std::size_t cell = 0; cell < t.counts.size(); ++cell)
            if (t.counts[cell] > 0) cells.push_back(cell);
        const auto shown = top == 0 ? cells.size() : std::min(cells.size(), static_cast<std::size_t>(top));
        std::ranges::partial_sort(
            cells, cells.begin() + static_cast<std::ptrdiff_t>(shown),
            [&](std::size_t a, std::size_t b) { return std::tuple(-t.counts[a], a) < std::tuple(-t.counts[b], b); });
        for (std::size_t n = 0; n < shown; ++n) {
            const std::size_t i = cells[n] / experts, j = cells[n] % experts;
            const auto count = static_cast<double>(t.counts[cells[n]]);
            table.rows.push_back(
                {std::int64_t{t.from}, std::int64_t{t.to}, static_cast<std::int64_t>(i), static_cast<std::int64_t>(j),
                 t.counts[cells[n]], count / static_cast<double>(t.out[i]),
                 count * static_cast<double>(t.total) / (static_cast<double>(t.out[i]) * static_cast<double>(t.in[j])),
                 1.0 / static_cast<double>(experts)});
        }
    }
    return table;
}

AnalysisTable informationTable(const AnalysisInput& input, Parameters& parameters) {
    const RunRouting& routing = *input.routing;
    const TransitionSpan span = spanOf(parameters, routing);
    AnalysisTable table;
    table.counted = countedOf(routing, span) +
                    " top_successors is what an expert's most frequent fifth of the next experts take; shuffled is the "
                    "same of the same choices paired at random.";
    table.columns = {"layer",
                     "next_layer",
                     "tokens",
                     "mi_bits",
                     "mi_corrected_bits",
                     "entropy_bits",
                     "next_entropy_bits",
                     "mi_normalised",
                     "top_successors",
                     "shuffled_mi_bits",
                     "shuffled_mi_corrected_bits",
                     "shuffled_top_successors"};
    for (const Transitions& t : transitionsOf(routing, span)) {
        const TransitionInformation found = informationOf(t), chance = shuffledInformation(routing, t, span);
        table.rows.push_back({std::int64_t{t.from}, std::int64_t{t.to}, t.tokens, found.bits, found.corrected,
                              found.fromBits, found.toBits, found.normalised, found.coverage20, chance.bits,
                              chance.corrected, chance.coverage20});
    }
    return table;
}

}  // namespace

std::vector<Transitions> transitionsOf(const RunRouting& routing, const TransitionSpan& span) {
    std::vector<Transitions> all;
    for (std::int32_t from = 0; from + span.layers < routing.layers(); ++from)
        all.push_back(transitionsFrom(routing, from, span));
    return all;
}

Transitions transitionsFrom(const RunRouting& routing, std::int32_t from, const TransitionSpan& span) {
    const std::int32_t to = from + span.layers;
    return countAll(routing, from, to, rowPairs(routing, from, to), span.pairs);
}

TransitionInformation informationOf(const Transitions& t) {
    if (t.total == 0) return {kNoData, kNoData, kNoData, kNoData, kNoData, kNoData};
    const auto n = static_cast<double>(t.total);
    TransitionInformation information;
    information.fromBits = entropyBits(t.out, n);
    information.toBits = entropyBits(t.in, n);
    information.bits = std::max(0.0, information.fromBits + information.toBits - entropyBits(t.counts, n));
    const auto bias = static_cast<double>(nonZero(t.counts) - nonZero(t.out) - nonZero(t.in) + 1);
    information.corrected = std::max(0.0, information.bits - bias / (2 * n * std::numbers::ln2));
    information.normalised = information.toBits > 0 ? information.corrected / information.toBits : kNoData;
    information.coverage20 = topSuccessorShare(t);
    return information;
}

TransitionInformation shuffledInformation(const RunRouting& routing, const Transitions& transitions,
                                          const TransitionSpan& span) {
    std::vector<RowPair> rows = rowPairs(routing, transitions.from, transitions.to);
    std::vector<std::uint32_t> seconds;
    for (const auto& [i, j] : rows)
        seconds.push_back(j);
    RandomChoices random(static_cast<std::uint64_t>(transitions.from) + 1);
    TransitionInformation mean;
    for (int permutation = 0; permutation < kPermutations; ++permutation) {
        random.shuffle(std::span(seconds));
        for (std::size_t i = 0; i < rows.size(); ++i)
            rows[i].second = seconds[i];
        const TransitionInformation one =
            informationOf(countAll(routing, transitions.from, transitions.to, rows, span.pairs));
        mean.bits += one.bits / kPermutations;
        mean.corrected += one.corrected / kPermutations;
        mean.fromBits += one.fromBits / kPermutations;
        mean.toBits += one.toBits / kPermutations;
        mean.normalised += one.normalised / kPermutations;
        mean.coverage20 += one.coverage20 / kPermutations;
    }
    return mean;
}

AnalysisInfo transitionsAnalysis() {
    return {
        .name = "transitions",
        .source = AnalysisSource::Routing,
        .parameters = "ahead=1, across=layers|tokens, pairs=first|rank|all, top=32 (0: all)",
        .needs = "",
        .summary = "by layer: which expert of a later layer (or of the next token) follows which, P(j | i) and lift",
        .reference = "ExFlow (arXiv 2401.08383); OLMoE's cross-layer counts; Patterns behind Chaos (arXiv 2510.05497)",
        .run = transitionsTable};
}

AnalysisInfo transitionInformationAnalysis() {
    return {
        .name = "transition-information",
        .source = AnalysisSource::Routing,
        .parameters = "ahead=1, across=layers|tokens, pairs=first|rank|all",
        .needs = "",
        .summary = "by layer: mutual information of its choice and the next one's, and how few successors take most",
        .reference = "Patterns behind Chaos (arXiv 2510.05497); bias: Miller and Madow (1955)",
        .run = informationTable};
}

}  // namespace expertscope
