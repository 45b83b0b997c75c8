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
    m_thread.join();
}

void ReplayJobs::load(const QString& file, RunId run) {
    {
        const std::lock_guard lock(m_mutex);
        m_wishes.clear();
        m_done.clear();
        m_bench.reset();
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
        m_bench = std::move(bench);
        m_wishes = std::move(wishes);
        std::ranges::reverse(m_wishes);
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
            const Wish wish = m_wishes.back();
            m_wishes.pop_back();
            const auto bench = m_bench;
            lock.unlock();
            Done done = make(*bench, wish);
            lock.lock();
            // A run that was opened meanwhile wants nothing of the old one's.
            if (bench == m_bench) m_done.push_back(std::move(done));
            Q_EMIT arrived();
        }
        m_busy = false;
        if (!m_load && m_wishes.empty()) m_rest.notify_all();
    }
}

ReplayJobs::Done ReplayJobs::make(const ReplayBench& bench, const Wish& wish) {
    Done done{.wish = wish, .result = {}, .bound = {}, .failure = {}};
    try {
        if (wish.series) {
            bench.check(wish.what);
            done.result = bench.replay(wish.what, Settle::Admit);
        } else {
            done.bound = bench.bound(wish.what.budget, wish.what.link, Settle::Admit);
        }
    } catch (const Error& error) { done.failure = QString::fromUtf8(error.what()); }
    return done;
}

}  // namespace expertscope
