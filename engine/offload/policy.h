// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/records.h"
#include "engine/offload/offload_context.h"

namespace expertscope {

class EvictionRule;
class ResidencyView;

/// What a layer's router has decided: logical facts only, never the clock.
struct RoutedLayer {
    StepIndex step;
    TokenIndex firstToken{};  ///< run-wide index of the step's first position
    LayerIndex layer;
    Phase phase = Phase::Decode;
    int tokens = 0;                     ///< positions of this step
    std::span<const ExpertId> experts;  ///< [tokens, topK], by falling score; −1 = dropped, nothing runs
    std::span<const float> weights;     ///< [tokens, topK], as applied
};

/// What a predictor expects of a layer, by falling score.
struct Prediction {
    int width = 0;                      ///< experts a token
    std::span<const ExpertId> experts;  ///< [tokens, width]
    std::span<const float> scores;      ///< [tokens, width], softmax probabilities
    bool empty() const { return experts.empty(); }
};

/// What the checkpoint's predictors expect of layers. In the live engine they are evaluated on the hidden state of the
/// layer that was just routed; in a replay they come from the recorded shadow predictions.
class Predictors {
public:
    virtual ~Predictors() = default;
    /// topK experts a token for PreGate and NextGate, 1 to 3 layers ahead. OwnGate gives the layer that was just routed
    /// by its own gate before the policy changed anything: Policy::ownGateWidth() experts a token. Empty where there is
    /// no such predictor for `target`.
    virtual Prediction of(PredictorKind kind, LayerIndex target) = 0;
};

/// By what a layer's experts are chosen and weighted.
struct RoutingSource {
    enum class Kind : std::uint8_t {
        OwnGate,     ///< the layer's own router on its own input
        PreGate,     ///< choice and weights by the pre-gate of the layer `ahead` before, on that layer's input
        EarlyInput,  ///< choice by the own gate on the input of the layer `ahead` before, weights by the own gate
    };
    Kind kind = Kind::OwnGate;
    int ahead = 0;  ///< layers; 0 for OwnGate
    bool operator==(const RoutingSource&) const = default;
};

/// What is done about an expert that a layer needs and that is not on the device.
enum class MissAction : std::uint8_t {
    Fetch,         ///< its bytes are brought, the layer waits
    InPlace,       ///< it is computed where it lies, by the near-memory workers
    LowPrecision,  ///< a low-precision copy is used, and brought where that is missing
};

/// One expert that a layer needs in a step, however many of its tokens chose it.
struct ExpertAccess {
    ExpertId expert;
    bool present = false;  ///< a slot was its own when the layer was routed (its bytes may still be under way)
    int tokens = 0;        ///< of the step that chose it
    float weight = 0;      ///< the largest with which one of them applies it
    MissAction action = MissAction::Fetch;  ///< where it is not present
    bool low = false;                       ///< its low-precision copy runs, and `present` is said of that
    bool inPlace() const { return !present && action == MissAction::InPlace; }
};

/// An expert that a policy wants to have brought.
struct WantedExpert {
    ExpertRef expert;
    float score = 0;   ///< the policy's own: what its predictor says
    bool low = false;  ///< its low-precision copy is enough
};

/// How the slots are shared among the layers.
struct CacheDomain {
    /// [layers] slots of each layer, summing to no more than there are; empty: one pool for all layers. A layer's
    /// demands evict among its own experts once it has its share; a layer whose share is 0 takes from any.
    std::vector<int> share;
    /// Whether prefetches evict nobody: they use the slots beyond the shares, and at a layer's end what it holds above
    /// its share leaves, unused prefetches first.
    bool prefetchesBeside = false;
};

/// A token's choice, before the experts run; for policies that change the output.
struct RoutedChoice {
    LayerIndex layer;
    Phase phase = Phase::Decode;
    int tokens = 0;
    std::span<ExpertId> experts;             ///< [tokens, topK] by falling score; −1 drops the choice
    std::span<float> weights;                ///< [tokens, topK] as they will be applied
    std::span<SelectionAction> actions;      ///< [tokens, topK] Run; the policy says what it did
    std::span<const float> probabilities{};  ///< [tokens, experts] softmax of the own gate; empty unless asked for
};

/// How experts are placed and moved: what to prefetch, from which prediction, in which order, and how routing is
/// changed. One object drives the live engine and the replay of a recorded run alike, so it decides by what it is told
/// and by nothing else. Every published system is a point in eight axes (predictor, look-ahead, order, cache domain,
/// eviction score, what happens on a miss, change of the output, preparation); a policy overrides the axes in which it
/// differs from the plainest one, which fetches on a miss, waits, admits, and leaves the routing alone.
///
/// The hooks of the output axis (adjustLogits, revise) run in the live engine alone: a replay is given the routing as
/// it came out. What a policy remembers must therefore come from the other hooks.
class Policy {
public:
    virtual ~Policy() = default;

