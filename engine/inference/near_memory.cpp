// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/near_memory.h"

#include "engine/base/annotation.h"

namespace expertscope {

NearMemory::NearMemory(const Checkpoint& checkpoint, const Kernels& kernels, const RecordSet& record,
                       Observer& observer)
    : m_checkpoint(&checkpoint),
      m_kernels(&kernels),
      m_record(record),
      m_observer(&observer),
      m_store(checkpoint, IoMode::Buffered),
      m_bytes(1, m_store.slotBytes()),
      m_scratch(checkpoint.config()),
      m_thread([this] { work(); }) {}

NearMemory::~NearMemory() {
    {
        const std::lock_guard lock(m_mutex);
        m_stop = true;
    }
    m_wake.notify_one();
    m_thread.join();
}

void NearMemory::submit(const Task& task, const ExpertRows& rows) {
    {
        const std::lock_guard lock(m_mutex);
        m_tasks.emplace_back(task, rows);
    }
    m_wake.notify_one();
}

int NearMemory::wait() {
    std::unique_lock lock(m_mutex);
    m_done.wait(lock, [this] { return m_failure || m_finished == m_tasks.size(); });
    if (m_failure) std::rethrow_exception(m_failure);
    m_tasks.clear();
    m_next = m_finished = 0;
    return std::exchange(m_notFinite, -1);
}

void NearMemory::work() {
    std::unique_lock lock(m_mutex);
    while (true) {
        m_wake.wait(lock, [this] { return m_stop || (!m_failure && m_next < m_tasks.size()); });
        if (m_stop) return;
        const auto [task, rows] = m_tasks[m_next++];
        lock.unlock();
        std::exception_ptr failure;
        try {
            run(task, rows);
        } catch (...) { failure = std::current_exception(); }
        lock.lock();
        if (failure) m_failure = failure;
        ++m_finished;
        if (m_failure || m_finished == m_tasks.size()) m_done.notify_one();
    }
}

void NearMemory::run(const Task& task, const ExpertRows& rows) {
    SpanAnnotation computing({.start = sessionNow(),
                              .end = {},
                              .amount = static_cast<std::int64_t>(task.uses.size()),
                              .step = task.step,
                              .layer = task.expert.layer,
                              .expert = task.expert.expert,
                              .lane = kLane,
                              .kind = SpanKind::ExpertCompute});
    std::byte* const slot = m_bytes.slot(SlotIndex(0));
    if (task.expert != m_loaded) {
        for (int piece = 0; piece < m_store.pieces(task.expert); ++piece)
            m_store.readPiece(task.expert, piece, slot);
        m_loaded = task.expert;
    }
    const bool finite =
        runExpert(*m_kernels, m_checkpoint->config(), m_store.weights(task.expert, slot), task.uses, rows, m_scratch);
    if (!finite) {
        const std::lock_guard lock(m_mutex);
        m_notFinite = task.access;
    }
    computing.end(sessionNow(), m_record.spans ? m_observer : nullptr);
}

}  // namespace expertscope
