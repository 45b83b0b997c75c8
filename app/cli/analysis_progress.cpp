// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/analysis_progress.h"

#include <iostream>

#include <fmt/format.h>
#include <unistd.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

constexpr const char* kClearLine = "\r\x1b[K";

}  // namespace

void throwIfStopped(const StopSignal& stop) {
    if (stop.received())
        throw Error(ErrorKind::Interrupted, "The analysis was interrupted: there are no tables of it.");
}

std::function<void(double)> analysisProgress(const StopSignal& stop) {
    return [&stop, terminal = isatty(STDERR_FILENO) != 0, last = -1](double done) mutable {
        if (terminal && stop.received()) std::cerr << kClearLine << std::flush;
        throwIfStopped(stop);
        const int percent = static_cast<int>(done * 100);
        if (!terminal || percent == last) return;
        last = percent;
        std::cerr << kClearLine << (percent < 100 ? fmt::format("{} %", percent) : "") << std::flush;
    };
}

}  // namespace expertscope
