// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <span>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// The largest singular value of a matrix [rows, columns], row-major; 0 where all is zero, NaN where a value is not
/// finite. O(rows · columns) a Lanczos step; relative error about 1e-6 (its products are float32).
double spectralNorm(std::span<const float> matrix, std::size_t rows);

/// By layer and expert: stable rank |W|²_F / |W|²₂ of each matrix and its spectral norm.
AnalysisInfo stableRankAnalysis();

}  // namespace expertscope
