// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/transfer_queue.h"

#include <algorithm>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope {
namespace {

/// Keeps what the link tells.
class Log final : public Observer {
public:
    void onSpan(const SpanRecord& span) override {
        const std::lock_guard lock(m_mutex);
        m_spans.push_back(span);
    }
    void onTransfer(const TransferRecord& transfer) override {
        const std::lock_guard lock(m_mutex);
        m_transfers.push_back(transfer);
    }
    std::vector<SpanRecord> spans() {
        const std::lock_guard lock(m_mutex);
        return m_spans;
    }
    std::vector<TransferRecord> transfers() {
        const std::lock_guard lock(m_mutex);
        return m_transfers;
    }

private:
    std::mutex m_mutex;
    std::vector<SpanRecord> m_spans;
    std::vector<TransferRecord> m_transfers;
};

class TransferQueueTest : public testing::Test {
protected:
    static constexpr int kSlots = 6;
    TransferQueueTest() {
        test::writeTinyQwen3Moe(m_folder.path());
        m_checkpoint = std::make_unique<Checkpoint>(Checkpoint::open(m_folder.path()));
        m_store = std::make_unique<ExpertStore>(*m_checkpoint, IoMode::Buffered);
        m_arena = std::make_unique<Arena>(kSlots, m_store->slotBytes());
    }
    void open(const char* link) {
        m_queue = std::make_unique<TransferQueue>(std::vector{SlotTier{m_store.get(), m_arena.get(), kSlots}},
                                                  link ? std::optional(parseLink(link)) : std::nullopt, RecordSet{},
                                                  m_log, LaneId(100));
    }
    void submit(int slot, TransferPurpose purpose) {
        TransferRecord record;
        record.id = m_next++;
        record.expert = {LayerIndex(0), ExpertId(slot)};
        record.slot = SlotIndex(slot);
        record.bytes = m_store->expertBytes();
        record.issued = sessionNow();
        record.purpose = purpose;
        m_queue->submit(record);
    }
    void waitFor(int slot) {
        const SlotIndex index(slot);
        m_queue->waitForAny({&index, 1});
    }
    TransferRecord described(int slot) {
        TransferRecord record;
        m_queue->describe(SlotIndex(slot), record);
        return record;
    }
    /// A link on which one expert takes `milliseconds`.
    std::string linkOf(double milliseconds) const {
        return std::to_string(static_cast<double>(m_store->expertBytes().count()) / milliseconds * 1000) + "B/s@0us";
    }

