// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <functional>

#include "engine/offload/policies/policies.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {
namespace {

/// Brainstorm (OSDI'23), its memory plan for routers: a path whose load history reaches a threshold is *predicted*, and
/// its weights are loaded at the router before, whether it will be taken or not; the others are loaded on demand; all
/// are unloaded after use. The first layer's predicted paths (its "initial" group) are loaded at the end of the step
/// before.
///
/// The history is a profile run's there; here it is the prepared popularity where there is one, and goes on counting as
/// it runs. The threshold is in multiples of the mean load (top-k / experts), since the published one is a bare count.
/// cache=yes keeps experts while the budget allows, as MoE-Infinity's re-implementation of Brainstorm does.
class Brainstorm final : public Policy {
public:
    Brainstorm(double threshold, bool caches) : m_threshold(threshold), m_caches(caches) {}

    void begin(const OffloadContext& context) override {
        Policy::begin(context);
        m_loads.assign(static_cast<std::size_t>(shape().total()), 0);
        m_layerLoads.assign(static_cast<std::size_t>(shape().layers), 0);
        if (!context.prepared || !context.prepared->find("popularity")) return;
        const PreparedTable& history = context.prepared->table("popularity", {shape().layers, shape().experts});
        for (std::size_t i = 0; i < m_loads.size(); ++i)
            count(static_cast<int>(i), static_cast<double>(history.values[i]));
    }
    void observe(const RoutedLayer& routed, Predictors&) override {
        for (const ExpertId expert : routed.experts)
            if (expert.value() >= 0) count(shape().flat({routed.layer, expert}), 1);
    }
    void prefetch(const RoutedLayer& routed, Predictors&, const ResidencyView&,
                  std::vector<WantedExpert>& wanted) override {
        const LayerIndex next((routed.layer.value() + 1) % shape().layers);
        const double mean = m_layerLoads[next.index()] / shape().experts;
        for (int expert = 0; expert < shape().experts && mean > 0; ++expert) {
            const ExpertRef ref{next, ExpertId(expert)};
            const double load = m_loads[static_cast<std::size_t>(shape().flat(ref))] / mean;
            if (load >= m_threshold) wanted.push_back({ref, static_cast<float>(load)});
        }
        std::ranges::stable_sort(wanted, std::greater<>(), &WantedExpert::score);
    }
    bool predictsItself() const override { return true; }
    bool releases() const override { return true; }
    bool keeps(ExpertRef) const override { return m_caches; }

private:
    void count(int flat, double loads) {
        m_loads[static_cast<std::size_t>(flat)] += loads;
        m_layerLoads[shape().ref(flat).layer.index()] += loads;
    }

    double m_threshold;
    bool m_caches;
    std::vector<double> m_loads;       ///< [layers, experts] selections
    std::vector<double> m_layerLoads;  ///< [layers]
};

}  // namespace

PolicyEntry brainstormPolicy() {
    return {{.name = "brainstorm",
             .parameters = "threshold=1.5 (times the mean load), cache=no|yes",
             .needs = {},
             .source = "Brainstorm (OSDI'23)",
             .summary = "Experts whose load has been high are brought one layer early; all are released after use.",
             .startsFrom = {"popularity"}},
            [](Parameters& parameters) {
                const double threshold = parameters.number("threshold", 1.5, 0, 1e6);
                const bool caches = parameters.word("cache", {"no", "yes"}) == "yes";
                return std::unique_ptr<Policy>(std::make_unique<Brainstorm>(threshold, caches));
            }};
}

}  // namespace expertscope
