// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/events.h"
#include "engine/base/run_facts.h"
#include "engine/offload/low_precision.h"
#include "engine/offload/planner.h"
#include "engine/offload/policy_registry.h"
#include "engine/offload/transfer_queue.h"

namespace expertscope {

struct ExpertCacheOptions {
    std::string policy;
    std::string eviction;
    SizeSpec budget;
    IoMode io = IoMode::Direct;
    std::optional<LinkSpec> link;
    RecordSet record;
    OffloadCosts costs{};                    ///< where the policy decides by them
    const PreparedData* prepared = nullptr;  ///< outlives the cache
    bool countRouting = false;               ///< how an approximate policy changes the routing is counted
};

/// An expert of the current wave whose bytes have arrived.
struct ReadyExpert {
    int access = 0;  ///< index into outcomes()
    ExpertId expert;
    ExpertWeights weights;
    const std::byte* low = nullptr;  ///< where its low-precision copy lies, which runs instead of `weights`
};

/// The live executor of a policy: carries out what the Planner decides, with real slots and a real link, says what
/// happened, and hands experts to the compute thread as they arrive. Used by the compute thread alone.
///
/// Use: start; then for every layer beginLayer, { nextWave, takeReady until empty } until nextWave is false, endLayer;
/// at last finish.
class ExpertCache {
public:
    /// Lane of the one link.
    static constexpr LaneId kLinkLane{100};

    /// Throws UsageError for an unknown name, a budget below one expert, or a policy whose needs the checkpoint lacks.
    ExpertCache(const Checkpoint& checkpoint, const ExpertCacheOptions& options, Observer& observer);

    const PolicyInfo& policy() const { return m_policyInfo; }
    RoutingSource routing(LayerIndex layer) const { return m_policy->routing(layer); }
    /// The policy's hooks of the output axis; each does nothing where the policy has no such wish.
    bool adjustsLogits() const { return m_policy->adjustsLogits(); }
    void adjustLogits(LayerIndex layer, int tokens, std::span<float> logits) {
        m_policy->adjustLogits(layer, tokens, logits, m_planner.view());
    }
    bool weighsByOwnGate() const { return m_policy->weighsByOwnGate(); }
    bool revises() const { return m_policy->revises(); }
    void revise(const RoutedChoice& choice) { m_policy->revise(choice, m_planner.view()); }
    bool computesInPlace() const { return m_policy->computesInPlace(); }
    bool countsRouting() const { return m_countsRouting; }
    int ownGateWidth() const { return std::max(m_policy->ownGateWidth(), m_countsRouting ? shape().topK : 0); }
    int lookAhead() const { return m_policy->lookAhead(); }
    const OffloadShape& shape() const { return m_context.shape; }
    const PreparedData* prepared() const { return m_context.prepared; }
    /// The copies of which ReadyExpert::low may be one; null where there are no slots for them.
    const LowPrecisionCopies* lowPrecision() const { return m_low ? &m_low->copies : nullptr; }
    /// Bytes that the slots hold.
    Bytes budget() const { return bytesOf(shape().slots, shape().lowSlots); }
    IoMode io() const { return m_store.mode(); }

    /// Announces the link and brings what the policy keeps resident.
    void start();

    void beginRequest() { m_planner.beginRequest(); }
    void beginLayer(const RoutedLayer& routed, Predictors& predictors);
    /// How the accesses of the layer, in order of first use, found their experts.
    std::span<const Outcome> outcomes() const { return m_outcomes; }
    const std::vector<ExpertAccess>& accesses() const { return m_planner.accesses(); }
    bool nextWave();
    /// Those of the wave that are there and were not taken yet; waits for one where none is. Empty when all were taken.
    /// They stay until the next nextWave() or endLayer().
    std::span<const ReadyExpert> takeReady();
    void endLayer();

    /// Tells the fate of what was prefetched and never used. No transfer is under way afterwards.
    void finish();

    /// Fills accesses … misses, the transfers' bytes (what was preloaded is not counted) and peakDevice.
    void summarize(RunSummary& summary) const;
    /// Time that takeReady() has waited.
    Nanoseconds waited() const { return m_waited; }

private:
    std::vector<SlotTier> tiers() const;
    Bytes bytesOf(int experts, int lowCopies) const {
        const Bytes full = m_store.expertBytes() * experts;
        return m_low ? full + m_low->copies.expertBytes() * lowCopies : full;
    }
    void execute(const std::vector<SlotCommand>& commands);
    void release(const std::vector<SlotRelease>& releases);
    void leave(ExpertRef victim, ExpertRef cause, SlotIndex slot, ResidencyReason reason, double score);
    void tellWanted(const RoutedLayer& routed);
    void settle(TransferRecord& record, TransferFate fate);
    void requirePreGates(const Checkpoint& checkpoint) const;
    void tell(const ResidencyRecord& record) {
        if (m_record.routing) m_observer->onResidency(record);
    }

    PolicyInfo m_policyInfo;
    ExpertStore m_store;
    std::unique_ptr<Policy> m_policy;
    std::unique_ptr<EvictionRule> m_eviction;
    OffloadContext m_context;
    Planner m_planner;
    Arena m_arena;
    /// The slots of low-precision copies; null where there are none.
    struct LowTier {
        LowTier(const Checkpoint& checkpoint, int slots)
            : copies(checkpoint), arena(slots, static_cast<std::size_t>(copies.expertBytes().count())) {}
        LowPrecisionCopies copies;
        Arena arena;
    };
    std::unique_ptr<LowTier> m_low;
    bool m_countsRouting;
    RecordSet m_record;
    Observer* m_observer;

    StepIndex m_step;
    LayerIndex m_layer;
    std::vector<Outcome> m_outcomes;
    std::vector<SlotCommand> m_commands;
    std::vector<SlotRelease> m_releases;
    std::vector<PredictionRecord> m_told;
    std::vector<int> m_wave;  ///< accesses of the wave that were not taken yet
    std::vector<ReadyExpert> m_ready;
    std::vector<SlotIndex> m_awaited;
    /// [slots of both tiers] the transfer that filled the slot; its fate is open until its first use or its leaving.
    struct Filling {
        TransferRecord record;
        bool open = false;
        Outcome firstFound = Outcome::Miss;
    };
    std::vector<Filling> m_fillings;
    std::int64_t m_nextTransfer = 0;
    RunSummary m_counts;
    Bytes m_peak;
    Bytes m_preloaded;  ///< moved before the run; not part of its transfers
    Nanoseconds m_waited;
    TransferQueue m_queue;  ///< last: its thread uses what stands above
};

}  // namespace expertscope
