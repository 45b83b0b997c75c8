// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/recorder.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <exception>
#include <mutex>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "engine/base/cpu_loan.h"
#include "profiler/capture/loss_report.h"
#include "profiler/capture/thread_rings.h"
#include "storage/session_writer.h"

namespace expertscope {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLongest(140);  // from one commit to the next
/// What a request leaves sooner after a commit waits for more: chunks of a few tokens take room and time.
constexpr std::chrono::milliseconds kShortest(50);
constexpr std::chrono::milliseconds kHurried(95);  // where rings have to be emptied before: chunks go on filling
/// Where a run's threads use every processor the writer goes behind them: it takes a twentieth of one processor, is
/// left a quarter of it at this niceness, and is woken while half of a ring is free.
constexpr int kNiceness = 5;

/// What comes a few times a step at most, and holds text.
using RareRecord = std::variant<LaneInfo, RangeName, TokenRecord, RequestRecord, DiagnosticRecord>;

}  // namespace

struct Recorder::Impl {
    Impl(SessionWriter& sessionWriter, const RunDescription& description)
        : writer(sessionWriter), run(writer.beginRun(description)), thread([this] { work(); }) {}

    template <class Record>
    void push(std::span<const Record> records) {
        RecordLane<Record>& lane = registry.mine().of<Record>();
        const std::size_t taken = lane.ring.push(records);
        if (taken < records.size()) { lane.lost.add(static_cast<std::int64_t>(records.size() - taken), sessionNow()); }
        // Woken without the lock: one that gets lost is made up for by kLongest, a lock could block the engine.
        if (lane.ring.fillsUp() && !hurry.exchange(true, std::memory_order_relaxed)) { wake.notify_one(); }
    }

    void pushRare(RareRecord record) {
        const std::lock_guard lock(rareMutex);
        rare.push_back(std::move(record));
    }

    // ---- the writer thread

    void work() {
        ::setpriority(PRIO_PROCESS, 0, kNiceness);  // of this thread; without it nothing but speed is lost
        try {
            std::unique_lock lock(mutex);
            while (!stopping) {
                wake.wait_until(lock, lastCommit.load() + kLongest,
                                [this] { return stopping || hurry.load(std::memory_order_relaxed) || isDue(); });
                lock.unlock();
                turn();
                lock.lock();
            }
        } catch (...) {
            failure = std::current_exception();
            hasFailed.store(true);
        }
        serve(asked.load());  // nobody is to wait for a turn that does not come
    }

    void turn() {
        hurry.store(false, std::memory_order_relaxed);
        const std::uint32_t wanted = asked.load();
        {
            const CpuLoan loan;
            ::sched_yield();  // to the worker that it came in upon: it ends its item and gives way
            drain(false);
            if (wanted != served.load() || Clock::now() - lastCommit.load() >= kHurried) {
                writer.commit();
                lastCommit.store(Clock::now());
            }
        }
        serve(wanted);
    }

    void serve(std::uint32_t wanted) {
        if (served.exchange(wanted) != wanted) served.notify_all();
    }

    /// Moves everything told so far into the session writer. What is rare is taken out first and written last: when a
    /// token is told, its step's selections are in the rings already, so no commit shows a token without them.
    void drain(bool last) {
        std::vector<RareRecord> told;
        {
            const std::lock_guard lock(rareMutex);
            told.swap(rare);
        }
        for (ThreadRings* rings : registry.all()) {
            drainLane(rings->of<SpanRecord>(), losses[0], &spans);
            drainLane(rings->of<SelectionRecord>(), losses[1], &selections);
            drainLane(rings->of<PredictionRecord>(), losses[2], nullptr);
            drainLane(rings->of<ResidencyRecord>(), losses[3], nullptr);
            drainLane(rings->of<TransferRecord>(), losses[4], nullptr);
        }
        for (const RareRecord& record : told) {
            std::visit([this](const auto& value) { write(value); }, record);
        }
        for (LossReport& report : losses) {
            if (const auto diagnostic = report.finished(sessionNow(), last)) writer.append(*diagnostic);
        }
    }

    template <class Record>
    void drainLane(RecordLane<Record>& lane, LossReport& report, std::int64_t* counted) {
        const std::size_t count = lane.ring.drain([this](std::span<const Record> records) { writer.append(records); });
        if (counted) *counted += static_cast<std::int64_t>(count);
        if (const auto loss = lane.lost.take()) report.add(*loss);
    }

    void write(const TokenRecord& token) { writer.append(std::span<const TokenRecord>(&token, 1)); }
    void write(const auto& record) { writer.append(record); }

    // ---- the engine's thread

    void requestTold(bool ended) {
        inRequest = !ended;
        // What is written as it begins need not be written while it runs.
        if (!ended) askUnlessJustWritten();
    }

