// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "engine/model/checkpoint.h"
#include "made_by_job.h"
#include "profiler/analysis/weights/model_tables.h"
#include "scratch_session.h"
#include "views/diversity/diversity_model.h"

namespace expertscope {

/// A session with a run of the small checkpoint of tests/data/analysis (4 layers × 9 experts; experts 3 and 5 are
/// unlike the others in the first layers), which lies beside it.
struct RunOfCheckpoint {
    explicit RunOfCheckpoint(RunState state = RunState::Complete) : file(ScratchSession::Empty{}) {
        std::filesystem::copy(std::filesystem::path(EXPERTSCOPE_ANALYSIS_DATA) / "weights/checkpoint", checkpoint(),
                              std::filesystem::copy_options::recursive);
        RunDescription run = ScratchSession::description();
        run.model = Checkpoint::open(checkpoint()).facts();
        file.writer().beginRun(run);
        if (state != RunState::Running) file.writer().endRun({}, state);
        file.writer().commit();
    }
    std::filesystem::path checkpoint() const { return file.path("model").toStdString(); }
    std::filesystem::path path() const { return file.file().toStdString(); }
    ScratchSession file;
};

/// What numpy gives for the same files: rows of one analysis' table.
inline nlohmann::json numpyRows(const char* analysis) {
    std::ifstream file(std::filesystem::path(EXPERTSCOPE_ANALYSIS_DATA) / "weights/expected.json");
    return nlohmann::json::parse(file)["plain"][analysis]["rows"];
}

}  // namespace expertscope
