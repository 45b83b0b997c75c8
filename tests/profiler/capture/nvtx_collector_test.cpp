// SPDX-License-Identifier: GPL-3.0-or-later
// What a program that is not ours may send: everything but what it should.
#include "profiler/capture/nvtx_collector.h"

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "profiler/capture/nvtx_moe.h"
#include "profiler/capture/nvtx_payload.h"
#include "profiler/capture/nvtx_wire.h"

namespace expertscope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Keeper : Observer {
    std::vector<SpanRecord> spans;
    std::vector<std::string> names, diagnostics;
    void onSpan(const SpanRecord& span) override { spans.push_back(span); }
    void onRangeName(const RangeName& name) override { names.push_back(name.text); }
    void onDiagnostic(const DiagnosticRecord& diagnostic) override { diagnostics.push_back(diagnostic.name); }
};

/// A program that speaks to a collector by hand.
class HandmadeProgram {
public:
    explicit HandmadeProgram(NvtxCollector& collector) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("no socket");
        collector.add(ends[0]);
        m_socket = ends[1];
    }
    ~HandmadeProgram() {
        if (m_socket >= 0) close(m_socket);
        if (m_head) munmap(m_head, m_page + kCapacity);
    }

    void send(NvtxMessageKind kind, std::uint32_t domain, std::uint64_t id, const std::string& text, int file = -1) {
        NvtxMessage message{kind, domain, id, 0};
        iovec parts[2] = {{&message, sizeof message}, {const_cast<char*>(text.data()), text.size()}};
        msghdr packet{};
        packet.msg_iov = parts;
        packet.msg_iovlen = 2;
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        if (file >= 0) {
            packet.msg_control = control;
            packet.msg_controllen = sizeof control;
            cmsghdr* rights = CMSG_FIRSTHDR(&packet);
            rights->cmsg_level = SOL_SOCKET;
            rights->cmsg_type = SCM_RIGHTS;
            rights->cmsg_len = CMSG_LEN(sizeof(int));
            std::memcpy(CMSG_DATA(rights), &file, sizeof file);
        }
        ASSERT_GT(sendmsg(m_socket, &packet, 0), 0);
    }
    void hello() { send(NvtxMessageKind::Hello, kNvtxWireVersion, 1234567, "handmade"); }
    void makeRing() {
        const int file = memfd_create("ring", MFD_CLOEXEC);
        ASSERT_EQ(ftruncate(file, static_cast<off_t>(m_page + kCapacity)), 0);
        void* memory = mmap(nullptr, m_page + kCapacity, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        ASSERT_NE(memory, MAP_FAILED);
        m_head = new (memory) NvtxRingHead;
        m_head->pageBytes = static_cast<std::uint32_t>(m_page);
        m_head->capacity = kCapacity;
        send(NvtxMessageKind::Ring, 0, 77, "thread", file);
        close(file);
    }
    NvtxRingHead& head() { return *m_head; }
    char* data() { return reinterpret_cast<char*>(m_head) + m_page; }
    void put(const NvtxEvent& event, const std::string& more = {}) {
        std::memcpy(data() + m_at, &event, sizeof event);
        std::memcpy(data() + m_at + sizeof event, more.data(), more.size());
        m_at += sizeof event + more.size();
        m_head->tail.store(m_at);
    }
    void hangUp() {
        close(m_socket);
        m_socket = -1;
    }
    static constexpr std::size_t kCapacity = 1 << 16;

private:
    const std::size_t m_page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    int m_socket = -1;
    NvtxRingHead* m_head = nullptr;
    std::size_t m_at = 0;
};

NvtxEvent event(NvtxEventKind kind, std::uint32_t bytes, std::int64_t time, std::uint16_t depth = 0) {
    NvtxEvent made;
    made.kind = kind;
    made.bytes = bytes;
    made.time = time;
    made.depth = depth;
    return made;
}

std::string body(const std::string& text) {
    NvtxEventBody made;
    made.textBytes = static_cast<std::uint32_t>(text.size());
    std::string bytes(reinterpret_cast<const char*>(&made), sizeof made);
    bytes += text;
    bytes.resize(nvtxPadded(bytes.size()), '\0');
    return bytes;
}

