// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "views/whatif/whatif_model.h"

namespace expertscope {

/// Replays off the UI thread, one after the other. A new list of wishes replaces what has not begun and stops what has
/// and is wished no longer; what is done is handed over by arrived().
class ReplayJobs : public QObject {
    Q_OBJECT
public:
    /// A replay of a series at a point of the grid; a bound where it has no series.
    struct Wish {
        std::optional<WhatIfSeries> series;
        int at = 0;
        ReplayCase what;
    };
    struct Done {
        Wish wish;
        std::optional<ReplayResult> result;
        std::optional<ReplayBound> bound;
        QString failure;  ///< empty when it went well
    };

    explicit ReplayJobs(QObject* parent = nullptr);
    ~ReplayJobs() override;

    /// Reads a run of a session and tells loaded(). Forgets every wish.
    void load(const QString& file, RunId run);
    void wish(std::shared_ptr<const ReplayBench> bench, std::vector<Wish> wishes);
    /// What was done since the last call.
    std::vector<Done> take();
    bool idle() const;
    /// Waits until nothing is left to do.
    void wait();

Q_SIGNALS:
    void loaded(std::shared_ptr<const ReplayBench> bench, QString failure);
    void arrived();

private:
    void work(const std::stop_token& stop);
    void workOff(std::unique_lock<std::mutex>& lock);
    static bool same(const Wish& a, const Wish& b);
    static Done make(const ReplayBench& bench, const Wish& wish, const std::atomic<bool>& outdated);

    mutable std::mutex m_mutex;
    std::condition_variable_any m_wake;
    std::condition_variable m_rest;
    std::function<void()> m_load;
    std::shared_ptr<const ReplayBench> m_bench;
    std::vector<Wish> m_wishes;  ///< the next one last
    std::vector<Done> m_done;
    std::optional<Wish> m_running;
    std::atomic<bool> m_outdated = false;  ///< m_running is wished no longer
    int m_generation = 0;                  ///< of load(): what an older one brings is not told
    bool m_busy = false;
    std::jthread m_thread;
};

}  // namespace expertscope