    /// In the middle of a long request, too, which is seldom: nothing may be put off there and then wait again.
    void caughtUp() {
        if (inRequest)
            ask();
        else
            askUnlessJustWritten();
    }

    void askUnlessJustWritten() {
        if (Clock::now() - lastCommit.load() >= kShortest) ask();
    }

    /// Wakes without the lock, as push() does.
    void ask() {
        asked.fetch_add(1);
        wake.notify_one();
    }

    bool isDue() const { return served.load() != asked.load(); }

    void settle() {
        if (!isDue() || hasFailed.load()) return;
        {
            const std::lock_guard lock(mutex);  // the wake-up that went before may have been lost
        }
        wake.notify_one();
        // Sequentially consistent against the writer's end, which has failed first and then serves what was asked.
        for (std::uint32_t seen; (seen = served.load()) != asked.load() && !hasFailed.load();)
            served.wait(seen);
    }

    // ---- the end

    Nanoseconds processorTime() {
        clockid_t clock{};
        timespec time{};
        if (!thread.joinable() || ::pthread_getcpuclockid(thread.native_handle(), &clock) != 0 ||
            ::clock_gettime(clock, &time) != 0) {
            return {};
        }
        return Nanoseconds(std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec);
    }

    void stop() {
        if (!thread.joinable()) return;
        {
            const std::lock_guard lock(mutex);
            stopping = true;
        }
        wake.notify_one();
        thread.join();
    }

    void finish(RunSummary& summary, RunState state) {
        stop();
        if (failure) std::rethrow_exception(failure);
        drain(true);
        summary.spans = spans;
        summary.selections = selections;
        summary.dropped = 0;
        for (const LossReport& report : losses) {
            summary.dropped += report.total();
        }
        writer.endRun(summary, state);
        finished = true;
    }

    SessionWriter& writer;
    RunId run;
    RingRegistry registry;
    std::mutex rareMutex;
    std::vector<RareRecord> rare;
    LossReport losses[5] = {LossReport("spans"), LossReport("selections"), LossReport("predictions"),
                            LossReport("residency_changes"), LossReport("transfers")};
    std::int64_t spans = 0, selections = 0;
    std::atomic<bool> hurry = false;
    bool inRequest = false;                ///< the engine's thread's
    std::atomic<std::uint32_t> asked{0};   ///< how often a commit was asked for …
    std::atomic<std::uint32_t> served{0};  ///< … and up to which of these it is made
    std::atomic<Clock::time_point> lastCommit = Clock::now();
    std::atomic<bool> hasFailed = false;
    std::exception_ptr failure;
    bool finished = false;
    std::mutex mutex;
    std::condition_variable wake;
    bool stopping = false;
    std::thread thread;  // last: it uses all of the above
};

Recorder::Recorder(SessionWriter& writer, const RunDescription& description)
    : m_impl(std::make_unique<Impl>(writer, description)) {}

Recorder::~Recorder() {
    if (m_impl->finished) return;
    try {
        RunSummary summary;
        m_impl->finish(summary, RunState::Failed);
    } catch (const std::exception&) {
        // Reached only while another error is on its way to the user; what was committed is safe.
    }
}

RunId Recorder::run() const { return m_impl->run; }

void Recorder::onLane(const LaneInfo& lane) { m_impl->pushRare(lane); }
void Recorder::onRangeName(const RangeName& name) { m_impl->pushRare(name); }
void Recorder::onSpan(const SpanRecord& span) { m_impl->push(std::span<const SpanRecord>(&span, 1)); }
void Recorder::onSelections(std::span<const SelectionRecord> selections) { m_impl->push(selections); }
void Recorder::onResidency(const ResidencyRecord& change) {
    m_impl->push(std::span<const ResidencyRecord>(&change, 1));
}
void Recorder::onTransfer(const TransferRecord& transfer) {
    m_impl->push(std::span<const TransferRecord>(&transfer, 1));
}
void Recorder::onPredictions(std::span<const PredictionRecord> predictions) { m_impl->push(predictions); }
void Recorder::onToken(const TokenRecord& token) { m_impl->pushRare(token); }
void Recorder::onRequest(const RequestRecord& request) {
    m_impl->pushRare(request);
    m_impl->requestTold(!request.stopped.empty());
}
void Recorder::onDiagnostic(const DiagnosticRecord& diagnostic) { m_impl->pushRare(diagnostic); }

void Recorder::onCaughtUp() { m_impl->caughtUp(); }
void Recorder::settle() { m_impl->settle(); }
void Recorder::finish(RunSummary& summary, RunState state) { m_impl->finish(summary, state); }
Nanoseconds Recorder::processorTime() const { return m_impl->processorTime(); }
bool Recorder::failed() const { return m_impl->hasFailed.load(std::memory_order_acquire); }

}  // namespace expertscope
