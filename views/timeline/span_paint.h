// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>
#include <QString>
#include <cstdint>

#include "engine/base/records.h"
#include "views/base/draw_list.h"

namespace expertscope {

class Theme;

/// How a span is painted: its kind, for prefetches its fate.
enum class SpanPaint : std::uint8_t {
    Step,
    EvenLayer,
    OddLayer,
    Attention,
    Router,
    Experts,
    Combine,
    Head,
    Sample,
    Predict,
    ExpertCompute,
    NearMemory,
    Wait,
    Demand,
    Preload,
    PrefetchOpen,
    PrefetchUseful,
    PrefetchLate,
    PrefetchWasted,
    PrefetchCancelled,
    Hidden,
    Exposed,
    RangeFirst,  ///< ranges of other programs: neighbours of different names differ
    RangeSecond,
    RangeThird,
    RangeFourth,
};

/// A colour of the theme's meaning; the compute thread's nested rows are shades of compute.
QColor paintColor(SpanPaint paint, const Theme& theme);
/// The second cue beside the colour.
Pattern paintPattern(SpanPaint paint);
SpanPaint paintOf(TransferFate fate);
/// What is painted so, in one word or two: "router", "prefetch, late".
QString paintName(SpanPaint paint);
/// Of a kind where nothing finer is known.
SpanPaint paintOf(SpanKind kind);
/// Of a span as it is recorded; a prefetch's fate is not known by then.
SpanPaint paintOf(const SpanRecord& span);

}  // namespace expertscope
