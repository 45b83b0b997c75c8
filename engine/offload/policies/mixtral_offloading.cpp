// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policies/expected_union.h"
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

/// Mixtral Offloading (arXiv 2312.17238). Every layer keeps the same number of experts, least recently used out.
///
/// mode=paper: once a layer's experts are asked for, the next layer's own gate is applied to the present hidden state
/// and the best `speculate` experts of each token are brought into buffers beside the layers' shares; they push nobody
/// out until they are really used, and leave at the end of their layer otherwise. mode=code is what was published as
/// code: the caches alone, for speculative loading never reached the repository.
///
/// Differs: weights are only read, so an evicted expert is dropped, where the code swaps it back to the host (twice the
/// traffic); what the layers' equal shares leave over goes to the first layers; where there are fewer slots than layers
/// and buffers, those layers that are left without a share take from any, and nothing is speculated.
class MixtralOffloading final : public Policy {
public:
    MixtralOffloading(bool speculates, int perToken) : m_speculates(speculates), m_perToken(perToken) {}

    CacheDomain domain() const override {
        const int buffers = m_speculates ? m_perToken : 0;
        const int shared = shape().slots - buffers >= shape().layers ? shape().slots - buffers : shape().slots;
        CacheDomain domain{.share = {}, .prefetchesBeside = true};
        for (int layer = 0; layer < shape().layers; ++layer)
            domain.share.push_back(shared / shape().layers + (layer < shared % shape().layers ? 1 : 0));
        return domain;
    }

    void prefetch(const RoutedLayer& routed, Predictors& predictors, const ResidencyView&,
                  std::vector<WantedExpert>& wanted) override {
        const LayerIndex next(routed.layer.value() + 1);
        if (!m_speculates || next.value() == shape().layers) return;
        m_union.append(predictors.of(PredictorKind::NextGate, next), next, m_perToken, wanted);
    }

private:
    bool m_speculates;
    int m_perToken;
    ExpectedUnion m_union;
};

}  // namespace

PolicyEntry mixtralOffloadingPolicy() {
    return {{.name = "mixtral-offloading",
             .parameters = "mode=paper|code, speculate=2 (experts a token, mode=paper)",
             .needs = {},
             .source = "Mixtral Offloading (arXiv 2312.17238)",
             .summary = "Equal caches of every layer; the next gate's choice is brought into buffers beside them."},
            [](Parameters& parameters) {
                const bool speculates = parameters.word("mode", {"paper", "code"}) == "paper";
                const int perToken = parameters.integer("speculate", 2, 1, 64);
                return std::unique_ptr<Policy>(std::make_unique<MixtralOffloading>(speculates, perToken));
            }};
}

}  // namespace expertscope
