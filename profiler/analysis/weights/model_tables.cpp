// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/model_tables.h"

#include <utility>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/model/checkpoint.h"
#include "profiler/analysis/analysis_catalogue.h"
#include "profiler/analysis/kept_tables.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {

ModelTables::ModelTables(std::filesystem::path session, ModelFacts model)
    : m_session(std::move(session)), m_model(std::move(model)) {}

ModelTables::~ModelTables() = default;

void ModelTables::open() {
    if (m_study) return;
    const std::filesystem::path folder = m_model.path;
    if (m_model.fingerprint.empty() || folder.empty())
        throw BadInputError(
            fmt::format("The run does not say where the weights of {} are, as an imported one: record a run of the "
                        "model with ExpertScope, or compare its weights with 'expertscope analyze'.",
                        m_model.name));
    if (!std::filesystem::exists(folder))
        throw BadInputError(
            fmt::format("The weights of {} are not at {} any more: put the checkpoint back there and try again.",
                        m_model.name, folder.string()));
    auto checkpoint = std::make_unique<const Checkpoint>(Checkpoint::open(folder));
    if (checkpoint->facts().fingerprint != m_model.fingerprint)
        throw BadInputError(
            fmt::format("{} holds another model than the one that ran: put the checkpoint of {} back there and try "
                        "again.",
                        folder.string(), m_model.name));
    m_study = std::make_unique<WeightStudy>(*checkpoint);
    m_checkpoint = std::move(checkpoint);
}

AnalysisTable ModelTables::table(const std::string& text, const std::function<void(double)>& progress) {
    const AnalysisInfo& info = analysisInfo(analysisCatalogue(), text);
    const auto make = [&] {
        open();
        AnalysisInput input;
        input.checkpoint = m_checkpoint.get();
        input.weights = m_study.get();
        input.progress = progress;
        return runAnalysis(info, text, input);
    };
    // Without a fingerprint there is nothing to keep it under; open() says so.
    return m_model.fingerprint.empty() ? make() : keptOrMade(m_session, subjectOf(m_model), info, text, make);
}

}  // namespace expertscope
