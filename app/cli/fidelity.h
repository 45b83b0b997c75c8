// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "app/cli/output.h"
#include "engine/base/run_facts.h"

namespace expertscope {

/// How much an approximate run's next-token distributions differ from those of the all-resident model.
struct Fidelity {
    std::int64_t positions = 0;
    double top1Agreement = 0;   ///< share of positions with the same most likely token
    double kl = 0;              ///< mean KL(resident ‖ run), nats
    double totalVariation = 0;  ///< mean of half the L1 distance of the distributions
    double perplexity = 0;      ///< of the run, over the positions whose next token is known
    double residentPerplexity = 0;
    Json toJson() const;
};

/// How a run changed the routing, as keys beside those of Fidelity: of `dropped`, `substituted`, `low_precision` and
/// `rerouted` experts (chosen otherwise than by the layer's own gate, and not among its top k) the share of all choices
/// and of the router's mass. 0 where nothing was counted: an exact policy changes nothing.
Json routingJson(const RoutingChanges& changes);

/// Σ −ln p(next token) of a model over positions: the numerator of its perplexity.
class LikelihoodSum {
public:
    /// `logits`: [vocabulary].
    void add(std::span<const float> logits, std::int32_t next);
    std::int64_t tokens() const { return m_tokens; }
    double nats() const { return m_nats; }
    double perplexity() const;

private:
    std::int64_t m_tokens = 0;
    double m_nats = 0;
};

/// Collects a run's fidelity position by position. Computed in double: O(vocabulary) a position.
class FidelityMeter {
public:
    /// Logits of the same position [vocabulary]; `next` is the token that follows in the text.
    void add(std::span<const float> run, std::span<const float> resident, std::int32_t next);
    Fidelity result() const;

private:
    std::int64_t m_positions = 0;
    std::int64_t m_agreed = 0;
    double m_kl = 0;
    double m_totalVariation = 0;
    LikelihoodSum m_run, m_resident;
};

}  // namespace expertscope
