// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/gate_diversity.h"

#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "engine/base/error.h"

namespace expertscope {

double gateDiversity(std::span<const float> rows, std::int32_t experts, std::int32_t hidden) {
    constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();
    const auto width = static_cast<std::size_t>(hidden);
    if (experts < 0 || hidden < 0 || rows.size() != static_cast<std::size_t>(experts) * width)
        throw UsageError(fmt::format("A router of {} experts × {} inputs cannot be made of {} values.", experts, hidden,
                                     rows.size()));
    if (experts < 2) return kNoData;
    std::vector<double> sum(width, 0.0);
    for (std::int32_t expert = 0; expert < experts; ++expert) {
        const auto row = rows.subspan(static_cast<std::size_t>(expert) * width, width);
        double square = 0;
        for (const float value : row)
            square += static_cast<double>(value) * static_cast<double>(value);
        if (!std::isfinite(square) || square <= 0) return kNoData;
        const double scale = 1.0 / std::sqrt(square);
        for (std::size_t i = 0; i < width; ++i)
            sum[i] += scale * static_cast<double>(row[i]);
    }
    double square = 0;
    for (const double value : sum)
        square += value * value;
    const double count = experts;
    return 1.0 - (square - count) / (count * (count - 1.0));
}

}  // namespace expertscope
