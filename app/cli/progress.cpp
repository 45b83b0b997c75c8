// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/progress.h"

#include <algorithm>
#include <iostream>

#include <fmt/format.h>
#include <unistd.h>

#include "app/cli/output.h"
#include "engine/base/error.h"

namespace expertscope {
namespace {

constexpr int kBarWidth = 24;

/// One line that is drawn over itself; on a standard error that is no terminal only the closing line of each run.
class ProgressBar : public Progress {
public:
    void advanced(const ProgressState& state) override {
        if (m_terminal) std::cerr << "\r\x1b[K" << line(state) << std::flush;
    }
    void runEnded(const ProgressState& state, const RunSummary& summary) override {
        ProgressState last = state;
        last.tokensPerSecond = summary.decodeTokensPerSecond;
        std::cerr << (m_terminal ? "\r\x1b[K" : "") << line(last) << '\n';
    }
    void failed(const std::string&) override {
        if (m_terminal) std::cerr << '\n';  // keeps the bar apart from the sentence that follows
    }

private:
    static std::string line(const ProgressState& state) {
        const double share =
            state.planned > 0 ? std::min(1.0, static_cast<double>(state.generated) / static_cast<double>(state.planned))
                              : 0;
        std::string bar;
        for (int i = 0; i < kBarWidth; ++i)
            bar += i < static_cast<int>(share * kBarWidth) ? "█" : "░";
        return fmt::format("run {}/{}  {:<12} {} {:>6}/{} tokens  {:>7.1f} tok/s{}", state.run, state.runs,
                           state.policy, bar, state.generated, state.planned, state.tokensPerSecond,
                           state.label.empty() ? "" : "  " + printable(state.label));
    }
    const bool m_terminal = isatty(STDERR_FILENO) != 0;
};

/// One JSON object a line, for the desktop program and scripts.
class ProgressLines : public Progress {
public:
    void runStarted(const ProgressState& state, const RunDescription& description, RunId run) override {
        write({{"event", "run"},
               {"run", state.run},
               {"runs", state.runs},
               {"run_id", run.value() > 0 ? Json(run.value()) : Json(nullptr)},
               {"policy", description.policy},
               {"budget_bytes", description.budget.count()},
               {"planned_tokens", state.planned}});
    }
    void advanced(const ProgressState& state) override {
        write({{"event", "progress"},
               {"run", state.run},
               {"generated", state.generated},
               {"planned", state.planned},
               {"tokens_per_s", state.tokensPerSecond},
               {"request", state.request},
               {"label", state.label}});
    }
    void runEnded(const ProgressState& state, const RunSummary& summary) override {
        write({{"event", "done"}, {"run", state.run}, {"decode_tokens_per_s", summary.decodeTokensPerSecond}});
    }
    void failed(const std::string& sentence) override { write({{"event", "error"}, {"sentence", sentence}}); }

private:
    static void write(const Json& object) {
        std::cerr << object.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
    }
};

}  // namespace

std::unique_ptr<Progress> makeProgress(const std::string& kind) {
    if (kind == "bar") return std::make_unique<ProgressBar>();
    if (kind == "json") return std::make_unique<ProgressLines>();
    if (kind == "none") return std::make_unique<Progress>();
    throw UsageError(fmt::format("There is no --progress '{}': use one of bar, json, none.", kind));
}

}  // namespace expertscope
