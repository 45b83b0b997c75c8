// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/give_back.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace expertscope {
namespace {

class Freeing {
public:
    void take(std::shared_ptr<void> last) {
        {
            const std::lock_guard lock(m_mutex);
            m_waiting.push_back(std::move(last));
        }
        m_wake.notify_one();
    }

private:
    void free(const std::stop_token& stop) {
        std::unique_lock lock(m_mutex);
        while (m_wake.wait(lock, stop, [this] { return !m_waiting.empty(); })) {
            std::vector<std::shared_ptr<void>> now = std::exchange(m_waiting, {});
            lock.unlock();
            now.clear();
            lock.lock();
        }
    }

    std::mutex m_mutex;
    std::condition_variable_any m_wake;
    std::vector<std::shared_ptr<void>> m_waiting;
    std::jthread m_thread{[this](const std::stop_token& stop) { free(stop); }};  // last: it uses the others
};

}  // namespace

void giveBackShared(std::shared_ptr<void> last) {
    static Freeing freeing;
    freeing.take(std::move(last));
}

}  // namespace expertscope
