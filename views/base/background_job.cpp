// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/background_job.h"

#include <QCoreApplication>
#include <QMetaObject>
#include <exception>
#include <utility>

#include "engine/base/error.h"

namespace expertscope {

void JobControl::at(const QString& what, double share) const {
    if (m_job.m_wanted != m_number) throw JobStopped();
    QMetaObject::invokeMethod(
        &m_job,
        [job = &m_job, number = m_number, what, share] {
            if (job->m_wanted == number) Q_EMIT job->progressed(what, share);
        },
        Qt::QueuedConnection);
}

BackgroundJob::BackgroundJob(QObject* parent)
    : QObject(parent), m_thread([this](const std::stop_token& stop) { work(stop); }) {}

BackgroundJob::~BackgroundJob() {
    ++m_wanted;
    m_thread.request_stop();
    m_thread.join();
}

void BackgroundJob::start(Work work) {
    {
        const std::lock_guard lock(m_mutex);
        ++m_wanted;
        m_next = std::move(work);
    }
    m_wake.notify_one();
    m_running = true;
    Q_EMIT begun();
}

void BackgroundJob::cancel() {
    if (!m_running) return;
    {
        const std::lock_guard lock(m_mutex);
        ++m_wanted;
        m_next = nullptr;
    }
    m_running = false;
    Q_EMIT ended({}, true);
}

void BackgroundJob::wait() {
    // What a taker asks for anew is waited for, too.
    while (m_running) {
        {
            std::unique_lock lock(m_mutex);
            m_rest.wait(lock, [this] { return !m_busy && !m_next; });
        }
        QCoreApplication::sendPostedEvents(this, QEvent::MetaCall);
    }
}

void BackgroundJob::work(const std::stop_token& stop) {
    std::unique_lock lock(m_mutex);
    while (m_wake.wait(lock, stop, [this] { return m_next != nullptr; })) {
        Work next = std::exchange(m_next, nullptr);
        const std::int64_t number = m_wanted;
        m_busy = true;
        lock.unlock();
        Taker taker;
        QString failure;
        bool stopped = false;
        try {
            taker = next(JobControl(*this, number));
        } catch (const JobStopped&) { stopped = true; } catch (const std::exception& error) {
            failure = QString::fromUtf8(error.what());
        }
        next = nullptr;  // what it held is free when its result is taken
        if (!stopped) {
            QMetaObject::invokeMethod(
                this, [this, number, taker, failure] { told(number, taker, failure); }, Qt::QueuedConnection);
        }
        lock.lock();
        m_busy = false;
        if (!m_next) m_rest.notify_all();
    }
}

void BackgroundJob::told(std::int64_t number, const Taker& taker, const QString& failure) {
    if (number != m_wanted) return;
    m_running = false;
    if (taker) taker();
    if (!m_running) Q_EMIT ended(failure, false);
}

}  // namespace expertscope
