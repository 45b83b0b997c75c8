// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/working_set.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "profiler/analysis/routing/expert_marks.h"
#include "profiler/analysis/routing/random_choices.h"

namespace expertscope {
namespace {

constexpr int kDrawnBlocks = 256;

double randomShare(std::int32_t experts, std::int32_t choices, double tokens) {
    return 1 - std::pow(1 - static_cast<double>(choices) / experts, tokens);
}

/// One past the last row of the request that `row` belongs to.
std::size_t requestEnd(const RunRouting& routing, const LayerChoices& layer, std::size_t row) {
    std::size_t end = row + 1;
    while (end < layer.rows() && routing.sameRequest(layer.tokens[row], layer.tokens[end]))
        ++end;
    return end;
}

/// Counts assignments of one block of tokens, emptied in O(experts touched).
class BlockCounts {
public:
    BlockCounts(std::int32_t experts, std::int32_t mostTokens)
        : m_counts(static_cast<std::size_t>(experts)), m_ofCount(static_cast<std::size_t>(mostTokens) + 1) {}

    void add(std::span<const std::int32_t> experts) {
        for (const std::int32_t expert : experts) {
            if (expert < 0) continue;
            if (m_counts[static_cast<std::size_t>(expert)]++ == 0) m_touched.push_back(expert);
            ++m_total;
        }
    }
    std::int32_t distinct() const { return static_cast<std::int32_t>(m_touched.size()); }
    /// Adds for each percentage how many of the most used experts take that part of the assignments; empties the block.
    void takeNeeded(std::array<double, 5>& needed) {
        std::ranges::fill(m_ofCount, 0);
        for (const std::int32_t expert : m_touched) {
            ++m_ofCount[static_cast<std::size_t>(m_counts[static_cast<std::size_t>(expert)])];
            m_counts[static_cast<std::size_t>(expert)] = 0;
        }
        std::size_t percent = 0;
        std::int64_t covered = 0, experts = 0;  // experts of higher counts, and what they take
        for (std::size_t count = m_ofCount.size(); count-- > 1 && percent < needed.size();) {
            const std::int64_t here = m_ofCount[count], each = static_cast<std::int64_t>(count);
            while (percent < needed.size()) {
                const std::int64_t wanted = BlockCoverage::kPercents[percent] * m_total;  // in hundredths
                if (100 * (covered + here * each) < wanted) break;
                const std::int64_t missing = std::max<std::int64_t>(0, wanted - 100 * covered);
                const std::int64_t more = (missing + 100 * each - 1) / (100 * each);
                needed[percent++] += static_cast<double>(experts + more);
            }
            covered += here * each;
            experts += here;
        }
        m_touched.clear();
        m_total = 0;
    }

private:
    std::vector<std::int32_t> m_counts, m_touched;
    std::vector<std::int64_t> m_ofCount;
    std::int64_t m_total = 0;
};

void drawRandom(BlockCoverage& coverage, const RunRouting& routing) {
    RandomChoices random(static_cast<std::uint64_t>(coverage.tokens));
    BlockCounts counts(routing.experts(), coverage.tokens);
    std::vector<std::int32_t> chosen(static_cast<std::size_t>(routing.topK()));
    for (int block = 0; block < kDrawnBlocks; ++block) {
        for (std::int32_t token = 0; token < coverage.tokens; ++token) {
            random.distinct(chosen, routing.experts());
            counts.add(chosen);
        }
        counts.takeNeeded(coverage.randomNeeded);
    }
    for (double& needed : coverage.randomNeeded)
        needed /= kDrawnBlocks;
}

BlockCoverage coverageAt(const RunRouting& routing, std::int32_t tokens) {
    BlockCoverage coverage;
    coverage.tokens = tokens;
    BlockCounts counts(routing.experts(), tokens);
    std::vector<std::int64_t> blocksWith(static_cast<std::size_t>(routing.experts()) + 1);
    for (std::int32_t l = 0; l < routing.layers(); ++l) {
        const LayerChoices& layer = routing.layer(l);
        for (std::size_t begin = 0; begin < layer.rows();) {
            const std::size_t end = requestEnd(routing, layer, begin);
            for (; begin + static_cast<std::size_t>(tokens) <= end; begin += static_cast<std::size_t>(tokens)) {
                counts.add({layer.experts.data() + begin * static_cast<std::size_t>(layer.width),
                            static_cast<std::size_t>(tokens) * static_cast<std::size_t>(layer.width)});
                ++blocksWith[static_cast<std::size_t>(counts.distinct())];
                coverage.meanDistinct += counts.distinct();
                ++coverage.blocks;
                counts.takeNeeded(coverage.needed);
            }
            begin = end;
        }
    }
    const auto blocks = static_cast<double>(coverage.blocks);
    coverage.meanDistinct /= blocks;
    for (double& needed : coverage.needed)
        needed /= blocks;
    std::int64_t passed = 0;
    std::size_t percent = 0;
    for (std::size_t distinct = 0; distinct < blocksWith.size(); ++distinct) {
        passed += blocksWith[distinct];
        while (percent < 5 && 100 * passed >= BlockCoverage::kPercents[percent] * coverage.blocks)
            coverage.distinct[percent++] = static_cast<std::int32_t>(distinct);
    }
    coverage.randomDistinct = routing.experts() * randomShare(routing.experts(), routing.topK(), tokens);
    drawRandom(coverage, routing);
    return coverage;
}

AnalysisTable workingSetTable(const AnalysisInput& input, Parameters&) {
    AnalysisTable table;
    table.counted = input.routing->counted() +
                    " Each window is the first tokens of one request in one layer; shares are of a layer's experts.";
    table.columns = {"tokens", "windows", "distinct", "most", "share", "random_share"};
    for (const WorkingSet& row : workingSetGrowth(*input.routing))
        table.rows.push_back(
            {std::int64_t{row.tokens}, row.windows, row.distinct, std::int64_t{row.most}, row.share, row.randomShare});
    return table;
}

AnalysisTable coverageTable(const AnalysisInput& input, Parameters& parameters) {
    const int longest = parameters.integer("longest", 128, 1, 1 << 16);
    AnalysisTable table;
    table.counted = input.routing->counted() +
                    " Blocks are full ones of consecutive tokens of one request in one layer; distinct_50 experts "
                    "suffice for half of the blocks entirely, needed_50 is the mean number that takes half of a "
                    "block's assignments.";
    table.columns = {"block_tokens", "blocks", "mean_distinct"};
    for (const char* what : {"distinct", "needed"})
        for (const std::int32_t percent : BlockCoverage::kPercents)
            table.columns.push_back(fmt::format("{}_{}", what, percent));
    table.columns.push_back("random_distinct");
    for (const std::int32_t percent : BlockCoverage::kPercents)
        table.columns.push_back(fmt::format("random_needed_{}", percent));
    for (const BlockCoverage& row : coverageOf(*input.routing, longest)) {
        std::vector<AnalysisCell> cells{std::int64_t{row.tokens}, row.blocks, row.meanDistinct};
        for (const std::int32_t distinct : row.distinct)
            cells.emplace_back(std::int64_t{distinct});
        cells.insert(cells.end(), row.needed.begin(), row.needed.end());
        cells.emplace_back(row.randomDistinct);
        cells.insert(cells.end(), row.randomNeeded.begin(), row.randomNeeded.end());
        table.rows.push_back(std::move(cells));
    }
    return table;
}

}  // namespace

std::vector<WorkingSet> workingSetGrowth(const RunRouting& routing) {
    std::vector<WorkingSet> rows;
    ExpertMarks marks(routing.experts());
    for (std::int32_t l = 0; l < routing.layers(); ++l) {
        const LayerChoices& layer = routing.layer(l);
        std::int32_t distinct = 0;
        std::uint64_t seen = 0;
        for (std::size_t row = 0; row < layer.rows(); ++row) {
            if (row == 0 || !routing.sameRequest(layer.tokens[row - 1], layer.tokens[row])) {
                marks.clear();
                distinct = 0;
                seen = 0;
            }
            for (const std::int32_t expert : layer.chosen(row))
                if (expert >= 0 && marks.insert(expert)) ++distinct;
            if (!std::has_single_bit(++seen)) continue;
            const auto at = static_cast<std::size_t>(std::countr_zero(seen));
            if (at >= rows.size()) rows.resize(at + 1);
            ++rows[at].windows;
            rows[at].distinct += distinct;
            rows[at].most = std::max(rows[at].most, distinct);
        }
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i].tokens = static_cast<std::int32_t>(1U << i);
        rows[i].distinct /= static_cast<double>(rows[i].windows);
        rows[i].share = rows[i].distinct / routing.experts();
        rows[i].randomShare = randomShare(routing.experts(), routing.topK(), rows[i].tokens);
    }
    return rows;
}

std::vector<BlockCoverage> coverageOf(const RunRouting& routing, std::int32_t longest) {
    std::vector<BlockCoverage> rows;
    for (std::int32_t tokens = 1; tokens <= longest; tokens *= 2) {
        BlockCoverage row = coverageAt(routing, tokens);
        if (row.blocks == 0) break;
        rows.push_back(row);
    }
    return rows;
}

AnalysisInfo workingSetAnalysis() {
    return {.name = "working-set",
            .source = AnalysisSource::Routing,
            .parameters = "",
            .needs = "",
            .summary = "how many different experts of a layer a request has needed after 1, 2, 4 … tokens",
            .reference = "BigMoeOnEdge route-analyze; baseline 1 − (1 − k/E)^n",
            .run = workingSetTable};
}

AnalysisInfo coverageAnalysis() {
    return {.name = "coverage",
            .source = AnalysisSource::Routing,
            .parameters = "longest=128",
            .needs = "",
            .summary = "by block length: how many experts suffice for 50 to 99 % of blocks, or of their assignments",
            .reference = "moe-routing-study's coverage CDF; baselines: uniform choices",
            .run = coverageTable};
}

}  // namespace expertscope
