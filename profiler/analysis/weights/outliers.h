// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <span>
#include <vector>

namespace expertscope {

/// From how many modified z-scores on a value is called an outlier (Iglewicz and Hoaglin 1993).
inline constexpr double kOutlierScore = 3.5;

/// Modified z-scores: 0.6745 · (x − median) / MAD, where MAD is the median of |x − median|; where that is zero, (x −
/// median) / (1.2533 · mean of |x − median|). Unlike mean and standard deviation these are not moved by the outliers
/// themselves. Values that are not finite are left out and score NaN, as all do where fewer than three are left.
/// O(n log n).
std::vector<double> modifiedScores(std::span<const double> values);

/// Of each point from the point of the medians of both coordinates.
std::vector<double> distancesFromMedian(std::span<const std::array<double, 2>> points);

}  // namespace expertscope
