// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_receiver.h"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <nvtx3/nvToolsExt.h>
#include <sys/socket.h>

#include "profiler/capture/nvtx_collector.h"
#include "profiler/capture/nvtx_injected.h"
#include "profiler/capture/nvtx_source.h"

namespace expertscope {
namespace {

constexpr std::chrono::milliseconds kDrainEvery(10);

}  // namespace

struct NvtxReceiver::Impl {
    explicit Impl(Observer& observer) : collector(observer) {}

    void work() {
        std::unique_lock lock(mutex);
        while (!stopping) {
            lock.unlock();
            collector.drain();
            lock.lock();
            wake.wait_for(lock, kDrainEvery, [this] { return stopping; });
        }
    }

    std::string other;
    NvtxCollector collector;
    std::mutex mutex;
    std::condition_variable wake;
    bool stopping = false;
    std::thread thread;
};

NvtxReceiver::NvtxReceiver(Observer& observer) : m_impl(std::make_unique<Impl>(observer)) {
    Impl& impl = *m_impl;
    nvtxInitialize(nullptr);  // the first call of NVTX decides who receives all others
    if (!nvtxIsOurs()) {
        const char* path = std::getenv("NVTX_INJECTION64_PATH");
        impl.other = fmt::format(
            "The NVTX ranges of this program's libraries go to another tool ({}) and not into this session; unset "
            "NVTX_INJECTION64_PATH to have them here.",
            path ? path : "which was here first");
        return;
    }
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
    impl.collector.add(ends[0]);
    nvtxConnectHere(ends[1]);
    impl.thread = std::thread([&impl] { impl.work(); });
}

NvtxReceiver::~NvtxReceiver() { stop(); }

const std::string& NvtxReceiver::heldByOther() const { return m_impl->other; }

void NvtxReceiver::stop() {
    Impl& impl = *m_impl;
    if (!impl.thread.joinable()) return;
    nvtxDisconnect();
    {
        const std::lock_guard lock(impl.mutex);
        impl.stopping = true;
    }
    impl.wake.notify_one();
    impl.thread.join();
    impl.collector.finish();
}

}  // namespace expertscope
