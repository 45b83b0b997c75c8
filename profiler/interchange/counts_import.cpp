// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/counts_import.h"

#include <algorithm>

#include <fmt/format.h>

#include "profiler/interchange/import_pulse.h"
#include "profiler/interchange/model_options.h"
#include "storage/session_writer.h"

namespace expertscope {

ImportedRun importCounts(const std::filesystem::path& session, ModelFacts model, const std::vector<ExpertCount>& counts,
                         const ImportOptions& options, std::vector<std::string> notes) {
    ModelCounts found;
    std::int64_t choices = 0;
    std::int32_t steps = 0;
    for (const ExpertCount& count : counts) {
        found.layers = std::max(found.layers, count.layer.value() + 1);
        found.experts = std::max(found.experts, count.expert.value() + 1);
        steps = std::max(steps, count.step.value() + 1);
        choices += count.count;
    }
    ImportedRun result;
    result.notes = std::move(notes);
    result.notes.push_back(fmt::format(
        "The file holds {} choices as counts only (SQL table expert_count): no tokens, no order and no weights, so "
        "that reuse, caches and replays cannot be computed from it.",
        choices));
    result.model = completeModel(std::move(model), found, options, result.notes);
    result.rows = static_cast<std::int64_t>(counts.size());
    result.steps = steps;
    const ImportPulse pulse(options, ImportProgress::Stage::Writing, result.rows);
    SessionWriter writer(session);
    RunDescription run;
    run.model = result.model;
    run.policy = "imported";
    run.record = {.routing = false, .spans = false, .norms = false, .predictions = false};
    result.run = writer.beginRun(run);
    DiagnosticRecord note;
    note.name = "imported";
    for (const std::string& sentence : result.notes) {
        note.sentence = sentence;
        writer.append(note);
    }
    writer.endRun(result.summary, RunState::Complete);
    writer.close();
    writeExpertCounts(session, result.run, counts);
    return result;
}

}  // namespace expertscope
