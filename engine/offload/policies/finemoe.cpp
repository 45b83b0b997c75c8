// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <functional>

#include "engine/offload/expert_map_store.h"
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

/// What the policy's search has found, for the eviction rule.
struct FineMoeState {
    ExpertMapStore store;
    ExpertMapStore::Match match;
    float unknown = 0;  ///< probability of an expert while nothing was matched

    float probability(ExpertRef ref) const {
        return match.map < 0 ? unknown : store.row(match.map, ref.layer.value())[ref.expert.index()];
    }
};

/// FineMoE's PRI_evict = 1 / (p · freq), the highest out: here the lowest p · freq. p is the expert's probability in
/// the map that was matched last; freq counts its uses since it was admitted, the admission included, as the code
/// resets it on eviction. The code truncates the product to an integer, so that most experts tie; here it is not
/// truncated.
class FineMoeEviction final : public EvictionRule {
public:
    explicit FineMoeEviction(std::shared_ptr<const FineMoeState> state) : m_state(std::move(state)) {}

    void begin(const OffloadContext& context) override {
        m_shape = context.shape;
        m_visits.assign(static_cast<std::size_t>(m_shape.total()), 0);
    }
    void onUse(int expert, std::int64_t, bool first) override {
        if (first) ++m_visits[static_cast<std::size_t>(expert)];
    }
    void onAdmit(int expert, std::int64_t) override { m_visits[static_cast<std::size_t>(expert)] = 1; }
    double score(int expert) const override {
        return static_cast<double>(m_state->probability(m_shape.ref(expert))) *
               static_cast<double>(m_visits[static_cast<std::size_t>(expert)]);
    }

private:
    std::shared_ptr<const FineMoeState> m_state;
    OffloadShape m_shape;
    std::vector<std::int64_t> m_visits;
};

/// FineMoE (fMoE, arXiv 2502.05370): the router probabilities of the step so far are compared with those of past steps
/// (expert maps, collected as it runs); the likest map says which experts layer l + d needs: the most probable until
/// their sum exceeds δ = clip(1 − likeness, 0, 1) and there are top-k. Prefetches are ordered by p / (l − l_now).
///
/// Differs: the layers before d, which no trajectory foretells, are served in the paper by a search with the input's
/// embedding; a policy is not told embeddings, so they come from the map of the step that followed the one whose last d
/// layers were the likest to those of the step that has just ended, and the first step of a request has none. A step of
/// several tokens has one map, the mean of its tokens' probabilities. Of each token's row the `width` highest
/// probabilities are known, the others are 0. Search and prefetch take no time of their own: everything is in logical
/// order. The published code's trajectory search covers all later layers; this one layer, d ahead, as in the paper.
class FineMoe final : public Policy {
public:
    FineMoe(int distance, int capacity, int width) : m_distance(distance), m_capacity(capacity), m_width(width) {}

    void begin(const OffloadContext& context) override {
        Policy::begin(context);
        m_distance = std::min(m_distance, shape().layers);
        m_width = std::min(m_width, shape().experts);
        m_state = std::make_shared<FineMoeState>(
            FineMoeState{ExpertMapStore(shape().layers, shape().experts, m_capacity, m_distance),
                         {},
                         1.0F / static_cast<float>(shape().experts)});
        m_pending.assign(static_cast<std::size_t>(shape().layers), {});
        m_row.resize(static_cast<std::size_t>(shape().experts));
    }
    std::unique_ptr<EvictionRule> makeEviction() const override { return std::make_unique<FineMoeEviction>(m_state); }
    void beginRequest() override {
        m_state->store.reset();
        for (auto& pending : m_pending)
            pending.clear();
    }
    int ownGateWidth() const override { return m_width; }
    bool predictsItself() const override { return true; }

    void observe(const RoutedLayer& routed, Predictors& predictors) override {
        ExpertMapStore& store = m_state->store;
        if (routed.layer.value() == 0) store.begin();
        readRow(routed, predictors.of(PredictorKind::OwnGate, routed.layer));
        store.observe(m_row);
        m_pending[routed.layer.index()].clear();
        if (store.byTrajectory().map >= 0) m_state->match = store.byTrajectory();
        const int target = routed.layer.value() + m_distance;
        if (target < shape().layers) expect(store.byTrajectory(), target);
        if (routed.layer.value() + 1 < shape().layers) return;
        store.end();
        for (int layer = 0; layer < m_distance; ++layer)
            expect(store.byPredecessor(), layer);
    }

    void prefetch(const RoutedLayer& routed, Predictors&, const ResidencyView&,
                  std::vector<WantedExpert>& wanted) override {
        const int last = shape().layers - 1;
        const int first = routed.layer.value() == last ? 0 : routed.layer.value() + 1;
        for (int target = first; target <= std::min(first + m_distance - 1, last); ++target)
            for (WantedExpert expected : m_pending[static_cast<std::size_t>(target)]) {
                expected.score /= static_cast<float>(target - first + 1);
                wanted.push_back(expected);
            }
        std::ranges::stable_sort(wanted, std::greater<>(), &WantedExpert::score);
    }

private:
    /// The step's probabilities of the layer: the mean over its tokens; from the weights of those chosen where a
    /// recorded run holds no probabilities (a replay names that).
    void readRow(const RoutedLayer& routed, const Prediction& own) {
        std::ranges::fill(m_row, 0.0F);
        const auto experts = own.empty() ? routed.experts : own.experts;
        const auto scores = own.empty() ? routed.weights : own.scores;
        for (std::size_t i = 0; i < experts.size(); ++i)
            if (experts[i].value() >= 0) m_row[experts[i].index()] += scores[i] / static_cast<float>(routed.tokens);
    }
    void expect(const ExpertMapStore::Match& match, int layer) {
        auto& pending = m_pending[static_cast<std::size_t>(layer)];
        pending.clear();
        if (match.map < 0) return;
        const auto row = m_state->store.row(match.map, layer);
        selectExperts(row, match.score, shape().topK, m_chosen);
        for (const int expert : m_chosen)
            pending.push_back({{LayerIndex(layer), ExpertId(expert)}, row[static_cast<std::size_t>(expert)]});
    }

    int m_distance, m_capacity, m_width;
    std::shared_ptr<FineMoeState> m_state;
    std::vector<std::vector<WantedExpert>> m_pending;  ///< [layers] expected, with their probabilities
    std::vector<float> m_row;                          ///< [experts]
    std::vector<int> m_chosen;
};

}  // namespace

PolicyEntry fineMoePolicy() {
    return {
        {.name = "finemoe",
         .parameters = "distance=3 (layers), capacity=1000 (maps), width=32 (probabilities of a row that are known)",
         .needs = {},
         .source = "FineMoE (arXiv 2502.05370)",
         .summary = "Experts that past steps with alike router probabilities used are brought some layers ahead."},
        [](Parameters& parameters) {
            const int distance = parameters.integer("distance", 3, 1, 64);
            const int capacity = parameters.integer("capacity", 1000, 1, 100000);
            const int width = parameters.integer("width", 32, 1, 4096);
            return std::unique_ptr<Policy>(std::make_unique<FineMoe>(distance, capacity, width));
        }};
}

}  // namespace expertscope