void push(HandmadeProgram& program, const std::string& text, std::int64_t time, std::uint16_t depth = 0) {
    const std::string said = body(text);
    program.put(event(NvtxEventKind::Push, static_cast<std::uint32_t>(sizeof(NvtxEvent) + said.size()), time, depth),
                said);
}

TEST(NvtxCollector, TakesWhatAProgramHasWrittenBeforeItWasLookedAtAndAfterItIsGone) {
    Keeper keeper;
    NvtxCollector collector(keeper);
    {
        HandmadeProgram program(collector);
        program.hello();
        program.makeRing();
        push(program, "outer", 100);
        push(program, "inner", 110, 1);
        program.put(event(NvtxEventKind::Pop, sizeof(NvtxEvent), 120, 1));
    }
    while (collector.drain()) {}
    EXPECT_THAT(keeper.names, ElementsAre("outer", "inner"));
    ASSERT_EQ(keeper.spans.size(), 2U);
    EXPECT_EQ(keeper.spans[0].start, Nanoseconds(110));
    EXPECT_EQ(keeper.spans[1].end, Nanoseconds(120));
    EXPECT_THAT(keeper.diagnostics, ElementsAre("nvtx_ranges_open"));
}

TEST(NvtxCollector, PairsRangesByTheirDepthWhereEventsAreMissing) {
    Keeper keeper;
    NvtxCollector collector(keeper);
    HandmadeProgram program(collector);
    program.hello();
    program.makeRing();
    push(program, "outer", 100);
    push(program, "its end is lost", 110, 1);
    push(program, "inner", 120, 1);
    program.put(event(NvtxEventKind::Pop, sizeof(NvtxEvent), 130, 1));
    program.put(event(NvtxEventKind::Pop, sizeof(NvtxEvent), 135, 5));  // its beginning is lost
    program.put(event(NvtxEventKind::Pop, sizeof(NvtxEvent), 140, 0));
    program.hangUp();
    collector.finish();
    ASSERT_EQ(keeper.spans.size(), 2U);
    EXPECT_EQ(keeper.spans[0].start, Nanoseconds(120));
    EXPECT_EQ(keeper.spans[1].start, Nanoseconds(100));
    EXPECT_EQ(keeper.spans[1].end, Nanoseconds(140));
    EXPECT_THAT(keeper.diagnostics, ElementsAre("nvtx_ranges_unmatched"));
}

TEST(NvtxCollector, LeavesOutWhatAProgramHasOverwritten) {
    Keeper keeper;
    NvtxCollector collector(keeper);
    HandmadeProgram program(collector);
    program.hello();
    program.makeRing();
    push(program, "good", 100);
    program.put(event(NvtxEventKind::Pop, 17, 120));  // no event has 17 bytes
    program.hangUp();
    collector.finish();
    EXPECT_THAT(keeper.names, ElementsAre("good"));
    EXPECT_THAT(keeper.diagnostics, ElementsAre("nvtx_ranges_open", "nvtx_events_damaged"));
}

TEST(NvtxCollector, SurvivesRandomRingsAndMessages) {
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        Keeper keeper;
        NvtxCollector collector(keeper);
        HandmadeProgram program(collector);
        if (round % 5 != 0) program.hello();
        program.makeRing();
        for (std::size_t i = 0; i < HandmadeProgram::kCapacity; i += 4) {
            // Small numbers are more often plausible sizes than random ones.
            const auto word = static_cast<std::uint32_t>(random() % 3 == 0 ? random() : 8 * (random() % 20));
            std::memcpy(program.data() + i, &word, sizeof word);
        }
        for (int message = 0; message < 20; ++message) {
            std::string text(random() % 300, '\0');
            for (char& c : text)
                c = static_cast<char>(random() % 4 == 0 ? random() : 0);
            program.send(static_cast<NvtxMessageKind>(random() % 9), static_cast<std::uint32_t>(random() % 3),
                         random() % 5, text);
        }
        program.head().tail.store(round % 7 == 0 ? random() : random() % HandmadeProgram::kCapacity);
        if (round % 2 == 0) program.head().closed.store(1);
        collector.drain();
        collector.drain();
        program.head().capacity = random();  // it is looked at once
        program.head().tail.store(random());
        collector.drain();
        collector.finish();
    }
}

