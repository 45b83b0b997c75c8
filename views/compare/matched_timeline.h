// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/units.h"
#include "views/base/draw_list.h"

namespace expertscope {

class RunTrace;
class Theme;

/// How busy a run's lanes (compute, wait, transfers) are while it decodes one request, from the request's first token
/// to its last.
class MatchedLanes {
public:
    static constexpr int kLanes = 3;
    /// Steps that the decoding is divided into: some ten for each pixel of a window.
    static constexpr int kSteps = 16'384;

    /// O(tokens + spans). `progress` is told now and then which part is done, 0…1, and may throw to end it.
    MatchedLanes(const RunTrace& trace, RequestIndex request, const std::function<void(double share)>& progress = {});

    /// Milliseconds from the first token to the last; 0 where the run has not decoded the request.
    double length() const { return m_length; }
    /// Which share of [from, to), milliseconds since the first token, a lane is busy, 0…1. Spans of several workers
    /// that run at once count once. Exact to a step of the decoding. O(1).
    double busy(int lane, double from, double to) const;

private:
    double busyUpTo(int lane, double step) const;

    double m_length = 0;
    std::array<std::vector<double>, kLanes> m_upTo;  ///< [kSteps + 1] busy steps before each step
};

/// A's and B's lanes (compute, wait, transfers) below one another, both from the start of the decoding of the request
/// that is looked at: what one run has done by the time that the other has done it too. Lanes are as tall as they are
/// busy, by pixel. Time in milliseconds since the request's first token.
class MatchedTimeline {
public:
    static constexpr int kLanes = MatchedLanes::kLanes;

    /// Those of A and B; null where they are not there yet.
    void set(std::shared_ptr<const MatchedLanes> a, std::shared_ptr<const MatchedLanes> b);
    /// The longer decoding of the two, in milliseconds; 0 without any.
    double length() const;
    /// Decoding of one run (0 = A, 1 = B), in milliseconds.
    double length(int run) const;
    /// Lanes of A at 0…3 from the top, those of B at 4…7: the value axis runs downwards.
    DrawList draw(const Viewport& viewport, const Theme& theme) const;
    static QString laneName(int row);

private:
    std::array<std::shared_ptr<const MatchedLanes>, 2> m_lanes;
};

}  // namespace expertscope
