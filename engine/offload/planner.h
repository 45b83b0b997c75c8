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
};

/// One expert that a layer needs in a step, however many of its tokens chose it.
struct ExpertAccess {
    ExpertId expert;
    bool present = false;  ///< a slot was its own when the layer was routed (its bytes may still be under way)
};

/// The logical half of offloading, common to the live engine and the replay: after a layer's router it decides which
/// experts run in which wave, which slots change hands for them, and what is prefetched. It knows no clock: the same
/// routing gives the same decisions. Use: beginLayer, then nextWave until it gives none, then endLayer.
///
/// Waves: a layer that needs more experts than there are slots runs in several, in order of first use. Those whose
/// slots could be had form a wave; once they have run their slots may be taken for the next. An expert still needed is
/// never evicted, one that has run may be.
class Planner {
public:
    Planner(const OffloadShape& shape, Policy& policy, EvictionRule& rule);

    /// Makes every expert resident (policies that keep all).
    void preload(std::vector<SlotCommand>& commands);

    void beginLayer(const RoutedLayer& routed, Predictors& predictors);
    /// The layer's experts in order of first use (token, then slot).
    const std::vector<ExpertAccess>& accesses() const { return m_accesses; }
    /// Plans the next wave: indices into accesses() of the experts that run in it, and the slots that change hands for
    /// them; the first wave's commands end with the prefetches that found a slot. False when every expert has run.
    bool nextWave(std::vector<int>& wave, std::vector<SlotCommand>& commands);
    /// Frees the layer's experts for eviction and issues the prefetches that had found no slot.
    void endLayer(std::vector<SlotCommand>& commands);

    const Residency& residency() const { return m_residency; }

private:
    bool bring(ExpertRef ref, TransferPurpose purpose, std::vector<SlotCommand>& commands);
    void issuePrefetches(std::vector<SlotCommand>& commands);

    OffloadShape m_shape;
    Policy* m_policy;
    Residency m_residency;
    LayerIndex m_layer;
    std::vector<ExpertAccess> m_accesses;
    std::vector<char> m_seen;           ///< [experts], scratch of beginLayer
    std::vector<char> m_planned;        ///< [accesses], has been given to a wave
    std::vector<ExpertRef> m_wanted;    ///< prefetches still to be issued, most wanted first
    std::vector<ExpertRef> m_expected;  ///< prefetched for a later layer and guarded
    std::size_t m_waves = 0;
    std::vector<int> m_lastWave;
};

}  // namespace expertscope
