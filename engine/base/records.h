// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The plain records that the engine tells and the session file keeps. Times are absolute on the session clock
// (sessionNow()); layer, expert, step and token are -1 where they do not apply. Enumerator values are stored in
// files: never renumber them, only add.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/units.h"

namespace expertscope {

enum class Phase : std::uint8_t { Prefill = 0, Decode = 1 };

enum class SpanKind : std::uint8_t {
    Step = 0,               ///< one forward step through all layers, on the compute lane
    Layer = 1,              ///< one layer of a step
    Attention = 2,          ///< norm, projections, rope, attention, output projection
    Router = 3,             ///< norm, router logits, top-k
    Experts = 4,            ///< all experts of a layer on the compute lane, waits included
    ExpertCompute = 5,      ///< one expert over the tokens that chose it, on the lane of the worker that ran it
    Combine = 6,            ///< weighted sum of the experts' outputs
    Head = 7,               ///< final norm and logits
    Sample = 8,             ///< choosing the next token
    Wait = 9,               ///< the compute thread waits for an expert's bytes
    TransferDemand = 10,    ///< expert bytes move because a layer needs them now
    TransferPrefetch = 11,  ///< expert bytes move because a policy expects them
    TransferPreload = 12,   ///< expert bytes move before the run starts
    Predict = 13,           ///< shadow predictors are evaluated
    Range = 14,             ///< a range or mark (start = end) that a program told through NVTX, under a name of its own
};

enum class LaneRole : std::uint8_t {
    Compute = 0,
    Worker = 1,
    Transfer = 2,
    NearMemory = 3,
    Thread = 4,  ///< ranges of one thread of a program, one level of nesting
    Ranges = 5,  ///< ranges of a process that may begin and end on different threads
};

struct LaneInfo {
    LaneId lane;
    LaneRole role = LaneRole::Compute;
    std::string name;
};

/// What the number beside a named range is.
enum class PayloadType : std::uint8_t { None = 0, Integer = 1, Real = 2 /* the bits of a double */ };

struct SpanRecord {
    Nanoseconds start;
    Nanoseconds end;
    std::int64_t amount = 0;  ///< bytes of a transfer, tokens of an ExpertCompute, Step, Attention…; else 0
    StepIndex step{-1};
    LayerIndex layer{-1};
    ExpertId expert{-1};
    LaneId lane;
    SpanKind kind = SpanKind::Step;
    PayloadType payload = PayloadType::None;  ///< of a Range: what `amount` is
    RangeNameId name{-1};                     ///< of a Range
};

/// What the ranges of one name have in common.
struct RangeName {
    RangeNameId id;
    std::string domain;       ///< empty: the default domain
    std::string category;     ///< its name, or its number where it has none; empty: none
    std::string text;         ///< what the program called the range
    std::uint32_t color = 0;  ///< ARGB; 0: none
};

/// How an access found its expert: there; issued by a prefetch but not all arrived; neither there nor issued.
enum class Outcome : std::uint8_t { Hit = 0, InFlight = 1, Miss = 2 };

/// What became of a choice.
enum class SelectionAction : std::uint8_t {
    Run = 0,           ///< the expert ran on the device, in full precision
    InPlace = 1,       ///< it ran where it lies, by the near-memory workers
    LowPrecision = 2,  ///< its low-precision copy ran
    Dropped = 3,       ///< nothing ran; `expert` is the one that was left out, its weight is 0
    Substituted = 4,   ///< `expert` ran in place of another
};

/// One expert chosen for one token by one layer.
struct SelectionRecord {
    StepIndex step;
    TokenIndex token;
    LayerIndex layer;
    std::int32_t slot = 0;  ///< rank in the token's choice, 0 = highest score
    ExpertId expert;
    float weight = 0;  ///< as applied to the expert's output
    float norm = 0;    ///< L2 norm of the expert's unweighted output; NaN where not recorded
    Outcome outcome = Outcome::Hit;
    bool firstUse =
        false;  ///< this selection is the step's one access of the expert by this layer (counts in accesses)
    SelectionAction action = SelectionAction::Run;
};

enum class ResidencyChange : std::uint8_t { Admit = 0, Evict = 1, Cancel = 2 };
enum class ResidencyReason : std::uint8_t {
    Preload = 0,   ///< all experts are made resident before the run
    Demand = 1,    ///< a layer needed `cause` now
    Prefetch = 2,  ///< the policy expects `cause`
    Released = 3,  ///< the policy gave the slot back
    RunEnd = 4,
};

/// One change of what the device arena holds, in logical order.
struct ResidencyRecord {
    Nanoseconds time;
    StepIndex step;
    LayerIndex layer;   ///< the layer whose routing caused the change
    ExpertRef subject;  ///< the expert that came or went
    ExpertRef cause;    ///< for whom: the expert that needed the slot (= subject for an admission)
    SlotIndex slot;
    ResidencyChange change = ResidencyChange::Admit;
    ResidencyReason reason = ResidencyReason::Demand;
    double score = 0;  ///< by which the victim was chosen (lru: logical time of last use; lfu: uses); 0 for admissions
};

enum class TransferPurpose : std::uint8_t { Demand = 0, Prefetch = 1, Preload = 2 };
/// Used: a demand or preload. For a prefetch: Useful (arrived before its need), Late (needed while under way), Wasted
/// (arrived, left or run ended without use), Cancelled (slot taken away or run ended before it had arrived).
enum class TransferFate : std::uint8_t { Used = 0, Useful = 1, Late = 2, Wasted = 3, Cancelled = 4 };

/// One transfer, told when its fate is known.
struct TransferRecord {
    std::int64_t id = 0;  ///< in order of issue, from 0
    ExpertRef expert;
    SlotIndex slot;
    Bytes bytes;  ///< the expert's size
    Bytes moved;  ///< of these went over the link
    Nanoseconds issued;
    Nanoseconds started;   ///< 0 where it never started
    Nanoseconds finished;  ///< 0 where it never finished
    StepIndex issuedStep;
    LayerIndex issuedLayer;  ///< the layer whose routing issued it
    StepIndex usedStep{-1};  ///< first use, -1 if never
    TransferPurpose purpose = TransferPurpose::Demand;
    TransferFate fate = TransferFate::Used;
};

enum class PredictorKind : std::uint8_t {
    PreGate = 0,   ///< the checkpoint's pre-gate of `fromLayer`
    NextGate = 1,  ///< the own gate of `targetLayer` on the hidden state of `fromLayer`
    OwnGate = 2,   ///< the own gate of `targetLayer` = `fromLayer`, before the policy changed anything
    Policy = 3,    ///< what the policy wanted to have brought, by its own score; `token` is the step's first
};

/// One expert that a predictor expects. k records a token, layer pair and predictor, by falling score.
struct PredictionRecord {
    StepIndex step;
    TokenIndex token;
    LayerIndex fromLayer;
    LayerIndex targetLayer;
    ExpertId expert;
    std::int32_t rank = 0;
    float score = 0;  ///< softmax probability
    PredictorKind predictor = PredictorKind::PreGate;
};

struct TokenRecord {
    TokenIndex token;
    RequestIndex request;
    std::int32_t position = 0;  ///< in its request's context, from 0
    std::int32_t id = 0;        ///< in the vocabulary
    Phase phase = Phase::Prefill;
    StepIndex step;            ///< that ran (prompt) or produced (generated) it
    Nanoseconds time;          ///< when it was known
    float logProbability = 0;  ///< of a generated token under the model; NaN for a prompt token
    std::string bytes;         ///< its text; may be part of a UTF-8 character
};

/// Told when a request starts; `generatedTokens`, `end` and `stopped` are told again when it ends.
struct RequestRecord {
    RequestIndex request;
    std::string label;   ///< of the prompt file; may be empty
    std::string prompt;  ///< empty for --prompt-ids
    std::int32_t promptTokens = 0;
    std::int32_t generatedTokens = 0;
    TokenIndex firstToken;
    Nanoseconds start;
    Nanoseconds firstTokenTime;
    Nanoseconds end;
    std::string stopped;  ///< tokens | eos | context | interrupted | failed
};

enum class Severity : std::uint8_t { Info = 0, Warning = 1, DataLoss = 2, Error = 3 };

/// Something a user of the session must know: a named counter with a sentence.
struct DiagnosticRecord {
    Nanoseconds time;
    std::string name;  ///< stable, snake_case: "direct_io_refused"
    Severity severity = Severity::Info;
    std::int64_t count = 1;
    std::string sentence;
    Nanoseconds end{};  ///< of an interval that began at `time` (an interval of loss, say); 0 for an instant
};

}  // namespace expertscope
