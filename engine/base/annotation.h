// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>

#include "engine/base/events.h"

namespace expertscope {

/// Asks once whether a tool listens to NVTX (Nsight Systems, `expertscope record`); until then, and in builds without
/// NVTX, no ranges are told. It makes the domain "expertscope", with a category and a name for every kind of span.
void listenForRanges();

/// The NVTX side of an annotation: on the calling thread, properly nested.
void beginRange(const SpanRecord& span, TokenIndex token);
void endRange();

inline std::atomic<bool> g_rangesHeard{false};

/// One stretch of work on the calling thread, said once: where it ends its span is told to the observer, and while it
/// runs it is an NVTX range with the same kind, layer, expert, step and amount, so that other tools show the same
/// names. With nobody listening a range costs one load and one branch.
class SpanAnnotation {
public:
    /// Begins what `span` says, at `span.start`. `token`: the first that is worked on; -1 where that says nothing.
    explicit SpanAnnotation(const SpanRecord& span, TokenIndex token = TokenIndex(-1))
        : m_span(span), m_heard(g_rangesHeard.load(std::memory_order_relaxed)) {
        if (m_heard) beginRange(m_span, token);
    }
    ~SpanAnnotation() {
        if (m_heard) endRange();
    }
    SpanAnnotation(const SpanAnnotation&) = delete;
    SpanAnnotation& operator=(const SpanAnnotation&) = delete;

    Nanoseconds start() const { return m_span.start; }
    /// What becomes known only while it runs.
    SpanRecord& span() { return m_span; }
    /// Ends it, and tells its span where `observer` is not null. Once.
    void end(Nanoseconds now, Observer* observer) {
        if (m_heard) endRange();
        m_heard = false;
        m_span.end = now;
        if (observer) observer->onSpan(m_span);
    }

private:
    SpanRecord m_span;
    bool m_heard;
};

}  // namespace expertscope
