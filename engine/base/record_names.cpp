// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/record_names.h"

#include <array>
#include <cstddef>

namespace expertscope {
namespace {

template <class Enum, std::size_t N>
std::string_view pick(const std::array<std::string_view, N>& words, Enum value) {
    const auto index = static_cast<std::size_t>(value);
    return index < N ? words[index] : "unknown";
}

// Each table is in the order of its enumeration's values, which are fixed by the file format.
constexpr std::array<std::string_view, 2> kPhases{"prefill", "decode"};
constexpr std::array<std::string_view, 15> kSpanKinds{
    "step", "layer",  "attention", "router",          "experts",           "expert-compute",   "combine",
    "head", "sample", "wait",      "transfer-demand", "transfer-prefetch", "transfer-preload", "predict",
    "range"};
constexpr std::array<std::string_view, 6> kLaneRoles{"compute",     "worker", "transfer",
                                                     "near-memory", "thread", "ranges"};
constexpr std::array<std::string_view, 3> kOutcomes{"hit", "in-flight", "miss"};
constexpr std::array<std::string_view, 5> kSelectionActions{"run", "in-place", "low-precision", "dropped",
                                                            "substituted"};
constexpr std::array<std::string_view, 3> kResidencyChanges{"admit", "evict", "cancel"};
constexpr std::array<std::string_view, 5> kResidencyReasons{"preload", "demand", "prefetch", "released", "run-end"};
constexpr std::array<std::string_view, 3> kTransferPurposes{"demand", "prefetch", "preload"};
constexpr std::array<std::string_view, 5> kTransferFates{"used", "useful", "late", "wasted", "cancelled"};
constexpr std::array<std::string_view, 4> kPredictors{"pre-gate", "next-gate", "own-gate", "policy"};
constexpr std::array<std::string_view, 4> kSeverities{"info", "warning", "data-loss", "error"};
constexpr std::array<std::string_view, 5> kRunStates{"running", "complete", "interrupted", "crashed", "failed"};

}  // namespace

std::string_view name(Phase value) { return pick(kPhases, value); }
std::string_view name(SpanKind value) { return pick(kSpanKinds, value); }
std::string_view name(LaneRole value) { return pick(kLaneRoles, value); }
std::string_view name(Outcome value) { return pick(kOutcomes, value); }
std::string_view name(SelectionAction value) { return pick(kSelectionActions, value); }
std::string_view name(ResidencyChange value) { return pick(kResidencyChanges, value); }
std::string_view name(ResidencyReason value) { return pick(kResidencyReasons, value); }
std::string_view name(TransferPurpose value) { return pick(kTransferPurposes, value); }
std::string_view name(TransferFate value) { return pick(kTransferFates, value); }
std::string_view name(PredictorKind value) { return pick(kPredictors, value); }
std::string_view name(Severity value) { return pick(kSeverities, value); }
std::string_view name(RunState value) { return pick(kRunStates, value); }

}  // namespace expertscope
