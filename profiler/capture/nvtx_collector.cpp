// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_collector.h"

#include <vector>

#include <fmt/format.h>

#include "profiler/capture/nvtx_process.h"
#include "profiler/capture/nvtx_selections.h"

namespace expertscope {

struct NvtxCollector::Impl {
    Impl(Observer& told, const ModelFacts& model) : observer(told), names(told), selections(told, model) {}

    void settle(NvtxProcess& process) {
        process.finish();
        ++counts.processes;
        counts.ranges += process.ranges();
        counts.marks += process.marks();
    }

    void tellLosses(bool last) {
        auto lost = losses.finished(sessionNow(), last);
        if (!lost) return;
        lost->sentence = fmt::format(
            "{} beginnings and ends of ranges in an interval of {} were not recorded because they came faster than "
            "they "
            "could be taken; annotate fewer or longer ranges.",
            lost->count, formatDuration(lost->end - lost->time));
        observer.onDiagnostic(*lost);
    }

    Observer& observer;
    NvtxNames names;
    NvtxSelections selections;
    LossReport losses{"nvtx_events"};
    std::int32_t nextLane = kFirstNvtxLane;
    std::vector<std::unique_ptr<NvtxProcess>> processes;
    NvtxCounts counts;  ///< of processes that have ended
};

NvtxCollector::NvtxCollector(Observer& observer, const ModelFacts& model)
    : m_impl(std::make_unique<Impl>(observer, model)) {}
NvtxCollector::~NvtxCollector() = default;

void NvtxCollector::add(int socket) {
    Impl& impl = *m_impl;
    const NvtxShared shared{impl.observer, impl.names, impl.selections, impl.losses, impl.nextLane};
    impl.processes.push_back(std::make_unique<NvtxProcess>(socket, shared));
}

bool NvtxCollector::drain() {
    Impl& impl = *m_impl;
    bool any = false;
    for (const auto& process : impl.processes) {
        any = process->drain() || any;
        if (process->ended()) impl.settle(*process);
    }
    std::erase_if(impl.processes, [](const auto& process) { return process->ended(); });
    impl.tellLosses(false);
    return any;
}

void NvtxCollector::finish() {
    Impl& impl = *m_impl;
    // Twice: rings that the first one learns of are read by the second.
    drain();
    drain();
    for (const auto& process : impl.processes)
        impl.settle(*process);
    impl.processes.clear();
    impl.selections.finish(sessionNow());
    impl.tellLosses(true);
    if (impl.names.unnamed() > 0)
        impl.observer.onDiagnostic(
            {.time = sessionNow(),
             .name = "nvtx_names_left_out",
             .severity = Severity::DataLoss,
             .count = impl.names.unnamed(),
             .sentence = fmt::format("{} ranges have lost their name because there were more than {} different ones; "
                                     "put numbers into the payload and not into the name.",
                                     impl.names.unnamed(), NvtxNames::kMost)});
}

NvtxCounts NvtxCollector::counts() const {
    const Impl& impl = *m_impl;
    NvtxCounts counts = impl.counts;
    for (const auto& process : impl.processes) {
        ++counts.processes;
        counts.ranges += process->ranges();
        counts.marks += process->marks();
    }
    counts.selections = impl.selections.selections();
    counts.accesses = impl.selections.accesses();
    counts.promptTokens = impl.selections.promptTokens();
    counts.generatedTokens = impl.selections.generatedTokens();
    counts.generating = impl.selections.generating();
    counts.lost = impl.losses.total();
    return counts;
}

}  // namespace expertscope
