// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/ids.h"

namespace expertscope {

/// The matrices of an expert, E(x) = Wdown((Wup x) ⊙ σ(Wgate x)), in the order in which the literature draws them.
enum class ExpertMatrix : std::uint8_t { Up, Gate, Down };
inline constexpr std::array kExpertMatrices{ExpertMatrix::Up, ExpertMatrix::Gate, ExpertMatrix::Down};
/// "up", "gate", "down".
const char* nameOf(ExpertMatrix matrix);

/// Who is compared: a routed expert, the shared experts of its layer, or a dense model's FFN of that layer.
struct WeightUnit {
    std::int32_t expert = -1;  ///< of a routed expert; −1 for the others
    std::string name;          ///< "0", "1", …; "SE" (SE0, SE1… where a layer has several); "F"
    std::int32_t neurons = 0;  ///< rows of up and gate, columns of down
};

/// Cosine similarities of some units with each other; NaN where one of the two has no direction (all zero) or a value
/// that is not finite.
struct SimilarityMatrix {
    std::vector<WeightUnit> units;  ///< n
    std::vector<double> values;     ///< [n, n] row-major, symmetric

    std::size_t size() const { return units.size(); }
    double at(std::size_t a, std::size_t b) const { return values[a * units.size() + b]; }
};

/// The router of a layer: what tells its experts apart.
struct RouterWeights {
    SimilarityMatrix similarity;  ///< of its rows (the "gate embeddings"): routed experts
    std::vector<double> norms;    ///< [routed experts]: L2 norm of the row; NaN where not finite
};

/// What one pass over a layer's experts gives.
struct LayerExpertWeights {
    LayerIndex layer;
    std::vector<WeightUnit> units;  ///< routed experts, then SE, then F
    /// By ExpertMatrix. Of whole flattened matrices: the units that are as wide as a routed expert.
    std::array<SimilarityMatrix, 3> whole;
    /// By ExpertMatrix. Of mean neurons (H numbers a unit): all units.
    std::array<SimilarityMatrix, 3> averaged;
    RouterWeights router;
    std::array<std::vector<double>, 3> norms;  ///< by ExpertMatrix, [units]: Frobenius norm; NaN where not finite
};

}  // namespace expertscope
