// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/vocabulary.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <tuple>

#include <fmt/format.h>

#include "profiler/analysis/routing/random_choices.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();
constexpr int kShuffles = 4;
constexpr TokenRole kRoles[] = {TokenRole::Input, TokenRole::Predicted, TokenRole::Next};

const char* nameOf(TokenRole role) {
    switch (role) {
        case TokenRole::Input:
            return "input";
        case TokenRole::Predicted:
            return "predicted";
        case TokenRole::Next:
            return "next";
    }
    return "";
}

/// The id of a token in its role; −1 where not known.
std::int32_t idOf(const RunRouting& routing, std::int32_t token, TokenRole role) {
    if (role == TokenRole::Input) return routing.token(token).id;
    const std::int32_t next = token + 1;
    if (next >= routing.tokenCount() || !routing.sameRequest(token, next)) return -1;
    const auto wanted = static_cast<std::int8_t>(role == TokenRole::Predicted ? Phase::Decode : Phase::Prefill);
    return routing.token(next).phase == wanted ? routing.token(next).id : -1;
}

std::vector<std::int32_t> idsOf(const RunRouting& routing, const LayerChoices& layer, TokenRole role) {
    std::vector<std::int32_t> ids(layer.rows());
    for (std::size_t row = 0; row < ids.size(); ++row)
        ids[row] = idOf(routing, layer.tokens[row], role);
    return ids;
}

/// Calls group(id, rows of the layer) for every id that has at least `least` of them.
template <class Group>
void forEachId(const std::vector<std::int32_t>& ids, std::int32_t least, const Group& group) {
    std::vector<std::uint64_t> keys;  // id and row in one number, so that the sort stays in one array
    for (std::size_t row = 0; row < ids.size(); ++row)
        if (ids[row] >= 0) keys.push_back((static_cast<std::uint64_t>(ids[row]) << 32U) | row);
    std::ranges::sort(keys);
    for (std::size_t begin = 0, end = 0; begin < keys.size(); begin = end) {
        while (end < keys.size() && keys[end] >> 32U == keys[begin] >> 32U)
            ++end;
        if (static_cast<std::int64_t>(end - begin) < least) continue;
        group(static_cast<std::int32_t>(keys[begin] >> 32U), std::span(keys).subspan(begin, end - begin));
    }
}

/// Counts choices by expert over the rows of one id; emptied by the next call.
class ExpertCounts {
public:
    explicit ExpertCounts(std::int32_t experts) : m_counts(static_cast<std::size_t>(experts)) {}

    const std::vector<std::int32_t>& of(const LayerChoices& layer, std::span<const std::uint64_t> keys) {
        for (const std::int32_t expert : m_touched)
            m_counts[static_cast<std::size_t>(expert)] = 0;
        m_touched.clear();
        for (const std::uint64_t key : keys)
            for (const std::int32_t expert : layer.chosen(key & 0xFFFFFFFFU))
                if (expert >= 0 && m_counts[static_cast<std::size_t>(expert)]++ == 0) m_touched.push_back(expert);
        return m_touched;
    }
    std::int32_t count(std::int32_t expert) const { return m_counts[static_cast<std::size_t>(expert)]; }

private:
    std::vector<std::int32_t> m_counts, m_touched;
};

struct MaxShares {
    std::int64_t ids = 0, tokens = 0;
    double mean = kNoData;
};

MaxShares maxShares(const RunRouting& routing, const LayerChoices& layer, const std::vector<std::int32_t>& ids,
                    std::int32_t least) {
    MaxShares shares;
    double sum = 0;
    ExpertCounts counts(routing.experts());
    forEachId(ids, least, [&](std::int32_t, std::span<const std::uint64_t> keys) {
        std::int32_t most = 0;
        for (const std::int32_t expert : counts.of(layer, keys))
            most = std::max(most, counts.count(expert));
        ++shares.ids;
        shares.tokens += std::ssize(keys);
        sum += static_cast<double>(most) / static_cast<double>(keys.size());
    });
    if (shares.ids > 0) shares.mean = sum / static_cast<double>(shares.ids);
    return shares;
}

/// The known ids dealt out to the rows that have one.
double shuffledMean(const RunRouting& routing, const LayerChoices& layer, std::vector<std::int32_t> ids,
                    std::int32_t least) {
    std::vector<std::size_t> rows;
    std::vector<std::int32_t> known;
    for (std::size_t row = 0; row < ids.size(); ++row) {
        if (ids[row] < 0) continue;
        rows.push_back(row);
        known.push_back(ids[row]);
    }
    RandomChoices random(7);
    double mean = 0;
    for (int shuffle = 0; shuffle < kShuffles; ++shuffle) {
        random.shuffle(std::span(known));
        for (std::size_t i = 0; i < rows.size(); ++i)
            ids[rows[i]] = known[i];
        mean += maxShares(routing, layer, ids, least).mean / kShuffles;
    }
    return mean;
}

std::string countedOf(const RunRouting& routing, int least) {
    return routing.counted() +
           fmt::format(
               " Token ids that a layer saw at least {} times; input is the routed token, predicted the next one "
               "where it was generated, next the next one of the prompt.",
               least);
}

