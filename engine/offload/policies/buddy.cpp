// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/offload/policies/policies.h"
#include "engine/offload/prepared_data.h"
#include "engine/offload/residency_view.h"

namespace expertscope {
namespace {

struct BuddyRules {
    double percentile = 15;  ///< of the layer's gate entropies so far; a token below substitutes nothing
    double beta = 1;      ///< share of a layer's choices that may be absent; from there on all are fetched. 1: no limit
    double alpha = 0.95;  ///< cumulative co-activation at which an expert's list of buddies is cut
    double eta = 0.5;     ///< what a buddy's own router probability counts
    int rho = 1;          ///< substitutions a token
};

/// BuddyMoE (arXiv 2511.10054): an absent expert is replaced by a resident one that is often chosen beside it. A token
/// may substitute when its gate is undecided: TAE = −Σ p̃ ln p̃ ÷ ln k over its k normalised weights lies above the
/// layer's 15th percentile. The buddy j of i is the resident one, not chosen by the token already, with the highest
/// Ψ(j|i,x) = q(j|i) · (1 + η · ẑ_j), q the co-activation probability and ẑ_j the router's probability of j for the
/// token over the largest one; it runs with the weight of i. Absent choices are replaced by rising weight, ρ a token.
///
/// Differs from the paper in that there is one device, so that its factor for the distance between devices is 1, and in
/// that q is counted during the run (from the router's own choices) on top of the prepared table, if there is one; the
/// percentile is a running one, over the tokens seen so far.
class Buddy final : public Policy {
public:
    explicit Buddy(const BuddyRules& rules) : m_rules(rules) {}

    void begin(const OffloadContext& context) override {
        Policy::begin(context);
        const auto experts = static_cast<std::size_t>(shape().experts);
        const auto pairs = static_cast<std::size_t>(shape().layers) * experts * experts;
        m_entropies.assign(static_cast<std::size_t>(shape().layers), {});
        if (context.prepared && context.prepared->find("co_activation"))
            m_together =
                context.prepared->table("co_activation", {shape().layers, shape().experts, shape().experts}).values;
        else
            m_together.assign(pairs, 0);
        m_order.resize(experts);
    }

