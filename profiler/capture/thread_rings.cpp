// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/thread_rings.h"

#include <atomic>

namespace expertscope {
namespace {

struct Cached {
    std::uint64_t registry = 0;
    ThreadRings* rings = nullptr;
};
thread_local Cached t_cached;

std::uint64_t nextId() {
    static std::atomic<std::uint64_t> last = 0;
    return ++last;
}

}  // namespace

RingRegistry::RingRegistry() : m_id(nextId()) {}

ThreadRings& RingRegistry::mine() {
    if (t_cached.registry != m_id) t_cached = {m_id, &find()};
    return *t_cached.rings;
}

ThreadRings& RingRegistry::find() {
    const std::lock_guard lock(m_mutex);
    std::unique_ptr<ThreadRings>& rings = m_rings[std::this_thread::get_id()];
    if (!rings) rings = std::make_unique<ThreadRings>();
    return *rings;
}

std::vector<ThreadRings*> RingRegistry::all() {
    const std::lock_guard lock(m_mutex);
    std::vector<ThreadRings*> rings;
    for (const auto& entry : m_rings) {
        rings.push_back(entry.second.get());
    }
    return rings;
}

}  // namespace expertscope