AnalysisTable vocabularyTable(const AnalysisInput& input, Parameters& parameters) {
    const int least = parameters.integer("least", 10, 1, 1 << 30);
    AnalysisTable table;
    table.counted = countedOf(*input.routing, least) + " shuffled deals the same ids out to the tokens at random.";
    table.columns = {"layer", "of", "ids", "tokens", "mean_max_share", "shuffled_mean_max_share", "random_share"};
    for (const VocabularySpecialisation& row : vocabularySpecialisation(*input.routing, least))
        table.rows.push_back({std::int64_t{row.layer.value()}, std::string(nameOf(row.role)), row.ids, row.tokens,
                              row.meanMaxShare, row.shuffled,
                              static_cast<double>(input.routing->topK()) / input.routing->experts()});
    return table;
}

AnalysisTable tokensTable(const AnalysisInput& input, Parameters& parameters) {
    const RunRouting& routing = *input.routing;
    const int least = parameters.integer("least", 10, 1, 1 << 30), top = parameters.integer("top", 5, 0, 1 << 30);
    const int only = parameters.integer("layer", -1, 0, routing.layers() - 1);
    const std::string of = parameters.word("of", {"input", "predicted", "next"});
    const TokenRole role = *std::ranges::find(kRoles, of, nameOf);
    AnalysisTable table;
    table.counted = countedOf(routing, least) + fmt::format(" The {} of each expert with the greatest share.",
                                                            top == 0 ? "ids, all" : std::to_string(top));
    table.columns = {"layer", "expert", "id", "text", "count", "id_tokens", "share", "random_share"};
    for (std::int32_t layer = 0; layer < routing.layers(); ++layer) {
        if (only >= 0 && layer != only) continue;
        std::vector<VocabularyCell> cells = vocabularyCells(routing, layer, role, least);
        std::ranges::sort(cells, {}, [](const VocabularyCell& cell) {
            return std::tuple(cell.expert, -cell.share(), -cell.count, cell.id);
        });
        int shown = 0;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const VocabularyCell& cell = cells[i];
            shown = i > 0 && cells[i - 1].expert == cell.expert ? shown + 1 : 1;
            if (top > 0 && shown > top) continue;
            table.rows.push_back({std::int64_t{layer}, std::int64_t{cell.expert}, std::int64_t{cell.id},
                                  routing.textOf(cell.id), cell.count, cell.tokens, cell.share(),
                                  static_cast<double>(routing.topK()) / routing.experts()});
        }
    }
    return table;
}

}  // namespace

std::vector<VocabularyCell> vocabularyCells(const RunRouting& routing, std::int32_t layer, TokenRole role,
                                            std::int32_t least) {
    const LayerChoices& choices = routing.layer(layer);
    std::vector<VocabularyCell> cells;
    ExpertCounts counts(routing.experts());
    forEachId(idsOf(routing, choices, role), least, [&](std::int32_t id, std::span<const std::uint64_t> keys) {
        std::vector<std::int32_t> experts = counts.of(choices, keys);
        std::ranges::sort(experts);
        for (const std::int32_t expert : experts)
            cells.push_back({.id = id, .expert = expert, .count = counts.count(expert), .tokens = std::ssize(keys)});
    });
    return cells;
}

std::vector<VocabularySpecialisation> vocabularySpecialisation(const RunRouting& routing, std::int32_t least) {
    std::vector<VocabularySpecialisation> rows;
    for (std::int32_t l = 0; l < routing.layers(); ++l) {
        const LayerChoices& layer = routing.layer(l);
        for (const TokenRole role : kRoles) {
            const std::vector<std::int32_t> ids = idsOf(routing, layer, role);
            const MaxShares shares = maxShares(routing, layer, ids, least);
            VocabularySpecialisation& row = rows.emplace_back();
            row.layer = LayerIndex(l);
            row.role = role;
            row.ids = shares.ids;
            row.tokens = shares.tokens;
            row.meanMaxShare = shares.mean;
            row.shuffled = shares.ids > 0 ? shuffledMean(routing, layer, ids, least) : kNoData;
        }
    }
    return rows;
}

AnalysisInfo vocabularyAnalysis() {
    return {.name = "vocabulary",
            .source = AnalysisSource::Routing,
            .parameters = "least=10",
            .needs = "token ids",
            .summary = "by layer: how far tokens of one id keep to one expert, by input, predicted and next token",
            .reference = "OLMoE §5 (arXiv 2409.02060)",
            .run = vocabularyTable};
}

AnalysisInfo vocabularyTokensAnalysis() {
    return {.name = "vocabulary-tokens",
            .source = AnalysisSource::Routing,
            .parameters = "of=input|predicted|next, layer=all, top=5 (0: all), least=10",
            .needs = "token ids",
            .summary = "by layer and expert: the token ids that choose it most faithfully",
            .reference = "OLMoE §5 (arXiv 2409.02060)",
            .run = tokensTable};
}

}  // namespace expertscope
