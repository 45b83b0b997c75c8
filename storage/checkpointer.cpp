// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/checkpointer.h"

#include <chrono>

namespace expertscope {
namespace {

constexpr int kWorthwhilePages = 2048;  // 16 MiB of WAL
// A steady writer adds pages while they are moved, so that a passive checkpoint never empties the WAL. Beyond this the
// writer is held up for the short moment in which the WAL starts anew.
constexpr int kTooManyPages = 16384;  // 128 MiB
constexpr int kRestartTimeoutMs = 20;
constexpr std::chrono::seconds kPause(1);

}  // namespace

Checkpointer::Checkpointer(const std::filesystem::path& file) : m_database(file, OpenMode::Existing) {
    m_database.execute("PRAGMA synchronous=NORMAL");
    m_thread = std::thread([this] { work(); });
}

Checkpointer::~Checkpointer() {
    {
        const std::lock_guard lock(m_mutex);
        m_stop = true;
    }
    m_wake.notify_one();
    m_thread.join();
}

void Checkpointer::walHas(int pages) {
    if (pages < kWorthwhilePages) return;
    {
        const std::lock_guard lock(m_mutex);
        m_pages = pages;
    }
    m_wake.notify_one();
}

void Checkpointer::work() {
    std::unique_lock lock(m_mutex);
    while (!m_stop) {
        m_wake.wait(lock, [this] { return m_stop || m_pages >= kWorthwhilePages; });
        if (m_stop) break;
        const int pages = m_pages;
        m_pages = 0;
        lock.unlock();
        sqlite3_busy_timeout(m_database.handle(), 0);
        sqlite3_wal_checkpoint_v2(m_database.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
        if (pages >= kTooManyPages) {
            sqlite3_busy_timeout(m_database.handle(), kRestartTimeoutMs);
            sqlite3_wal_checkpoint_v2(m_database.handle(), nullptr, SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
        }
        lock.lock();
        m_wake.wait_for(lock, kPause, [this] { return m_stop; });
    }
}

}  // namespace expertscope
