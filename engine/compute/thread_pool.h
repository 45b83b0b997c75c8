// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <memory>
#include <type_traits>

namespace expertscope {

/// Persistent workers for short parallel loops. The calling thread works too, as worker 0. Workers spin for a few tens
/// of microseconds before they sleep, fewer when the process has fewer CPUs than threads.
class ThreadPool {
public:
    /// `threads` workers in all, the caller included; 0 = the CPUs that this process may use (affinity and cgroup
    /// quota).
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const;
    static int availableCpus();

    /// Calls body(context, item, worker) once for every item in [0, items), items handed out in order; returns when all
    /// are done. Allocates nothing. The first exception of an item is rethrown here after all have ended.
    using Body = void (*)(void* context, int item, int worker);
    void run(int items, Body body, void* context);

    /// As run(), for a callable.
    template <class F>
    void forEach(int items, F&& f) {
        run(
            items, [](void* c, int item, int worker) { (*static_cast<std::remove_reference_t<F>*>(c))(item, worker); },
            const_cast<void*>(static_cast<const void*>(&f)));
    }

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace expertscope
