// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/saturation.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/analysis/routing/expert_marks.h"

namespace expertscope {
namespace {

/// Whether both runs had the same token here: where the texts went apart, nothing is comparable.
bool sameToken(const RunRouting& a, const RunRouting& b, std::int32_t token) {
    const RunRouting::Token &x = a.token(token), &y = b.token(token);
    return x.id == y.id && x.request == y.request && x.position == y.position;
}

/// By token, whether both runs had the same tokens up to here in its request: what a token chose depends on all before.
std::vector<bool> sameSoFar(const RunRouting& a, const RunRouting& b) {
    std::vector<bool> same(static_cast<std::size_t>(std::min(a.tokenCount(), b.tokenCount())));
    for (std::int32_t token = 0; token < static_cast<std::int32_t>(same.size()); ++token) {
        const bool goesOn = token > 0 && a.sameRequest(token - 1, token);
        const auto at = static_cast<std::size_t>(token);
        same[at] = sameToken(a, b, token) && (!goesOn || same[at - 1]);
    }
    return same;
}

AnalysisTable saturationTable(const AnalysisInput& input, Parameters&) {
    AnalysisTable table;
    table.columns = {"layer", "tokens", "saturation", "first_choice", "random", "random_first_choice"};
    table.counted = input.routing->counted();
    if (!input.other) {
        table.counted += " There is nothing to compare with: name a second run with --with.";
        return table;
    }
    table.counted +=
        " Compared with: " + input.other->counted() +
        " Tokens count while the texts of both runs are the same from the request's start, in layers in which all "
        "choices of both are known.";
    for (const LayerSaturation& row : saturationOf(*input.routing, *input.other))
        table.rows.push_back(
            {std::int64_t{row.layer.value()}, row.tokens, row.overlap, row.first, row.random, row.randomFirst});
    return table;
}

}  // namespace

std::vector<LayerSaturation> saturationOf(const RunRouting& a, const RunRouting& b) {
    if (a.experts() != b.experts() || a.topK() != b.topK())
        throw UsageError(
            fmt::format("The two runs cannot be compared: one chooses {} of {} experts, the other {} of {}; name runs "
                        "of one model.",
                        a.topK(), a.experts(), b.topK(), b.experts()));
    const std::vector<bool> same = sameSoFar(a, b);
    ExpertMarks marks(a.experts());
    std::vector<LayerSaturation> rows;
    for (std::int32_t l = 0; l < std::min(a.layers(), b.layers()); ++l) {
        LayerSaturation& result = rows.emplace_back();
        result.layer = LayerIndex(l);
        result.random = static_cast<double>(a.topK()) / a.experts();
        result.randomFirst = 1.0 / a.experts();
        const LayerChoices &x = a.layer(l), &y = b.layer(l);
        for (std::size_t i = 0, j = 0; i < x.rows() && j < y.rows();) {
            if (x.tokens[i] != y.tokens[j]) {
                x.tokens[i] < y.tokens[j] ? ++i : ++j;
                continue;
            }
            if (same[static_cast<std::size_t>(x.tokens[i])] && x.complete(i) && y.complete(j)) {
                marks.clear();
                marks.insertAll(x.chosen(i));
                ++result.tokens;
                result.overlap += marks.shared(y.chosen(j));
                result.first += x.chosen(i)[0] == y.chosen(j)[0] ? 1 : 0;
            }
            ++i;
            ++j;
        }
        const auto tokens = static_cast<double>(result.tokens);
        result.overlap /= tokens * a.topK();
        result.first /= tokens;
    }
    return rows;
}

AnalysisInfo saturationAnalysis() {
    return {.name = "saturation",
            .source = AnalysisSource::Routing,
            .parameters = "",
            .needs = "a second run of the same text (--with)",
            .summary = "by layer: the part of a token's experts that a second run of the same text chose too",
            .reference = "OLMoE §5 (arXiv 2409.02060)",
            .run = saturationTable};
}

}  // namespace expertscope
