// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "profiler/analysis/weights/layer_diversity.h"
#include "profiler/analysis/weights/neuron_matching.h"
#include "views/diversity/diversity_data.h"

namespace expertscope {

/// How much of a layer was drawn, evenly, to be reordered: the time grows with the cube of the neurons.
struct ReorderedSample {
    std::int64_t pairs = 0, ofPairs = 0;  ///< of experts of a layer
    std::int64_t neurons = 0;             ///< of each expert
    /// What matrices of as many independent normal numbers reach: of so many orders the best fits even those. NaN where
    /// the width of the experts' inputs is not known.
    double ifRandom = std::numeric_limits<double>::quiet_NaN();
    bool all() const { return pairs == ofPairs; }
};

/// How alike the experts of one layer are once the neurons of one stand in the order that fits the other's best.
struct ReorderedLayer {
    std::int32_t layer = 0;
    std::array<SimilarityMatrix, 3> after;  ///< by ExpertMatrix; NaN where a pair was not drawn, too
    /// By ExpertMatrix, [n, n] as `after`; none: the pair was not drawn.
    std::array<std::vector<std::optional<NeuronMatch>>, 3> matches;
    /// By ExpertMatrix, of `after`; no experts apart where not all pairs were drawn: a few pairs do not tell them.
    std::array<SimilaritySummary, 3> summaries;
    ReorderedSample sample;
};

/// The same of a few pairs of every layer.
struct ReorderedLayers {
    std::array<AlikenessCurve, 3> matrices;  ///< by ExpertMatrix; without experts apart
    ReorderedSample sample;
};

/// To be called off the UI thread; they throw as compareExperts() does. `layer` tells who is compared.
std::shared_ptr<const ReorderedLayer> reorderExperts(ModelTables& tables, const LayerAlikeness& layer,
                                                     const JobControl& control);
std::shared_ptr<const ReorderedLayers> reorderLayers(ModelTables& tables, const LayerAlikeness& layer,
                                                     const JobControl& control);

}  // namespace expertscope
