// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "engine/base/deep_aggregates.h"
#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// Activations a = σ(gate row · x) of a layer's neurons, before the product with the up projection.
struct NeuronActivity {
    double active = 0;        ///< part of (token, expert, neuron) with |a| > kDeepActive
    double chosenActive = 0;  ///< the same of the chosen experts only; NaN where none was chosen
    double never = 0;         ///< part of the (expert, neuron) that never were
    double meanSize = 0;      ///< mean |a|
    /// Of the variance of the neurons' mean |a|: the part that lies between experts (rows of the paper's map: outlier
    /// experts) and between neuron numbers (columns: experts of one ancestor). By chance (E−1)/(E·I−1) and
    /// (I−1)/(E·I−1).
    double expertShare = 0, randomExpertShare = 0;
    double neuronShare = 0, randomNeuronShare = 0;
};
NeuronActivity neuronActivity(const DeepLayer& layer);

AnalysisInfo activationsAnalysis();        ///< "activations": layers
AnalysisInfo expertActivationsAnalysis();  ///< "expert-activations": layers × experts
AnalysisInfo neuronActivationsAnalysis();  ///< "neuron-activations": layers × experts × neurons

}  // namespace expertscope
