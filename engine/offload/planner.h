// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "engine/offload/residency.h"

namespace expertscope {

/// One slot changes hands: the victim, if any, leaves, and the expert's bytes are to be brought.
struct SlotCommand {
    ExpertRef expert;
    SlotIndex slot;
    TransferPurpose purpose = TransferPurpose::Demand;
    std::optional<ExpertRef> victim;
    double victimScore = 0;
    bool low = false;  ///< slot, expert and victim are of the low-precision copies
};

/// A slot becomes free: the policy does not keep the expert.
struct SlotRelease {
    ExpertRef expert;
    SlotIndex slot;
    double score = 0;
};

/// The logical half of offloading, common to the live engine and the replay: after a layer's router it decides which
/// experts run in which wave, which slots change hands for them, and what is prefetched. It knows no clock: the same
/// routing gives the same decisions. Use: beginRequest for each request; for every layer beginLayer, then nextWave
/// until it gives none, then endLayer.
///
/// Waves: a layer that needs more experts than there are slots runs in several, in order of first use. Those whose
/// slots could be had form a wave; once they have run their slots may be taken for the next. An expert still needed is
/// never evicted, one that has run may be. Low-precision copies have slots and an eviction rule of their own. Experts
/// that are computed where they lie need no slot and are in no wave.
class Planner {
public:
    /// `context` is told to the policy and the rule, and outlives them. Where the policy brings its own eviction score,
    /// `rule` is not used and may be null.
    Planner(const OffloadContext& context, Policy& policy, EvictionRule* rule);

    /// Makes resident what the policy wants before the run.
    void preload(std::vector<SlotCommand>& commands);

    void beginRequest();
    void beginLayer(const RoutedLayer& routed, Predictors& predictors);
    /// The layer's experts in order of first use (token, then slot).
    const std::vector<ExpertAccess>& accesses() const { return m_accesses; }
    /// What the policy wanted to have brought after this layer's router, present ones included.
    const std::vector<WantedExpert>& wanted() const { return m_wanted; }
    /// Plans the next wave: indices into accesses() of the experts that run in it, and the slots that change hands for
    /// them; the first wave's commands end with the prefetches that found a slot. False when every expert has run.
    bool nextWave(std::vector<int>& wave, std::vector<SlotCommand>& commands);
    /// Frees the layer's experts for eviction, releases (first) those that the policy does not keep, and issues the
    /// prefetches that had found no slot.
    void endLayer(std::vector<SlotRelease>& releases, std::vector<SlotCommand>& commands);

    const Residency& residency() const { return m_residency; }
    ResidencyView view() const { return ResidencyView(m_residency, m_low.get()); }
    /// The slot of an access that has one; those of low-precision copies follow those of full precision.
    SlotIndex slotOf(const ExpertAccess& access) const;
    int lowOccupied() const { return m_low ? m_low->occupied() : 0; }
    EvictionRule& rule() { return *m_rule; }

private:
    Residency& tier(bool low) { return low ? *m_low : m_residency; }
    void placeLow();
    bool bring(ExpertRef ref, bool low, TransferPurpose purpose, std::vector<SlotCommand>& commands,
               bool takesPinned = true);
    void renewPins();
    void issuePrefetches(std::vector<SlotCommand>& commands);
    void releaseUnkept(std::vector<SlotRelease>& releases);
    void letGo(ExpertRef ref, bool low = false);

    OffloadShape m_shape;
    Policy* m_policy;
    std::unique_ptr<EvictionRule> m_ownRule;
    EvictionRule* m_rule;
    Residency m_residency;
    OffloadContext m_lowContext;
    std::unique_ptr<EvictionRule> m_lowRule;
    std::unique_ptr<Residency> m_low;  ///< of low-precision copies; null where the policy has none
    LayerIndex m_layer;
    std::vector<ExpertAccess> m_accesses;
    std::vector<int> m_accessOf;  ///< [experts] index into m_accesses, −1 = not needed
    std::vector<char> m_planned;  ///< [accesses], has been given to a wave
    std::vector<WantedExpert> m_wanted;
    std::size_t m_issued = 0;  ///< of m_wanted
    struct Expected {
        ExpertRef expert;
        bool low = false;
    };
    std::vector<Expected> m_expected;  ///< prefetched for a later layer and guarded
    std::size_t m_waves = 0;
    std::vector<int> m_lastWave;
};

}  // namespace expertscope
