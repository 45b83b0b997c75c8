// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <bit>
#include <numeric>
#include <optional>

#include "engine/offload/evictions/evictions.h"
#include "engine/offload/expert_activation.h"

namespace expertscope {
namespace {

constexpr int kWord = 64;
/// The paper gives no value; it decides only among experts that the matched request did not use.
constexpr double kEpsilon = 1e-6;

/// Which experts own slots, by rank: a bit for each. Orders that are asked for seldom catch up from a log of changes.
struct RankedOrder {
    std::vector<int> expertAt, rankOf;
    std::vector<int> group;  ///< [ranks] experts with the same score share one
    std::vector<std::uint64_t> present;
    std::vector<std::uint64_t> filled;  ///< a bit a word of `present`
    std::size_t read = 0;               ///< of the log
    std::int64_t generation = -1;       ///< of the entry that it was made from
    bool current = false;               ///< `present` was right when it had read that far
};

/// MoE-Infinity (arXiv 2401.14361v3), algorithm 1: the score is (p + ε) ÷ n · (1 − layer ÷ layers), with p the tokens
/// of the expert and n those of its layer in the past request that is nearest to the running forward pass; so early
/// layers, which no prefetch can hide, stay, and of a layer those that are unlikely go. The matrices and their
/// collection: ActivationTracker. Ties by recency.
///
/// The paper takes p from the prediction, where a layer's proximity stands in p and in n; it cancels out but for ε,
/// which is added after the division here. Until a request (or its prompt) has been collected nothing is known of any
/// expert, and the layer decides. The collection starts with what was prepared, if there is any.
///
/// Scores are fixed as long as the match is, so the experts are ranked once for each entry of the collection.
class MoeInfinityRule final : public EvictionRule {
public:
    explicit MoeInfinityRule(int capacity) : m_capacity(capacity) {}

    void begin(const OffloadContext& context) override {
        m_shape = context.shape;
        m_tracker.emplace(m_shape, m_capacity);
        m_tracker->seed(collectedActivations(context));
        m_orders.assign(static_cast<std::size_t>(m_capacity) + 1, {});
        m_present.assign(static_cast<std::size_t>(m_shape.total()), 0);
        m_log.clear();
    }
    void beginRequest() override { m_tracker->beginRequest(); }
    void onLayer(const RoutedLayer& routed, Predictors&) override { m_tracker->observe(routed); }
    void onUse(int, std::int64_t, bool) override {}
    void onAdmit(int expert, std::int64_t) override { change(expert, 1); }
    void onLeave(int expert) override { change(expert, 0); }
    double score(int expert) const override {
        const double early = 1 - static_cast<double>(expert / m_shape.experts) / m_shape.layers;
        return (m_tracker->share(m_shape.ref(expert)) + kEpsilon) * early;
    }
    int victim(const EvictionCandidates& candidates) const override;

private:
    void change(int expert, char present) {
        m_present[static_cast<std::size_t>(expert)] = present;
        m_log.push_back(expert);
        if (m_log.size() < 16 * m_present.size()) return;
        m_log.clear();
        for (RankedOrder& order : m_orders)
            order.current = false;
    }
    RankedOrder& order() const;
    void rank(RankedOrder& order) const;
    void catchUp(RankedOrder& order) const;
    int scanLayer(const EvictionCandidates& candidates) const;