    test::TemporaryFolder m_folder;
    std::unique_ptr<Checkpoint> m_checkpoint;
    std::unique_ptr<ExpertStore> m_store;
    std::unique_ptr<Arena> m_arena;
    Log m_log;
    std::unique_ptr<TransferQueue> m_queue;
    std::int64_t m_next = 0;
};

TEST_F(TransferQueueTest, BringsEveryTransferAndCountsItsBytes) {
    open(nullptr);
    for (int slot = 0; slot < kSlots; ++slot)
        submit(slot, slot % 2 ? TransferPurpose::Prefetch : TransferPurpose::Demand);
    m_queue->drain();
    for (int slot = 0; slot < kSlots; ++slot) {
        EXPECT_TRUE(m_queue->arrived(SlotIndex(slot)));
        EXPECT_EQ(described(slot).moved, m_store->expertBytes());
        EXPECT_LE(described(slot).started, described(slot).finished);
    }
    EXPECT_EQ(m_queue->moved(), m_store->expertBytes() * kSlots);
}

TEST_F(TransferQueueTest, TakesAtLeastTheLinksTime) {
    open(linkOf(4).c_str());
    const Nanoseconds began = sessionNow();
    for (int slot = 0; slot < 5; ++slot)
        submit(slot, TransferPurpose::Demand);
    m_queue->drain();
    EXPECT_GE(sessionNow() - began, Nanoseconds(5 * 4'000'000 - 1000));
}

TEST_F(TransferQueueTest, LetsADemandGoBeforePrefetchesAndInterruptsTheOneThatMoves) {
    open(linkOf(200).c_str());
    submit(0, TransferPurpose::Prefetch);
    submit(1, TransferPurpose::Prefetch);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    submit(2, TransferPurpose::Demand);
    waitFor(2);
    EXPECT_FALSE(m_queue->arrived(SlotIndex(0)));
    m_queue->drain();
    EXPECT_LT(described(2).finished, described(0).finished);
    EXPECT_LT(described(0).finished, described(1).finished);  // prefetches keep their order
    EXPECT_EQ(described(0).moved, m_store->expertBytes());
    EXPECT_EQ(m_queue->moved(), m_store->expertBytes() * 3);
}

TEST_F(TransferQueueTest, MovesAPromotedPrefetchBeforeOthers) {
    open(linkOf(50).c_str());
    for (int slot = 0; slot < 4; ++slot)
        submit(slot, TransferPurpose::Prefetch);
    m_queue->promote(SlotIndex(3));
    waitFor(3);
    EXPECT_FALSE(m_queue->arrived(SlotIndex(1)));
    EXPECT_FALSE(m_queue->arrived(SlotIndex(2)));
    m_queue->drain();
}

TEST_F(TransferQueueTest, GivesUpWhatIsCancelledAndTellsHowMuchMoved) {
    open(linkOf(500).c_str());
    submit(0, TransferPurpose::Prefetch);
    submit(1, TransferPurpose::Prefetch);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const Nanoseconds began = sessionNow();
    EXPECT_TRUE(m_queue->cancel(SlotIndex(1)));  // queued
    EXPECT_TRUE(m_queue->cancel(SlotIndex(0)));  // moving
    m_queue->drain();
    EXPECT_LT(sessionNow() - began, Nanoseconds(300'000'000));
    auto told = m_log.transfers();
    ASSERT_EQ(told.size(), 2U);
    std::ranges::sort(told, {}, &TransferRecord::id);
    EXPECT_EQ(told[0].fate, TransferFate::Cancelled);
    EXPECT_GT(told[0].moved, Bytes(0));
    EXPECT_LT(told[0].moved, m_store->expertBytes());
    EXPECT_EQ(told[1].fate, TransferFate::Cancelled);
    EXPECT_EQ(told[1].moved, Bytes(0));
    EXPECT_EQ(m_queue->moved(), told[0].moved);
}

TEST_F(TransferQueueTest, RefillsASlotWhoseTransferWasCancelled) {
    open(linkOf(30).c_str());
    for (int round = 0; round < 5; ++round) {
        submit(0, TransferPurpose::Prefetch);
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        EXPECT_TRUE(m_queue->cancel(SlotIndex(0)));
    }
    submit(0, TransferPurpose::Demand);
    waitFor(0);
    EXPECT_EQ(described(0).moved, m_store->expertBytes());
    EXPECT_FALSE(m_queue->cancel(SlotIndex(0)));  // it has arrived
}

TEST_F(TransferQueueTest, HandsTheReadersErrorToWhoWaits) {
    open(nullptr);
    std::filesystem::resize_file(m_folder.path() / "model.safetensors", 9000);
    submit(5, TransferPurpose::Demand);
    EXPECT_THROW(waitFor(5), BadInputError);
    EXPECT_THROW(m_queue->drain(), BadInputError);
}

TEST_F(TransferQueueTest, TellsASpanForEachTransferOnItsLane) {
    open(nullptr);
    submit(0, TransferPurpose::Demand);
    submit(1, TransferPurpose::Prefetch);
    m_queue->drain();
    m_queue.reset();
    const auto spans = m_log.spans();
    ASSERT_EQ(spans.size(), 2U);
    EXPECT_EQ(spans[0].kind, SpanKind::TransferDemand);
    EXPECT_EQ(spans[1].kind, SpanKind::TransferPrefetch);
    for (const SpanRecord& span : spans) {
        EXPECT_EQ(span.lane, LaneId(100));
        EXPECT_EQ(span.amount, m_store->expertBytes().count());
        EXPECT_LE(span.start, span.end);
    }
}

TEST(Arena, HasItsMemoryOnceItIsPopulated) {
    constexpr std::size_t kSlot = 1U << 20U;
    Arena arena(4, kSlot);
    std::vector<unsigned char> there(4 * kSlot / static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
    const auto pages = [&] {
        EXPECT_EQ(::mincore(arena.slot(SlotIndex(0)), 4 * kSlot, there.data()), 0);
        return std::ranges::count_if(there, [](unsigned char page) { return (page & 1U) != 0; });
    };
    EXPECT_EQ(pages(), 0);
    arena.populate();
    EXPECT_EQ(pages(), std::ssize(there));
}

}  // namespace
}  // namespace expertscope
