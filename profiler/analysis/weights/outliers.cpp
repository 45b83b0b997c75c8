// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/outliers.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace expertscope {
namespace {

double medianOf(std::vector<double> values) {
    std::ranges::sort(values);
    const std::size_t half = values.size() / 2;
    return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace

std::vector<double> modifiedScores(std::span<const double> values) {
    constexpr double kToDeviation = 0.6745, kMeanToDeviation = 1.253314;  // of a normal distribution
    std::vector<double> scores(values.size(), std::numeric_limits<double>::quiet_NaN());
    std::vector<double> known;
    std::ranges::copy_if(values, std::back_inserter(known), [](double value) { return std::isfinite(value); });
    if (known.size() < 3) return scores;
    const double median = medianOf(known);
    double sum = 0;
    for (double& value : known) {
        value = std::abs(value - median);
        sum += value;
    }
    const double meanDeviation = sum / static_cast<double>(known.size());
    const double spread = medianOf(known);
    const double unit = spread > 0 ? spread / kToDeviation : kMeanToDeviation * meanDeviation;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (std::isfinite(values[i])) scores[i] = unit > 0 ? (values[i] - median) / unit : 0.0;
    return scores;
}

std::vector<double> distancesFromMedian(std::span<const std::array<double, 2>> points) {
    std::vector<double> distances;
    if (points.empty()) return distances;
    std::array<double, 2> middle{};
    for (std::size_t k = 0; k < 2; ++k) {
        std::vector<double> values;
        for (const std::array<double, 2>& point : points)
            values.push_back(point[k]);
        middle[k] = medianOf(std::move(values));
    }
    for (const std::array<double, 2>& point : points)
        distances.push_back(std::hypot(point[0] - middle[0], point[1] - middle[1]));
    return distances;
}

}  // namespace expertscope
