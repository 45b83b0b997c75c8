// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "storage/sqlite_db.h"

namespace expertscope {

/// Moves the WAL into the session file from a thread and a connection of its own, so that the connection that records
/// never waits for a disk to sync. What it cannot do now (a reader in the way, a full disk) it tries again when poked;
/// nothing is lost meanwhile, the WAL only grows.
class Checkpointer {
public:
    explicit Checkpointer(const std::filesystem::path& file);
    ~Checkpointer();
    Checkpointer(const Checkpointer&) = delete;
    Checkpointer& operator=(const Checkpointer&) = delete;

    /// Told after every commit: the WAL holds `pages` pages.
    void walHas(int pages);

private:
    void work();

    Database m_database;
    std::mutex m_mutex;
    std::condition_variable m_wake;
    int m_pages = 0;
    bool m_stop = false;
    std::thread m_thread;
};

}  // namespace expertscope