TEST(NvtxCollector, TellsThreadsWhoseRingIsNone) {
    Keeper keeper;
    NvtxCollector collector(keeper);
    HandmadeProgram program(collector);
    program.hello();
    program.send(NvtxMessageKind::Ring, 0, 5, "no file");
    const int tiny = memfd_create("tiny", MFD_CLOEXEC);
    program.send(NvtxMessageKind::Ring, 0, 6, "too small", tiny);
    close(tiny);
    program.hangUp();
    collector.finish();
    EXPECT_THAT(keeper.diagnostics, ElementsAre("nvtx_threads_missing"));
}

TEST(NvtxCollector, RefusesALibraryOfAnotherVersion) {
    Keeper keeper;
    NvtxCollector collector(keeper);
    HandmadeProgram program(collector);
    program.send(NvtxMessageKind::Hello, kNvtxWireVersion + 1, 1, "future");
    collector.finish();
    EXPECT_THAT(keeper.diagnostics, ElementsAre("nvtx_other_version"));
}

TEST(MoeMessage, SaysWhatIsWrongWithIt) {
    EXPECT_THAT(parseMoeMessage("moe.select experts=1,2").fault, HasSubstr("layer"));
    EXPECT_THAT(parseMoeMessage("moe.select layer=1").fault, HasSubstr("experts"));
    EXPECT_THAT(parseMoeMessage("moe.select layer=1 experts=1,x").fault, HasSubstr("'experts=1,x'"));
    EXPECT_THAT(parseMoeMessage("moe.select layer=1 experts=").fault, HasSubstr("'experts='"));
    EXPECT_THAT(parseMoeMessage("moe.select layer=1 experts=1,2 weights=0.5").fault, HasSubstr("different"));
    EXPECT_THAT(parseMoeMessage("moe.select layer=1 experts 3").fault, HasSubstr("key=value"));
    EXPECT_THAT(parseMoeMessage("moe.selected layer=1 experts=1").fault, HasSubstr("'moe.selected'"));
    const MoeMessage good = parseMoeMessage("moe.select  layer=1 experts=4,2;3,1 later=x token=9 step=2 ");
    EXPECT_THAT(good.fault, IsEmpty());
    ASSERT_TRUE(good.select.has_value());
    EXPECT_THAT(good.select->experts, ElementsAre(ElementsAre(4, 2), ElementsAre(3, 1)));
    EXPECT_EQ(good.select->token, 9);
    EXPECT_EQ(good.select->step, 2);
}

/// A schema's text as it is sent.
void addField(std::string& text, const std::string& name, std::uint64_t type, std::uint64_t offset,
              std::uint32_t count) {
    const NvtxSchemaEntry entry{type, offset, count, static_cast<std::uint32_t>(name.size())};
    text.append(reinterpret_cast<const char*>(&entry), sizeof entry).append(name);
}

TEST(NvtxSchema, FindsFieldsAsACompilerPlacesThem) {
    struct Values {
        std::uint8_t a;
        double b;
        std::int16_t c[3];
        void* pointer;
        float d;
    };
    std::string text;
    addField(text, "values", 1, sizeof(Values), 0);
    addField(text, "a", 12, 0, 1);
    addField(text, "b", 20, 0, 1);
    addField(text, "c", 13, 0, 3);
    addField(text, "pointer", 75, 0, 0);
    addField(text, "d", 19, 0, 1);
    const NvtxSchema schema(text);
    const Values values{200, -2.5, {-1, 2, 300}, nullptr, 0.5F};
    const std::string_view bytes(reinterpret_cast<const char*>(&values), sizeof values);
    EXPECT_EQ(schema.name(), "values");
    EXPECT_EQ(schema.integer("a", bytes), 200);
    EXPECT_EQ(schema.numbers("b", bytes), std::vector{-2.5});
    EXPECT_EQ(schema.numbers("c", bytes), (std::vector<double>{-1, 2, 300}));
    EXPECT_EQ(schema.numbers("d", bytes), std::vector{0.5});
    EXPECT_FALSE(schema.has("pointer"));
    EXPECT_EQ(schema.integer("b", bytes.substr(0, 12)), std::nullopt) << "a payload that is cut off";
    EXPECT_THAT(schema.numbers("c", bytes.substr(0, 20)), ElementsAre(-1, 2));
}

}  // namespace
}  // namespace expertscope
