// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/run_job.h"

#include <algorithm>
#include <ctime>
#include <exception>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "app/cli/deep_keeper.h"
#include "app/cli/fidelity.h"
#include "app/cli/run_watcher.h"
#include "engine/base/error.h"
#include "profiler/capture/recorder.h"
#if EXPERTSCOPE_HAS_NVTX
#include "profiler/capture/nvtx_receiver.h"
#endif

namespace expertscope {
namespace {

/// What a run had measured when it failed. Nothing where the engine cannot even say that: the failure itself is told.
RunSummary countsUntilFailure(Engine& engine) {
    try {
        return engine.finish();
    } catch (const std::exception&) { return {}; }
}

#if EXPERTSCOPE_HAS_NVTX
/// The NVTX ranges that libraries in this process tell, beside the engine's own spans. What they say of experts is not
/// this run's.
class LibraryRanges : public Observer {
public:
    explicit LibraryRanges(Recorder& recorder) : m_recorder(&recorder), m_receiver(*this) {
        if (!m_receiver.heldByOther().empty())
            m_recorder->onDiagnostic({.time = sessionNow(),
                                      .name = "nvtx_held_by_other_tool",
                                      .severity = Severity::Info,
                                      .sentence = m_receiver.heldByOther()});
    }
    void onLane(const LaneInfo& lane) override { m_recorder->onLane(lane); }
    void onRangeName(const RangeName& name) override { m_recorder->onRangeName(name); }
    void onSpan(const SpanRecord& span) override { m_recorder->onSpan(span); }
    void onDiagnostic(const DiagnosticRecord& diagnostic) override { m_recorder->onDiagnostic(diagnostic); }
    void stop() { m_receiver.stop(); }

private:
    Recorder* m_recorder;
    NvtxReceiver m_receiver;  // last: it tells this
};
#endif

/// One run under way.
class RunJob {
public:
    RunJob(const RunContext& context, const RunPlan& plan)
        : m_context(context), m_plan(plan), m_watcher(context.progress, startOf(context, plan)) {}

    RunOutcome run(const OpenSession& openSession);

private:
    static ProgressState startOf(const RunContext& context, const RunPlan& plan) {
        ProgressState state;
        state.run = plan.number;
        state.runs = context.runs;
        state.policy = plan.variant.options.policy;
        return state;
    }
    void prepare(const OpenSession& openSession);
    void describe();
    void generateAll();
    LogitsSink sinkFor(std::size_t request);
    void measureFidelity();
    void close();

    const RunContext& m_context;
    const RunPlan& m_plan;
    RunWatcher m_watcher;
    std::unique_ptr<Engine> m_engine;
    std::unique_ptr<Recorder> m_recorder;
#if EXPERTSCOPE_HAS_NVTX
    std::unique_ptr<LibraryRanges> m_libraryRanges;
#endif
    std::unique_ptr<NpyWriter> m_npy;
    std::vector<LogitsSpool> m_spools;  ///< one a request, for the fidelity
    std::optional<DeepKeeper> m_deepKeeper;
    std::optional<DeepAggregates> m_deep;
    RunOutcome m_outcome;
    std::exception_ptr m_failure;
};

void RunJob::prepare(const OpenSession& openSession) {
    EngineOptions options = m_plan.variant.options;
    options.record = m_context.record;
    options.deep = m_context.deep;
    options.countRouting = m_context.fidelity;
    m_engine =
        std::make_unique<Engine>(m_context.model.checkpoint, m_context.model.tokenizerOrNull(), options, m_watcher);
    describe();
    if (!m_plan.logits.empty()) m_npy = std::make_unique<NpyWriter>(m_plan.logits, m_context.facts.vocabulary);
    if (SessionWriter* writer = openSession(); writer != nullptr) {
        m_recorder = std::make_unique<Recorder>(*writer, m_outcome.description);
        m_outcome.id = m_recorder->run();
        if (options.deep) m_engine->tellDeep(m_deepKeeper.emplace(m_context.session, m_outcome.id));
#if EXPERTSCOPE_HAS_NVTX
        if (m_context.record.spans) m_libraryRanges = std::make_unique<LibraryRanges>(*m_recorder);
#endif
    }
    m_watcher.recordTo(m_recorder.get());
    if (!m_plan.calibrated.empty())
        m_watcher.onDiagnostic(
            {.time = sessionNow(), .name = "calibrated", .severity = Severity::Info, .sentence = m_plan.calibrated});
    m_watcher.watch(m_engine.get(), m_outcome.description.plannedTokens);
    m_context.progress.runStarted(m_watcher.state(), m_outcome.description, m_outcome.id);
}

void RunJob::describe() {
    RunDescription& description = m_outcome.description = m_engine->describe();
    description.model = m_context.facts;
    description.command = m_plan.command;
    description.machineJson = m_context.machineJson;
    description.startedUtc = fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr)));
    description.start = sessionNow();
    description.group = m_context.group;
    description.repeat = m_plan.repeat;
    description.plannedTokens = plannedTokens(m_context.requests, m_context.facts.context);
}

