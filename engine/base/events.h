// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>

#include "engine/base/records.h"

namespace expertscope {

struct ModelFacts;

/// What a run asks to be told. The engine does no work for what nobody asked for.
struct RecordSet {
    bool routing = true;  ///< selections, residency, transfers, tokens
    bool spans = true;
    bool norms = true;        ///< output norm of every selected expert
    bool predictions = true;  ///< shadow predictions of every predictor that the checkpoint offers
};

/// What the engine tells while it runs. Span records come from any engine thread, everything else from the compute
/// thread or the transfer thread; an implementation must not block and should not allocate. Spans passed in are only
/// valid during the call. Shadow predictions of generated tokens are told some steps after their selections.
class Observer {
public:
    virtual ~Observer() = default;
    virtual void onLane(const LaneInfo&) {}
    /// Before the first span of that name.
    virtual void onRangeName(const RangeName&) {}
    /// What has become known of the model since the run began; only where it was not known then.
    virtual void onModel(const ModelFacts&) {}
    virtual void onSpan(const SpanRecord&) {}
    virtual void onSelections(std::span<const SelectionRecord>) {}
    virtual void onResidency(const ResidencyRecord&) {}
    virtual void onTransfer(const TransferRecord&) {}
    virtual void onPredictions(std::span<const PredictionRecord>) {}
    virtual void onToken(const TokenRecord&) {}
    virtual void onRequest(const RequestRecord&) {}
    virtual void onDiagnostic(const DiagnosticRecord&) {}
    /// What has happened is told: a request has ended, or the predictions of the steps of a long one have been caught
    /// up with. A good moment for work that was put off for the sake of the decode.
    virtual void onCaughtUp() {}
};

}  // namespace expertscope
