// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <array>
#include <cstdint>

namespace expertscope {

/// What the expert heat map can show of a (layer, expert).
enum class ExpertMeasure : std::uint8_t {
    Selections,
    Share,
    MeanWeight,
    MeanNorm,
    HitRate,
    UsesPerLoad,
    ReuseDistance,
};

inline constexpr std::array kExpertMeasures{
    ExpertMeasure::Selections, ExpertMeasure::Share,       ExpertMeasure::MeanWeight,   ExpertMeasure::MeanNorm,
    ExpertMeasure::HitRate,    ExpertMeasure::UsesPerLoad, ExpertMeasure::ReuseDistance};

/// "mean output norm"
QString measureName(ExpertMeasure measure);
/// One sentence that defines it.
QString measureDefinition(ExpertMeasure measure);
/// As a table or tooltip writes it, with its unit; "–" for NaN.
QString measureText(ExpertMeasure measure, double value);
/// As a small cell writes it, without unit: "1.2k", "3.1" (per cent), "0.31"; empty for NaN.
QString measureShortText(ExpertMeasure measure, double value);

/// The smallest of 1, 1.5, 2, 3, 4, 5, 6, 8 × 10ⁿ that is not below `value`; 1 where `value` is not positive. A scale
/// that ends there moves seldom while a run grows.
double niceCeiling(double value);

}  // namespace expertscope