    bool revises() const override { return true; }
    void revise(const RoutedChoice& choice, const ResidencyView& residency) override {
        const auto width = static_cast<std::size_t>(shape().topK);
        const auto absent = [&](ExpertId expert) { return !residency.present({choice.layer, expert}); };
        for (std::size_t at = 0; at < choice.experts.size(); at += width) {
            learn(choice.layer, choice.experts.subspan(at, width));
            ++m_entropies[choice.layer.index()][bin(entropy(choice.weights.subspan(at, width)))];
        }
        const auto missing = static_cast<double>(std::ranges::count_if(choice.experts, absent));
        if (m_rules.beta < 1 && missing >= m_rules.beta * static_cast<double>(choice.experts.size())) return;
        const std::size_t threshold = thresholdOf(choice.layer);
        const auto experts = static_cast<std::size_t>(shape().experts);
        for (std::size_t at = 0; at < choice.experts.size(); at += width) {
            if (bin(entropy(choice.weights.subspan(at, width))) <= threshold) continue;
            const auto probabilities = choice.probabilities.subspan(at / width * experts, experts);
            int left = m_rules.rho;
            for (std::size_t slot = width; slot-- > 0 && left > 0;) {
                ExpertId& expert = choice.experts[at + slot];
                if (!absent(expert)) continue;
                const int buddy =
                    buddyOf(choice.layer, expert, choice.experts.subspan(at, width), probabilities, residency);
                if (buddy < 0) continue;
                expert = ExpertId(buddy);
                choice.actions[at + slot] = SelectionAction::Substituted;
                --left;
            }
        }
    }

private:
    static constexpr std::size_t kBins = 256;  ///< of gate entropy, which lies in [0, 1]
    static std::size_t bin(double entropy) {
        return static_cast<std::size_t>(std::clamp(entropy, 0.0, 1.0) * (kBins - 1));
    }
    double entropy(std::span<const float> weights) const {
        if (weights.size() < 2) return 0;
        const double total = std::reduce(weights.begin(), weights.end(), 0.0);
        double sum = 0;
        for (const float weight : weights)
            if (weight > 0) sum -= static_cast<double>(weight) / total * std::log(static_cast<double>(weight) / total);
        return sum / std::log(static_cast<double>(weights.size()));
    }
    /// The bin that holds the layer's percentile.
    std::size_t thresholdOf(LayerIndex layer) const {
        const auto& counts = m_entropies[layer.index()];
        const auto all = static_cast<double>(std::reduce(counts.begin(), counts.end(), std::int64_t{0}));
        double below = 0;
        for (std::size_t i = 0; i < kBins; ++i) {
            below += static_cast<double>(counts[i]);
            if (below >= all * m_rules.percentile / 100) return i;
        }
        return kBins - 1;
    }
    float* togetherWith(LayerIndex layer, ExpertId expert) {
        const auto experts = static_cast<std::size_t>(shape().experts);
        return m_together.data() + (layer.index() * experts + expert.index()) * experts;
    }
    void learn(LayerIndex layer, std::span<const ExpertId> chosen) {
        for (const ExpertId a : chosen)
            for (const ExpertId b : chosen)
                if (a != b) ++togetherWith(layer, a)[b.index()];
    }
    /// −1: none of its list is resident and free.
    int buddyOf(LayerIndex layer, ExpertId missing, std::span<const ExpertId> chosen,
                std::span<const float> probabilities, const ResidencyView& residency) {
        const float* const together = togetherWith(layer, missing);
        const double all = std::reduce(together, together + shape().experts, 0.0);
        std::iota(m_order.begin(), m_order.end(), 0);
        std::ranges::stable_sort(m_order, [&](int a, int b) { return together[a] > together[b]; });
        const auto largest = static_cast<double>(std::ranges::max(probabilities));
        double covered = 0, bestScore = 0;
        int best = -1;
        for (const int candidate : m_order) {
            const auto count = static_cast<double>(together[candidate]);
            if (count == 0 || covered >= m_rules.alpha * all) break;
            covered += count;
            const ExpertId expert(candidate);
            if (!residency.present({layer, expert}) || std::ranges::find(chosen, expert) != chosen.end()) continue;
            const double own = static_cast<double>(probabilities[static_cast<std::size_t>(candidate)]) / largest;
            const double score = count / all * (1 + m_rules.eta * own);
            if (score > bestScore) {
                bestScore = score;
                best = candidate;
            }
        }
        return best;
    }

    BuddyRules m_rules;
    std::vector<float> m_together;                             ///< [layers, experts, experts] tokens that chose both
    std::vector<std::array<std::int64_t, kBins>> m_entropies;  ///< [layers] tokens by their gate's entropy
    std::vector<int> m_order;                                  ///< [experts]
};

}  // namespace

PolicyEntry buddyPolicy() {
    return {{.name = "buddy",
             .exact = false,
             .parameters = "rho=1, percentile=15, beta=1, alpha=0.95, eta=0.5",
             .needs = "",
             .source = "BuddyMoE (arXiv 2511.10054)",
             .summary = "An absent expert is replaced by a resident one that is often chosen beside it.",
             .startsFrom = {"co_activation"}},
            [](Parameters& parameters) {
                const BuddyRules rules{.percentile = parameters.number("percentile", 15, 0, 100),
                                       .beta = parameters.number("beta", 1, 0, 1),
                                       .alpha = parameters.number("alpha", 0.95, 0, 1),
                                       .eta = parameters.number("eta", 0.5, 0, 100),
                                       .rho = parameters.integer("rho", 1, 0, 1024)};
                return std::unique_ptr<Policy>(std::make_unique<Buddy>(rules));
            }};
}

}  // namespace expertscope
