// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/vocabulary.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <string>
#include <tuple>

#include <fmt/format.h>

#include "engine/compute/thread_pool.h"
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

/// The layer's rows by the id of their token, ids ascending; rows without an id are in none.
struct IdGroups {
    std::vector<std::int32_t> ids;
    std::vector<std::size_t> firsts;  ///< one more than ids: into rows
    std::vector<std::uint32_t> rows;

    std::span<const std::uint32_t> rowsOf(std::size_t group) const {
        return std::span(rows).subspan(firsts[group], firsts[group + 1] - firsts[group]);
    }
};

IdGroups groupsOf(const RunRouting& routing, const LayerChoices& layer, TokenRole role) {
    std::vector<std::uint64_t> keys;  // id and row in one number, so that the sort stays in one array
    for (std::size_t row = 0; row < layer.rows(); ++row)
        if (const std::int32_t id = idOf(routing, layer.tokens[row], role); id >= 0)
            keys.push_back((static_cast<std::uint64_t>(id) << 32U) | row);
    std::ranges::sort(keys);
    IdGroups groups;
    for (const std::uint64_t key : keys) {
        const auto id = static_cast<std::int32_t>(key >> 32U);
        if (groups.ids.empty() || groups.ids.back() != id) {
            groups.ids.push_back(id);
            groups.firsts.push_back(groups.rows.size());
        }
        groups.rows.push_back(static_cast<std::uint32_t>(key));
    }
    groups.firsts.push_back(groups.rows.size());
    return groups;
}

/// Counts choices by expert over the rows of one id; emptied by the next call.
class ExpertCounts {
public:
    explicit ExpertCounts(std::int32_t experts) : m_counts(static_cast<std::size_t>(experts)) {}

    /// The experts that were chosen, in order of first choice.
    const std::vector<std::int32_t>& of(const LayerChoices& layer, std::span<const std::uint32_t> rows) {
        for (const std::int32_t expert : m_touched)
            m_counts[static_cast<std::size_t>(expert)] = 0;
        m_touched.clear();
        for (const std::uint32_t row : rows)
            for (const std::int32_t expert : layer.chosen(row))
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

MaxShares maxShares(const RunRouting& routing, const LayerChoices& layer, const IdGroups& groups, std::int32_t least) {
    MaxShares shares;
    double sum = 0;
    ExpertCounts counts(routing.experts());
    for (std::size_t group = 0; group < groups.ids.size(); ++group) {
        const auto rows = groups.rowsOf(group);
        if (std::ssize(rows) < least) continue;
        std::int32_t most = 0;
        for (const std::int32_t expert : counts.of(layer, rows))
            most = std::max(most, counts.count(expert));
        ++shares.ids;
        shares.tokens += std::ssize(rows);
        sum += static_cast<double>(most) / static_cast<double>(rows.size());
    }
    if (shares.ids > 0) shares.mean = sum / static_cast<double>(shares.ids);
    return shares;
}

/// The known ids dealt out to the rows that have one.
double shuffledMean(const RunRouting& routing, const LayerChoices& layer, IdGroups groups, std::int32_t least) {
    RandomChoices random(7);
    double mean = 0;
    for (int shuffle = 0; shuffle < kShuffles; ++shuffle) {
        random.shuffle(std::span(groups.rows));
        mean += maxShares(routing, layer, groups, least).mean / kShuffles;
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

/// The rows of one layer: of each expert the `top` ids with the greatest share, all where it is 0.
std::vector<std::vector<AnalysisCell>> layerTokens(const RunRouting& routing, std::int32_t layer, TokenRole role,
                                                   std::int32_t least, int top) {
    std::vector<std::vector<VocabularyCell>> byExpert(static_cast<std::size_t>(routing.experts()));
    for (const VocabularyCell& cell : vocabularyCells(routing, layer, role, least))
        byExpert[static_cast<std::size_t>(cell.expert)].push_back(cell);
    std::vector<std::vector<AnalysisCell>> rows;
    for (auto& cells : byExpert) {
        const auto shown = top == 0 ? cells.size() : std::min(cells.size(), static_cast<std::size_t>(top));
        std::ranges::partial_sort(
            cells, cells.begin() + static_cast<std::ptrdiff_t>(shown), {},
            [](const VocabularyCell& cell) { return std::tuple(-cell.share(), -cell.count, cell.id); });
        for (const VocabularyCell& cell : std::span(cells).first(shown))
            rows.push_back({std::int64_t{layer}, std::int64_t{cell.expert}, std::int64_t{cell.id},
                            routing.textOf(cell.id), cell.count, cell.tokens, cell.share(),
                            static_cast<double>(routing.topK()) / routing.experts()});
    }
    return rows;
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
    std::vector<std::vector<std::vector<AnalysisCell>>> byLayer(static_cast<std::size_t>(routing.layers()));
    ThreadPool(0).forEach(routing.layers(), [&](int layer, int) {
        if (only < 0 || layer == only)
            byLayer[static_cast<std::size_t>(layer)] = layerTokens(routing, layer, role, least, top);
    });
    for (auto& rows : byLayer)
        std::ranges::move(rows, std::back_inserter(table.rows));
    return table;
}

}  // namespace

std::vector<VocabularyCell> vocabularyCells(const RunRouting& routing, std::int32_t layer, TokenRole role,
                                            std::int32_t least) {
    const LayerChoices& choices = routing.layer(layer);
    std::vector<VocabularyCell> cells;
    ExpertCounts counts(routing.experts());
    const IdGroups groups = groupsOf(routing, choices, role);
    for (std::size_t group = 0; group < groups.ids.size(); ++group) {
        const auto rows = groups.rowsOf(group);
        if (std::ssize(rows) < least) continue;
        std::vector<std::int32_t> experts = counts.of(choices, rows);
        std::ranges::sort(experts);
        for (const std::int32_t expert : experts)
            cells.push_back(
                {.id = groups.ids[group], .expert = expert, .count = counts.count(expert), .tokens = std::ssize(rows)});
    }
    return cells;
}

std::vector<VocabularySpecialisation> vocabularySpecialisation(const RunRouting& routing, std::int32_t least) {
    std::vector<VocabularySpecialisation> rows;
    std::array<IdGroups, std::size(kRoles)> byRole;
    for (std::int32_t l = 0; l < routing.layers(); ++l) {
        const LayerChoices& layer = routing.layer(l);
        // Layers mostly route the same tokens, and then group them alike.
        const bool alike = l > 0 && layer.tokens == routing.layer(l - 1).tokens;
        for (const TokenRole role : kRoles) {
            IdGroups& groups = byRole[static_cast<std::size_t>(role)];
            if (!alike) groups = groupsOf(routing, layer, role);
            const MaxShares shares = maxShares(routing, layer, groups, least);
            VocabularySpecialisation& row = rows.emplace_back();
            row.layer = LayerIndex(l);
            row.role = role;
            row.ids = shares.ids;
            row.tokens = shares.tokens;
            row.meanMaxShare = shares.mean;
            row.shuffled = shares.ids > 0 ? shuffledMean(routing, layer, groups, least) : kNoData;
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
