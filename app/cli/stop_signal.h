// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

namespace expertscope {

class Engine;

/// While it lives, SIGINT and SIGTERM ask the current engine to stop after its token instead of ending the process, so
/// that the session is closed properly. A second signal ends the process at once.
class StopSignal {
public:
    StopSignal();
    ~StopSignal();
    StopSignal(const StopSignal&) = delete;
    StopSignal& operator=(const StopSignal&) = delete;

    /// The engine to stop; null when there is none. It must be taken back before the engine is destroyed.
    void setEngine(Engine* engine);
    /// Whether a signal has arrived.
    bool received() const;
};

}  // namespace expertscope
