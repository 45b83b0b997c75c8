// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/span_paint.h"

#include "views/base/colour_science.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

/// Shades around compute's blue. Hues stay between 215° and 300°, so that none looks like a transfer or a wait.
QColor shade(const Theme& theme, double hue, double lightness, double chroma = 0.11) {
    const bool dark = theme.mode() == Theme::Mode::Dark;
    return fromOkLch(dark ? lightness + 0.18 : lightness, chroma, hue);
}

}  // namespace

QColor paintColor(SpanPaint paint, const Theme& theme) {
    switch (paint) {
        case SpanPaint::Step:
            return shade(theme, 262, 0.50, 0.04);
        case SpanPaint::EvenLayer:
            return shade(theme, 256, 0.48, 0.08);
        case SpanPaint::OddLayer:
            return shade(theme, 256, 0.60, 0.08);
        case SpanPaint::Attention:
            return shade(theme, 285, 0.55);
        case SpanPaint::Router:
            return shade(theme, 220, 0.62, 0.09);
        case SpanPaint::Experts:
        case SpanPaint::ExpertCompute:
            return theme.color(Meaning::Compute);
        case SpanPaint::Combine:
            return shade(theme, 240, 0.44);
        case SpanPaint::Head:
            return shade(theme, 300, 0.46);
        case SpanPaint::Sample:
            return shade(theme, 300, 0.62);
        case SpanPaint::Predict:
            return shade(theme, 262, 0.58, 0.02);
        case SpanPaint::NearMemory:
            return theme.color(Meaning::NearMemory);
        case SpanPaint::Wait:
        case SpanPaint::Exposed:
            return theme.color(Meaning::Wait);
        case SpanPaint::Demand:
            return theme.color(Meaning::TransferDemand);
        case SpanPaint::Preload:
            return shade(theme, 262, 0.55, 0.02);
        case SpanPaint::PrefetchOpen:
            return shade(theme, 190, 0.62, 0.05);
        case SpanPaint::PrefetchUseful:
        case SpanPaint::Hidden:
            return theme.color(Meaning::PrefetchUseful);
        case SpanPaint::PrefetchLate:
            return theme.color(Meaning::PrefetchLate);
        case SpanPaint::PrefetchWasted:
            return theme.color(Meaning::PrefetchWasted);
        case SpanPaint::PrefetchCancelled:
            return theme.color(Meaning::PrefetchCancelled);
        case SpanPaint::RangeFirst:
            return shade(theme, 262, 0.50);
        case SpanPaint::RangeSecond:
            return shade(theme, 225, 0.60, 0.09);
        case SpanPaint::RangeThird:
            return shade(theme, 295, 0.52);
        case SpanPaint::RangeFourth:
            return shade(theme, 243, 0.66, 0.07);
    }
    return theme.mutedText();
}

QString paintName(SpanPaint paint) {
    switch (paint) {
        case SpanPaint::Step:
            return QStringLiteral("steps");
        case SpanPaint::EvenLayer:
        case SpanPaint::OddLayer:
            return QStringLiteral("layers");
        case SpanPaint::Attention:
            return QStringLiteral("attention");
        case SpanPaint::Router:
            return QStringLiteral("router");
        case SpanPaint::Experts:
        case SpanPaint::ExpertCompute:
            return QStringLiteral("experts");
        case SpanPaint::Combine:
            return QStringLiteral("combine");
        case SpanPaint::Head:
            return QStringLiteral("head");
        case SpanPaint::Sample:
            return QStringLiteral("sampling");
        case SpanPaint::Predict:
            return QStringLiteral("shadow predictions");
        case SpanPaint::NearMemory:
            return QStringLiteral("experts near memory");
        case SpanPaint::Wait:
            return QStringLiteral("waits");
        case SpanPaint::Demand:
            return QStringLiteral("transfers on demand");
        case SpanPaint::Preload:
            return QStringLiteral("preload");
        case SpanPaint::PrefetchOpen:
            return QStringLiteral("prefetch, fate not known");
        case SpanPaint::PrefetchUseful:
            return QStringLiteral("prefetch, useful");
        case SpanPaint::PrefetchLate:
            return QStringLiteral("prefetch, late");
        case SpanPaint::PrefetchWasted:
            return QStringLiteral("prefetch, wasted");
        case SpanPaint::PrefetchCancelled:
            return QStringLiteral("prefetch, cancelled");
        case SpanPaint::Hidden:
            return QStringLiteral("hidden transfer");
        case SpanPaint::Exposed:
            return QStringLiteral("exposed transfer");
        case SpanPaint::RangeFirst:
        case SpanPaint::RangeSecond:
        case SpanPaint::RangeThird:
        case SpanPaint::RangeFourth:
            return QStringLiteral("ranges");
    }
    return {};
}

Pattern paintPattern(SpanPaint paint) {
    switch (paint) {
        case SpanPaint::PrefetchWasted:
            return Pattern::DiagonalHatch;
        case SpanPaint::PrefetchCancelled:
            return Pattern::Outline;
        case SpanPaint::Wait:
        case SpanPaint::Exposed:
            return Pattern::CrossHatch;
        default:
            return Pattern::Solid;
    }
}

SpanPaint paintOf(SpanKind kind) {
    switch (kind) {
        case SpanKind::Step:
            return SpanPaint::Step;
        case SpanKind::Layer:
            return SpanPaint::EvenLayer;
        case SpanKind::Attention:
            return SpanPaint::Attention;
        case SpanKind::Router:
            return SpanPaint::Router;
        case SpanKind::Experts:
            return SpanPaint::Experts;
        case SpanKind::ExpertCompute:
            return SpanPaint::ExpertCompute;
        case SpanKind::Combine:
            return SpanPaint::Combine;
        case SpanKind::Head:
            return SpanPaint::Head;
        case SpanKind::Sample:
            return SpanPaint::Sample;
        case SpanKind::Wait:
            return SpanPaint::Wait;
        case SpanKind::TransferDemand:
            return SpanPaint::Demand;
        case SpanKind::TransferPrefetch:
            return SpanPaint::PrefetchOpen;
        case SpanKind::TransferPreload:
            return SpanPaint::Preload;
        case SpanKind::Predict:
            return SpanPaint::Predict;
        case SpanKind::Range:
            return SpanPaint::RangeFirst;
    }
    return SpanPaint::Step;
}

SpanPaint paintOf(const SpanRecord& span) {
    if (span.kind == SpanKind::Layer && span.layer.value() % 2 != 0) return SpanPaint::OddLayer;
    if (span.kind == SpanKind::Range)
        return static_cast<SpanPaint>(static_cast<int>(SpanPaint::RangeFirst) + (span.name.value() & 3));
    return paintOf(span.kind);
}

SpanPaint paintOf(TransferFate fate) {
    switch (fate) {
        case TransferFate::Used:
            return SpanPaint::Demand;
        case TransferFate::Useful:
            return SpanPaint::PrefetchUseful;
        case TransferFate::Late:
            return SpanPaint::PrefetchLate;
        case TransferFate::Wasted:
            return SpanPaint::PrefetchWasted;
        case TransferFate::Cancelled:
            return SpanPaint::PrefetchCancelled;
    }
    return SpanPaint::PrefetchOpen;
}

}  // namespace expertscope