    /// Told once, before anything else. `context` outlives the policy.
    virtual void begin(const OffloadContext& context) { m_context = &context; }
    /// A new request starts.
    virtual void beginRequest() {}

    // ---- placement

    /// Whether, with its parameters, it reads the tables that its PolicyInfo::prepared names.
    virtual bool usesPrepared() const { return true; }
    /// Whether every expert is made resident before the run; the budget is ignored then.
    virtual bool keepsAllResident() const { return false; }
    /// Experts that are made resident before the run, the most important first; as many as there are slots are taken.
    virtual void preload(std::vector<ExpertRef>& /*wanted*/) {}
    /// Whether a demand may take the expert's slot only when nothing else is left.
    virtual bool pins(ExpertRef) const { return false; }
    /// Cache domain.
    virtual CacheDomain domain() const { return {}; }
    /// Eviction score, where the policy brings its own; null: the one that the user chose.
    virtual std::unique_ptr<EvictionRule> makeEviction() const;
    /// Share of the budget that holds low-precision copies, in slots of their own; 0: the policy uses none. One slot at
    /// least stays in full precision.
    virtual double lowPrecisionShare() const { return 0; }
    /// Eviction score among the low-precision copies; to be given where they have a share.
    virtual std::unique_ptr<EvictionRule> makeLowEviction() const;
    /// Whether keeps() may say no; asked at every layer's end.
    virtual bool releases() const { return false; }
    /// Whether an expert of the layer that has just run stays until its slot is needed; otherwise it is released.
    virtual bool keeps(ExpertRef) const { return true; }

    // ---- output axis (live only)

    /// By what the experts of `layer` are chosen.
    virtual RoutingSource routing(LayerIndex) const { return {}; }
    /// Experts a token of the own gate's ranking that the policy asks Predictors for (OwnGate), recorded with the run
    /// so that a replay has them; 0 = none.
    virtual int ownGateWidth() const { return 0; }
    /// Whether adjustLogits() is to be called.
    virtual bool adjustsLogits() const { return false; }
    /// `logits` [tokens, experts] of a layer's router, before its top-k.
    virtual void adjustLogits(LayerIndex, int /*tokens*/, std::span<float> /*logits*/, const ResidencyView&) {}
    /// Whether the adjusted logits only rank the experts, and those chosen keep the weights of the logits as they were.
    virtual bool weighsByOwnGate() const { return false; }
    /// Whether revise() is to be called.
    virtual bool revises() const { return false; }
    /// Drops, substitutes or re-weights what was chosen.
    virtual void revise(const RoutedChoice&, const ResidencyView&) {}

    // ---- a layer was routed

    /// Told first: what was chosen; for what the policy remembers.
    virtual void observe(const RoutedLayer&, Predictors&) {}
    /// What to do about each absent access; `accesses` come with Fetch. LowPrecision is Fetch where there is no slot
    /// for a copy (OffloadShape::lowSlots).
    virtual void placeMisses(const RoutedLayer&, std::span<ExpertAccess> /*accesses*/) {}
    /// Predictor, look-ahead and order: appends the experts that should be brought, most wanted first; those that are
    /// present are skipped. What finds no slot now is tried again at the layer's end and then forgotten.
    virtual void prefetch(const RoutedLayer&, Predictors&, const ResidencyView&,
                          std::vector<WantedExpert>& /*wanted*/) {}

    /// Layers ahead, at most 4, whose next gates the policy asks for; recorded with the run.
    virtual int lookAhead() const { return 3; }
    /// Whether what prefetch() wants comes from a predictor of the policy's own, which the run then records.
    virtual bool predictsItself() const { return false; }
    /// Whether placeMisses() may say InPlace.
    virtual bool computesInPlace() const { return false; }

protected:
    const OffloadContext& context() const { return *m_context; }
    const OffloadShape& shape() const { return m_context->shape; }

private:
    const OffloadContext* m_context = nullptr;
};

}  // namespace expertscope
