// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <limits>
#include <vector>

#include "engine/offload/policies/policies.h"
#include "engine/offload/residency_view.h"

namespace expertscope {
namespace {

/// Mixture of Cache-Conditional Experts (arXiv 2412.00099), its "cache prior": experts are ranked by
/// z' = z + λ · Δ_avg · 1[on the device or among the token's top J], where Δ_avg is the mean range (largest − smallest)
/// of a token's router logits in the layer, over the tokens seen so far. Only the ranking changes: those chosen are
/// weighted by the router's own logits. λ = 0 is the unchanged model, λ = 1 chooses among the residents (and the top
/// J).
///
/// Differs in that Δ_avg runs over the whole run and counts a step's tokens before the first of them is ranked, and in
/// that all tokens of a prompt see the residents that were there before it. The paper's cache is LRU per layer: take
/// `--eviction lru:scope=layer`.
class CachePrior final : public Policy {
public:
    CachePrior(double lambda, int topJ) : m_lambda(lambda), m_topJ(topJ) {}

    void begin(const OffloadContext& context) override {
        Policy::begin(context);
        m_ranges.assign(static_cast<std::size_t>(shape().layers), {});
        m_ranked.resize(static_cast<std::size_t>(shape().experts));
    }
    bool adjustsLogits() const override { return true; }
    bool weighsByOwnGate() const override { return true; }

    void adjustLogits(LayerIndex layer, int, std::span<float> logits, const ResidencyView& residency) override {
        const auto experts = static_cast<std::size_t>(shape().experts);
        Range& range = m_ranges[layer.index()];
        for (std::size_t at = 0; at < logits.size(); at += experts) {
            const auto [least, most] = std::ranges::minmax(logits.subspan(at, experts));
            range.sum += static_cast<double>(most) - static_cast<double>(least);
            ++range.tokens;
        }
        const auto bonus = static_cast<float>(m_lambda * range.sum / static_cast<double>(range.tokens));
        for (std::size_t at = 0; at < logits.size(); at += experts) {
            const std::span<float> token = logits.subspan(at, experts);
            const float least = smallestOfTop(token);
            for (std::size_t expert = 0; expert < experts; ++expert)
                if (token[expert] >= least || residency.present({layer, ExpertId(static_cast<std::int32_t>(expert))}))
                    token[expert] += bonus;
        }
    }

private:
    struct Range {
        double sum = 0;
        std::int64_t tokens = 0;
    };

    /// The token's J-th largest logit.
    float smallestOfTop(std::span<const float> token) {
        const auto j = static_cast<std::size_t>(std::min(m_topJ, shape().experts));
        if (j == 0) return std::numeric_limits<float>::infinity();
        std::ranges::copy(token, m_ranked.begin());
        const auto nth = m_ranked.begin() + static_cast<std::ptrdiff_t>(j) - 1;
        std::nth_element(m_ranked.begin(), nth, m_ranked.end(), std::greater<>());
        return *nth;
    }

    double m_lambda;
    int m_topJ;
    std::vector<Range> m_ranges;  ///< [layers]
    std::vector<float> m_ranked;  ///< [experts]
};

}  // namespace

PolicyEntry cachePriorPolicy() {
    return {{.name = "cache-prior",
             .exact = false,
             .parameters = "lambda=0.5, top-j=1",
             .needs = "",
             .source = "Mixture of Cache-Conditional Experts (arXiv 2412.00099)",
             .summary = "The router prefers experts that are on the device, by a share of its logits' range."},
            [](Parameters& parameters) {
                const double lambda = parameters.number("lambda", 0.5, 0, 1);
                const int topJ = parameters.integer("top-j", 1, 0, 1 << 20);
                return std::unique_ptr<Policy>(std::make_unique<CachePrior>(lambda, topJ));
            }};
}

}  // namespace expertscope
