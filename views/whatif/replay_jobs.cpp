// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/whatif/replay_jobs.h"

#include <algorithm>

#include "engine/base/error.h"
#include "profiler/analysis/prepared_tables.h"

namespace expertscope {

ReplayJobs::ReplayJobs(QObject* parent)
    : QObject(parent), m_thread([this](const std::stop_token& stop) { work(stop); }) {}

ReplayJobs::~ReplayJobs() {
    m_thread.request_stop();
    m_outdated = true;
    m_thread.join();
}

void ReplayJobs::load(const QString& file, RunId run) {
    {
        const std::lock_guard lock(m_mutex);
        m_wishes.clear();
        m_done.clear();
        m_bench.reset();
        m_outdated = true;
        const int generation = ++m_generation;
        m_load = [this, path = file.toStdString(), run, generation] {
            std::shared_ptr<const ReplayBench> bench;
            QString failure;
            try {
                const SessionReader reader(path);
                RecordedRun recorded = readRecordedRun(reader, run);
                PreparedData prepared = calibratedTables(reader, recorded.entry.description);
                auto made = std::make_shared<ReplayBench>(std::move(recorded));
                if (!prepared.empty()) made->setPrepared(std::move(prepared));
                bench = std::move(made);
            } catch (const Error& error) { failure = QString::fromUtf8(error.what()); }
            const std::lock_guard guard(m_mutex);
            if (generation == m_generation) Q_EMIT loaded(bench, failure);
        };
    }
    m_wake.notify_one();
}

void ReplayJobs::wish(std::shared_ptr<const ReplayBench> bench, std::vector<Wish> wishes) {
    {
        const std::lock_guard lock(m_mutex);
        const bool other = bench != m_bench;
        m_bench = std::move(bench);
        m_wishes = std::move(wishes);
        std::ranges::reverse(m_wishes);
        // What is being done is not done twice, and not at all where it is not wanted any more; what has been given up
        // may be wished anew.
        if (m_running && !m_outdated)
            m_outdated =
                other || std::erase_if(m_wishes, [&](const Wish& wish) { return same(wish, *m_running); }) == 0;
    }
    m_wake.notify_one();
}

std::vector<ReplayJobs::Done> ReplayJobs::take() {
    const std::lock_guard lock(m_mutex);
    return std::exchange(m_done, {});
}

bool ReplayJobs::idle() const {
    const std::lock_guard lock(m_mutex);
    return !m_busy && !m_load && m_wishes.empty();
}

void ReplayJobs::wait() {
    std::unique_lock lock(m_mutex);
    m_rest.wait(lock, [this] { return !m_busy && !m_load && m_wishes.empty(); });
}

void ReplayJobs::work(const std::stop_token& stop) {
    std::unique_lock lock(m_mutex);
    while (m_wake.wait(lock, stop, [this] { return m_load || !m_wishes.empty(); })) {
        m_busy = true;
        if (m_load) {
            const auto job = std::exchange(m_load, nullptr);
            lock.unlock();
            job();
            lock.lock();
        } else {
            workOff(lock);
        }
        m_busy = false;
        if (!m_load && m_wishes.empty()) m_rest.notify_all();
    }
}

void ReplayJobs::workOff(std::unique_lock<std::mutex>& lock) {
    m_running = m_wishes.back();
    m_wishes.pop_back();
    m_outdated = false;
    const Wish wish = *m_running;
    const auto bench = m_bench;
    lock.unlock();
    Done done = make(*bench, wish, m_outdated);
    lock.lock();
    m_running.reset();
    // A run that was opened meanwhile wants nothing of the old one's.
    const bool stopped = done.result && done.result->stopped;
    if (bench == m_bench && !stopped) m_done.push_back(std::move(done));
    Q_EMIT arrived();
}

bool ReplayJobs::same(const Wish& a, const Wish& b) {
    const auto link = [](const Wish& wish) { return wish.what.link ? wish.what.link->text : std::string(); };
    return a.series == b.series && a.at == b.at && a.what.policy == b.what.policy &&
           a.what.eviction == b.what.eviction && a.what.budget == b.what.budget && a.what.atMost == b.what.atMost &&
           link(a) == link(b);
}

ReplayJobs::Done ReplayJobs::make(const ReplayBench& bench, const Wish& wish, const std::atomic<bool>& outdated) {
    Done done{.wish = wish, .result = {}, .bound = {}, .failure = {}};
    try {
        if (wish.series) {
            bench.check(wish.what);
            done.result = bench.replay(wish.what, Settle::Admit, &outdated);
        } else {
            done.bound = bench.bound(wish.what.budget, wish.what.link, Settle::Admit);
        }
    } catch (const Error& error) { done.failure = QString::fromUtf8(error.what()); }
    return done;
}

}  // namespace expertscope
