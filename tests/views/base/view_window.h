// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <initializer_list>
#include <memory>
#include <utility>

#include "scratch_session.h"
#include "views/base/selection.h"
#include "views/base/session_model.h"

namespace expertscope {

/// A session of simulated runs.
struct SimulatedRuns {
    SimulatedRuns(std::initializer_list<SimulatedRun> runs) : file(ScratchSession::Empty{}) {
        for (const SimulatedRun& run : runs)
            writeSimulatedRun(file.writer(), run);
    }
    ScratchSession file;
};

/// What a window holds of one view: the session that it shows, what is selected there, and the view. `Written` writes
/// the session into its member `file`; the arguments are its own.
template <class Shown, class Written = SimulatedRuns>
struct ViewWindow : Written {
    template <class... Arguments>
    explicit ViewWindow(Arguments&&... arguments) : Written(std::forward<Arguments>(arguments)...) {
        session.open(this->file.file());
        view = std::make_unique<Shown>(session, selection);
    }
    explicit ViewWindow(std::initializer_list<SimulatedRun> runs) : Written(runs) {
        session.open(this->file.file());
        view = std::make_unique<Shown>(session, selection);
    }
    SessionModel session;
    SelectionModel selection;
    std::unique_ptr<Shown> view;
};

}  // namespace expertscope
