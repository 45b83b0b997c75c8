// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/run_facts.h"
#include "profiler/analysis/analysis_table.h"

namespace expertscope {

class Checkpoint;
class WeightStudy;

/// The analyses of the weights of the model that a run names: taken from what the session keeps under the model's
/// fingerprint, else made from the checkpoint where the run found it, and kept for who asks next. The checkpoint is
/// opened when it is first needed, and a layer that was read stays, so that analyses that follow each other read the
/// file once. One thread at a time.
class ModelTables {
public:
    ModelTables(std::filesystem::path session, ModelFacts model);
    ~ModelTables();

    const ModelFacts& model() const { return m_model; }
    /// `text` names an analysis of weights ("layer-diversity", "expert-pca:layer=3"). `progress` is told 0…1 while it
    /// is made and may throw to end that. Throws BadInputError, with what to do, where it has to be made and the
    /// checkpoint is not to be had: the run was imported, its files are gone or hold another model by now, or cannot
    /// be read.
    AnalysisTable table(const std::string& text, const std::function<void(double)>& progress);

private:
    void open();

    std::filesystem::path m_session;
    ModelFacts m_model;
    std::unique_ptr<const Checkpoint> m_checkpoint;
    std::unique_ptr<WeightStudy> m_study;
};

}  // namespace expertscope
