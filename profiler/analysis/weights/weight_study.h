// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"
#include "profiler/analysis/weights/weight_results.h"

namespace expertscope {

class Checkpoint;
class ExpertMatrices;
class TensorSource;
class ThreadPool;

/// A text that a run of the model read, as its routers saw it.
struct RecordedText {
    std::string name;                                                 ///< "run 1 of s.esdb"
    std::function<std::vector<float>(LayerIndex)> routerInputs = {};  ///< [tokens, H]; empty: not recorded of the layer
};

/// A checkpoint whose weights are looked at: what one reading of a layer gives is kept, so that the analyses that are
/// asked together read the file once.
class WeightStudy {
public:
    /// `checkpoint` outlives the study; `dense` (a model with dense FFNs, compared as "F") may be null and needs only
    /// live as long as this call. threads = 0: all CPUs. Throws BadInputError where the two do not fit together.
    explicit WeightStudy(const Checkpoint& checkpoint, const TensorSource* dense = nullptr, int threads = 0);
    ~WeightStudy();

    const ExpertMatrices& weights() const { return *m_weights; }
    ThreadPool& pool() { return *m_pool; }

    /// What analyses that look at tokens take instead of lone ones of the vocabulary.
    void takeText(RecordedText text) { m_text = std::move(text); }
    const std::optional<RecordedText>& text() const { return m_text; }

    /// One layer's similarities and norms; read from the file at the first call. `progress` is told 0…1 and may throw.
    const LayerExpertWeights& layer(LayerIndex layer, const std::function<void(double)>& progress);

    /// "Weights of 8 layers with 32 experts of 96 neurons each …": the sentence that every table begins with.
    std::string counted() const;

private:
    std::unique_ptr<ExpertMatrices> m_weights;
    std::unique_ptr<ThreadPool> m_pool;
    std::vector<std::optional<LayerExpertWeights>> m_layers;
    std::optional<RecordedText> m_text;
};

/// What an analysis of weights works on: the study that it was given, or one of its own.
class StudyInUse {
public:
    explicit StudyInUse(const AnalysisInput& input);
    WeightStudy& operator*() { return *m_study; }
    WeightStudy* operator->() { return m_study; }

private:
    std::optional<WeightStudy> m_own;
    WeightStudy* m_study;
};

/// The layers that the parameters layer=N (−1: all) and every=N (each N-th, and the last) ask for. Throws UsageError.
std::vector<LayerIndex> chosenLayers(const WeightStudy& study, Parameters& parameters);

/// Calls use(layer, progress of this layer) for each of `layers`; progress is that of the whole input.
void forEachLayer(const std::vector<LayerIndex>& layers, const AnalysisInput& input,
                  const std::function<void(LayerIndex, const std::function<void(double)>&)>& use);

/// A unit as a table names it: a routed expert's number, or "SE", "F".
AnalysisCell unitCell(const WeightUnit& unit);

inline constexpr const char* kLayerParameters = "layer=-1 (all), every=1";

}  // namespace expertscope