LogitsSink RunJob::sinkFor(std::size_t request) {
    if (m_context.fidelity) m_spools.emplace_back(m_context.facts.vocabulary);
    if (!m_npy && !m_context.fidelity) return {};
    return [this, request](int, int, std::span<const float> logits) {
        if (m_npy) m_npy->append(logits);
        if (m_context.fidelity) m_spools[request].append(logits);
    };
}

void RunJob::generateAll() {
    m_engine->start();
    for (std::size_t i = 0; i < m_context.requests.size(); ++i) {
        if (m_context.stop.received()) break;
        m_outcome.results.push_back(m_engine->generate(m_context.requests[i], sinkFor(i)));
        if (m_recorder) m_recorder->settle();
        if (m_watcher.recorderFailed()) break;
    }
    if (m_context.stop.received()) m_outcome.state = RunState::Interrupted;
}

/// Runs the same tokens through the all-resident model and compares position by position.
void RunJob::measureFidelity() {
    EngineOptions options = m_plan.variant.options;
    options.policy = "resident";
    options.budget = SizeSpec{.share = 1.0, .bytes = {}};
    options.link.reset();
    options.record = {.routing = false, .spans = false, .norms = false, .predictions = false};
    Observer nobody;
    Engine resident(m_context.model.checkpoint, m_context.model.tokenizerOrNull(), options, nobody);
    resident.start();
    FidelityMeter meter;
    const auto vocabulary = static_cast<std::size_t>(m_context.facts.vocabulary);
    std::vector<float> row(vocabulary);
    for (std::size_t r = 0; r < m_outcome.results.size(); ++r) {
        std::vector<std::int32_t> ids = m_context.requests[r].promptIds;
        ids.insert(ids.end(), m_outcome.results[r].generated.begin(), m_outcome.results[r].generated.end());
        const auto positions = std::span(ids).first(static_cast<std::size_t>(m_spools[r].rows()));
        resident.score(positions, [&](int first, int count, std::span<const float> logits) {
            for (int i = 0; i < count; ++i) {
                const auto next = static_cast<std::size_t>(first + i) + 1;
                if (next >= ids.size()) break;
                m_spools[r].read(first + i, row);
                meter.add(row, logits.subspan(static_cast<std::size_t>(i) * vocabulary, vocabulary), ids[next]);
            }
        });
    }
    resident.finish();
    Json fidelity = meter.result().toJson();
    fidelity.update(routingJson(m_outcome.summary.routing));
    m_outcome.summary.fidelityJson = fidelity.dump();
}

/// Ends the run in the session. The first failure is the one that is told.
void RunJob::close() {
    m_context.stop.setEngine(nullptr);
    if (m_failure) m_outcome.state = RunState::Failed;
    if (m_engine && m_failure) m_outcome.summary = countsUntilFailure(*m_engine);
    m_engine.reset();
#if EXPERTSCOPE_HAS_NVTX
    if (m_libraryRanges) m_libraryRanges->stop();
#endif
    if (m_recorder) {
        try {
            m_recorder->finish(m_outcome.summary, m_outcome.state);
            if (m_deep) m_deepKeeper->onDeepSums(*m_deep);
        } catch (...) {
            if (!m_failure) m_failure = std::current_exception();
        }
    }
    if (m_failure) std::rethrow_exception(m_failure);
    m_context.progress.runEnded(m_watcher.state(), m_outcome.summary);
}

RunOutcome RunJob::run(const OpenSession& openSession) {
    prepare(openSession);
    m_context.stop.setEngine(m_engine.get());
    try {
        generateAll();
        m_outcome.summary = m_engine->finish();
        if (const DeepAggregates* deep = m_engine->deepCapture()) m_deep = *deep;
        if (m_npy) m_npy->finish();
        m_context.stop.setEngine(nullptr);
        m_engine.reset();
        if (m_context.fidelity && m_outcome.state == RunState::Complete && !m_watcher.recorderFailed())
            measureFidelity();
    } catch (...) { m_failure = std::current_exception(); }
    close();
    return std::move(m_outcome);
}

}  // namespace

std::int32_t plannedTokens(const std::vector<GenerationRequest>& requests, std::int32_t context) {
    std::int32_t planned = 0;
    for (const GenerationRequest& request : requests) {
        planned += std::min(request.tokens, context - static_cast<std::int32_t>(request.promptIds.size()) + 1);
    }
    return planned;
}

RunOutcome makeRun(const RunContext& context, const RunPlan& plan, const OpenSession& openSession) {
    return RunJob(context, plan).run(openSession);
}

}  // namespace expertscope