    int m_capacity;
    OffloadShape m_shape;
    std::optional<ActivationTracker> m_tracker;
    std::vector<char> m_present;                ///< [experts of all layers]
    std::vector<int> m_log;                     ///< experts that came or went
    mutable std::vector<RankedOrder> m_orders;  ///< [capacity, then the one without a match]
};

RankedOrder& MoeInfinityRule::order() const {
    const auto matched = m_tracker->matched();
    RankedOrder& order = m_orders[static_cast<std::size_t>(matched.empty() ? m_capacity : matched.front())];
    const std::int64_t generation = matched.empty() ? 0 : m_tracker->collection().generation(matched.front());
    if (order.generation != generation) {
        rank(order);
        order.generation = generation;
    }
    catchUp(order);
    return order;
}

void MoeInfinityRule::rank(RankedOrder& order) const {
    const std::size_t total = m_present.size();
    std::vector<double> scores(total);
    for (std::size_t expert = 0; expert < total; ++expert)
        scores[expert] = score(static_cast<int>(expert));
    order.expertAt.resize(total);
    std::iota(order.expertAt.begin(), order.expertAt.end(), 0);
    std::ranges::stable_sort(order.expertAt, {}, [&](int expert) { return scores[static_cast<std::size_t>(expert)]; });
    order.rankOf.resize(total);
    order.group.resize(total);
    for (std::size_t rank = 0; rank < total; ++rank) {
        const auto expert = static_cast<std::size_t>(order.expertAt[rank]);
        order.rankOf[expert] = static_cast<int>(rank);
        const bool same = rank > 0 && scores[expert] == scores[static_cast<std::size_t>(order.expertAt[rank - 1])];
        order.group[rank] = same ? order.group[rank - 1] : static_cast<int>(rank);
    }
    order.current = false;
}

void MoeInfinityRule::catchUp(RankedOrder& order) const {
    const auto put = [&](std::size_t expert) {
        const int rank = order.rankOf[expert];
        const std::uint64_t bit = std::uint64_t{1} << (rank % kWord);
        std::uint64_t& word = order.present[static_cast<std::size_t>(rank / kWord)];
        word = m_present[expert] ? word | bit : word & ~bit;
        const std::uint64_t filled = std::uint64_t{1} << (rank / kWord % kWord);
        std::uint64_t& words = order.filled[static_cast<std::size_t>(rank / kWord / kWord)];
        words = word != 0 ? words | filled : words & ~filled;
    };
    if (order.current && m_log.size() - order.read < m_present.size()) {
        for (; order.read < m_log.size(); ++order.read)
            put(static_cast<std::size_t>(m_log[order.read]));
        return;
    }
    order.present.assign(m_present.size() / kWord + 1, 0);
    order.filled.assign(order.present.size() / kWord + 1, 0);
    for (std::size_t expert = 0; expert < m_present.size(); ++expert)
        if (m_present[expert]) put(expert);
    order.read = m_log.size();
    order.current = true;
}

int MoeInfinityRule::victim(const EvictionCandidates& candidates) const {
    if (candidates.layer() >= 0) return scanLayer(candidates);
    const RankedOrder& ranked = order();
    int best = -1, group = -1;
    // From word to word that holds some, and in it from rank to rank.
    for (std::size_t first = 0; first < ranked.filled.size(); ++first) {
        for (std::uint64_t words = ranked.filled[first]; words != 0; words &= words - 1) {
            const std::size_t word = first * kWord + static_cast<std::size_t>(std::countr_zero(words));
            for (std::uint64_t bits = ranked.present[word]; bits != 0; bits &= bits - 1) {
                const std::size_t rank = word * kWord + static_cast<std::size_t>(std::countr_zero(bits));
                if (best >= 0 && ranked.group[rank] != group) return best;
                const int expert = ranked.expertAt[rank];
                if (!candidates.contains(expert)) continue;
                if (best < 0 || candidates.lastOrder(expert) < candidates.lastOrder(best)) best = expert;
                group = ranked.group[rank];
            }
        }
    }
    return best;
}

int MoeInfinityRule::scanLayer(const EvictionCandidates& candidates) const {
    const RankedOrder& ranked = order();
    const auto group = [&](int expert) {
        return ranked.group[static_cast<std::size_t>(ranked.rankOf[static_cast<std::size_t>(expert)])];
    };
    int best = -1;
    std::pair<int, std::int64_t> bestKey;
    const int from = candidates.layer() * m_shape.experts;
    for (int expert = from; expert < from + m_shape.experts; ++expert) {
        if (!candidates.contains(expert)) continue;
        const std::pair key{group(expert), candidates.lastOrder(expert)};
        if (best < 0 || key < bestKey) best = expert, bestKey = key;
    }
    return best;
}

}  // namespace

EvictionEntry moeInfinityEviction() {
    return {{.name = "moe-infinity",
             .summary = "The expert least likely by the past request nearest to this one leaves, late layers first.",
             .parameters = "collection=120",
             .source = "MoE-Infinity (arXiv 2401.14361v3), algorithm 1"},
            [](Parameters& parameters) {
                return std::unique_ptr<EvictionRule>(std::make_unique<MoeInfinityRule>(
                    parameters.integer("collection", ActivationTracker::kPaperCapacity, 1, 10000)));
            }};
}

}  // namespace expertscope
