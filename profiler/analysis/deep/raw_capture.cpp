// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/deep/raw_capture.h"

#include <utility>

#include "storage/deep_vectors.h"

namespace expertscope {
namespace {

constexpr const char* kActivations = "activations";

}  // namespace

RawCapture::RawCapture(std::filesystem::path session, RunId run) : m_session(std::move(session)), m_run(run) {
    for (const DeepVectors& vectors : deepVectors(m_session, m_run)) {
        if (vectors.name == kActivations) m_layers.push_back(vectors.layer);
        m_keptOthers = true;
    }
}

std::vector<std::int32_t> RawCapture::tokens(LayerIndex layer) const {
    return deepVectorTokens(m_session, m_run, layer);
}

std::optional<ActivationMap> RawCapture::activations(LayerIndex layer, TokenIndex token) const {
    ActivationMap map{.layer = layer,
                      .token = token,
                      .values = deepVectorOf(m_session, m_run, layer, token, kActivations),
                      .weights = deepVectorOf(m_session, m_run, layer, token, "weights")};
    if (map.values.empty() || map.weights.empty()) return std::nullopt;
    map.experts = static_cast<std::int32_t>(map.weights.size());
    map.neurons = static_cast<std::int32_t>(map.values.size() / map.weights.size());
    return map;
}

std::string RawCapture::missing() const {
    if (!m_layers.empty()) return {};
    return m_keptOthers ? "This run's vectors were kept by an earlier version, without the activations of neurons: "
                          "record it again with '--record routing,spans,norms,predictions,deep:raw'."
                        : "The activations of single tokens were not kept: record the run with '--record "
                          "routing,spans,norms,predictions,deep:raw'.";
}

}  // namespace expertscope
