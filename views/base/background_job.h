// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QString>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace expertscope {

class BackgroundJob;

/// What a piece of work off the UI thread may do beside its work: say how far it is, and notice that nobody waits for
/// it any more.
class JobControl {
public:
    /// What is being done and which part of it is done, 0…1; below 0: not known. Throws JobStopped where the work is
    /// wanted no longer, so that it ends between two steps.
    void at(const QString& what, double share = -1) const;

private:
    friend class BackgroundJob;
    JobControl(BackgroundJob& job, std::int64_t number) : m_job(job), m_number(number) {}
    BackgroundJob& m_job;
    std::int64_t m_number;
};

/// Thrown through work that was cancelled.
struct JobStopped {};

/// One piece of work off the UI thread at a time; what is asked for later replaces what has not ended. To be used from
/// the thread that it lives in.
class BackgroundJob : public QObject {
    Q_OBJECT
public:
    /// What the work brought, to be taken over by the UI thread.
    using Taker = std::function<void()>;
    using Work = std::function<Taker(const JobControl&)>;

    explicit BackgroundJob(QObject* parent = nullptr);
    ~BackgroundJob() override;

    void start(Work work);
    /// Ends what is going on; it brings nothing.
    void cancel();
    bool running() const { return m_running; }
    /// Waits until nothing is going on, and takes what was brought.
    void wait();

Q_SIGNALS:
    void begun();
    void progressed(const QString& what, double share);
    /// Empty `failure`: its result was taken. Not told of what was replaced.
    void ended(const QString& failure, bool cancelled);

private:
    friend class JobControl;
    void work(const std::stop_token& stop);
    void told(std::int64_t number, const Taker& taker, const QString& failure);

    mutable std::mutex m_mutex;
    std::condition_variable_any m_wake;
    std::condition_variable m_rest;
    Work m_next;
    std::atomic<std::int64_t> m_wanted = 0;  ///< number of the work that is waited for
    bool m_busy = false;
    bool m_running = false;  ///< as the UI thread knows it
    std::jthread m_thread;
};

}  // namespace expertscope
