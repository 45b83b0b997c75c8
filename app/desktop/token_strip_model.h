// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "profiler/analysis/run_trace.h"
#include "views/base/draw_list.h"
#include "views/base/theme.h"

namespace expertscope {

/// A token's share of the time of the step that ran (prompt) or produced (generated) it: the step's time divided by the
/// number of tokens that name the step, so that the bars of a run add up to its time.
struct TokenBar {
    double computeMs = 0;  ///< the step without its waits
    double waitMs = 0;     ///< the compute thread waited for expert bytes
    double totalMs() const { return computeMs + waitMs; }
};

/// The token strip without a window: one bar a token over the whole run, in plot coordinates x = token, y =
/// milliseconds.
class TokenStripModel {
public:
    /// Brings the bars up to date with a trace that has grown; O(new spans + tokens from the first that they change
    /// on).
    void update(const RunTrace& trace);
    void clear();

    const std::vector<TokenBar>& bars() const { return m_bars; }
    /// Top of the scale in milliseconds: a little above the 99th percentile, so that one slow token does not flatten
    /// the rest; bars that reach beyond it are capped and marked.
    double top() const { return m_top; }
    /// Top of the plot: above the scale lies a band for the requests' labels.
    double height() const { return 1.3 * m_top; }
    /// Stacked bars (compute below, wait above) of the visible tokens; where several share a pixel, the slowest of
    /// them. Dashed lines where requests begin, with their labels where there is room.
    DrawList draw(const Viewport& viewport, const Theme& theme) const;
    /// "token 41 “ def” · cpp · 1.24 ms = compute 0.8 ms + wait 0.44 ms"; empty outside the run.
    QString describe(int token) const;

private:
    struct StepTime {
        std::int64_t totalNs = 0, waitNs = 0;
        int tokens = 0;
        std::size_t firstToken = std::numeric_limits<std::size_t>::max();
    };
    struct Request {
        int firstToken;
        QString label;
    };
    StepTime& step(StepIndex index);
    void rebuildBars(const RunTrace& trace, std::size_t from);
    void drawRequests(DrawList& list, const Viewport& viewport, const Theme& theme) const;

    std::vector<StepTime> m_steps;
    std::vector<TokenBar> m_bars;
    std::vector<QString> m_texts;
    std::vector<Request> m_requests;
    std::size_t m_spansRead = 0, m_tokensRead = 0;
    double m_top = 1;
};

}  // namespace expertscope
