// SPDX-License-Identifier: GPL-3.0-or-later
// NVTX calls made in this program, as a library in it would make them, must arrive: a change of the order of linking
// would lose all of them without any error.
#include <algorithm>
#include <bit>
#include <chrono>
#include <map>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nvtx3/nvToolsExt.h>
#include <nvtx3/nvToolsExtPayload.h>
#include <unistd.h>

#include "engine/base/run_facts.h"
#include "profiler/capture/nvtx_receiver.h"

namespace expertscope {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

/// Keeps what it is told; read after the receiver has stopped.
struct Keeper : Observer {
    std::vector<SpanRecord> spans;
    std::vector<SelectionRecord> selections;
    std::vector<TokenRecord> tokens;
    std::vector<DiagnosticRecord> diagnostics;
    std::map<std::int32_t, RangeName> names;
    std::map<std::int32_t, LaneInfo> lanes;
    ModelFacts model;

    void onSpan(const SpanRecord& span) override { spans.push_back(span); }
    void onSelections(std::span<const SelectionRecord> told) override {
        selections.insert(selections.end(), told.begin(), told.end());
    }
    void onToken(const TokenRecord& token) override { tokens.push_back(token); }
    void onDiagnostic(const DiagnosticRecord& diagnostic) override { diagnostics.push_back(diagnostic); }
    void onRangeName(const RangeName& name) override { names[name.id.value()] = name; }
    void onLane(const LaneInfo& lane) override { lanes[lane.lane.value()] = lane; }
    void onModel(const ModelFacts& facts) override { model = facts; }

    const RangeName& nameOf(const SpanRecord& span) const { return names.at(span.name.value()); }
    const LaneInfo& laneOf(const SpanRecord& span) const { return lanes.at(span.lane.value()); }
    std::vector<std::string> texts() const {
        std::vector<std::string> list;
        for (const SpanRecord& span : spans)
            list.push_back(nameOf(span).text);
        return list;
    }
    const SpanRecord& span(const std::string& text) const {
        for (const SpanRecord& each : spans)
            if (nameOf(each).text == text) return each;
        throw std::out_of_range("no range " + text);
    }
};

nvtxEventAttributes_t attributes(const char* text) {
    nvtxEventAttributes_t what{};
    what.version = NVTX_VERSION;
    what.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    what.messageType = NVTX_MESSAGE_TYPE_ASCII;
    what.message.ascii = text;
    return what;
}

/// Everything that `tell` says to NVTX.
template <class Tell>
Keeper receive(Tell tell) {
    Keeper keeper;
    NvtxReceiver receiver(keeper);
    EXPECT_EQ(receiver.heldByOther(), "");
    tell();
    receiver.stop();
    return keeper;
}

TEST(NvtxReceiver, TakesEveryFormOfTheDefaultDomain) {
    const Keeper got = receive([] {
        const nvtxEventAttributes_t ex = attributes("push ex");
        nvtxRangePushA("push a");
        nvtxRangePushW(L"push w ü€😀");
        nvtxRangePushEx(&ex);
        for (int i = 0; i < 3; ++i)
            nvtxRangePop();
        const nvtxEventAttributes_t started = attributes("start ex");
        const nvtxRangeId_t a = nvtxRangeStartA("start a"), w = nvtxRangeStartW(L"start w"),
                            x = nvtxRangeStartEx(&started);
        for (const nvtxRangeId_t id : {a, w, x})
            nvtxRangeEnd(id);
        const nvtxEventAttributes_t marked = attributes("mark ex");
        nvtxMarkA("mark a");
        nvtxMarkW(L"mark w");
        nvtxMarkEx(&marked);
    });
    EXPECT_THAT(got.texts(), UnorderedElementsAre("push ex", "push w ü€😀", "push a", "start a", "start w", "start ex",
                                                  "mark a", "mark w", "mark ex"));
    for (const SpanRecord& span : got.spans) {
        EXPECT_EQ(span.kind, SpanKind::Range);
        EXPECT_EQ(got.nameOf(span).domain, "");
        EXPECT_EQ(span.payload, PayloadType::None);
    }
    EXPECT_EQ(got.span("mark a").start, got.span("mark a").end);
    EXPECT_THAT(got.diagnostics, IsEmpty());
}

TEST(NvtxReceiver, TakesDomainsWithCategoriesColoursRegisteredStringsAndPayloads) {
    const Keeper got = receive([] {
        nvtxDomainHandle_t domain = nvtxDomainCreateA("a domain");
        ASSERT_NE(domain, nullptr);
        EXPECT_EQ(nvtxDomainCreateW(L"a domain"), domain);
        nvtxDomainNameCategoryA(domain, 7, "kernels");
        nvtxDomainNameCategoryW(domain, 8, L"copies");
        const nvtxStringHandle_t text = nvtxDomainRegisterStringA(domain, "registered");
        const nvtxStringHandle_t wide = nvtxDomainRegisterStringW(domain, L"registered wide");
        nvtxEventAttributes_t what = attributes("");
        what.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
        what.message.registered = text;
        what.category = 7;
        what.colorType = NVTX_COLOR_ARGB;
        what.color = 0xff102030;
        what.payloadType = NVTX_PAYLOAD_TYPE_INT32;
        what.payload.iValue = -5;
        EXPECT_EQ(nvtxDomainRangePushEx(domain, &what), 0);
        what.message.registered = wide;
        what.category = 8;
        what.payloadType = NVTX_PAYLOAD_TYPE_FLOAT;
        what.payload.fValue = 0.25F;
        const nvtxRangeId_t id = nvtxDomainRangeStartEx(domain, &what);
        nvtxDomainRangeEnd(domain, id);
        what.category = 9;
        what.payloadType = NVTX_PAYLOAD_TYPE_UNSIGNED_INT64;
        what.payload.ullValue = 1ULL << 40;
        nvtxDomainMarkEx(domain, &what);
        EXPECT_EQ(nvtxDomainRangePop(domain), 0);
        nvtxDomainDestroy(domain);
    });
    ASSERT_EQ(got.spans.size(), 3u);
    const SpanRecord& range = got.span("registered");
    EXPECT_EQ(got.nameOf(range).domain, "a domain");
    EXPECT_EQ(got.nameOf(range).category, "kernels");
    EXPECT_EQ(got.nameOf(range).color, 0xff102030U);
    EXPECT_EQ(range.amount, -5);
    EXPECT_EQ(range.payload, PayloadType::Integer);
    const auto ofCategory = [&](const std::string& category) {
        return *std::ranges::find_if(got.spans, [&](const auto& s) { return got.nameOf(s).category == category; });
    };
    const SpanRecord started = ofCategory("copies"), marked = ofCategory("9");
    EXPECT_EQ(got.nameOf(started).text, "registered wide");
    EXPECT_EQ(started.payload, PayloadType::Real);
    EXPECT_EQ(std::bit_cast<double>(started.amount), 0.25);
    EXPECT_EQ(marked.amount, std::int64_t{1} << 40);
}

TEST(NvtxReceiver, GivesEachLevelOfAThreadAndOverlappingRangesLanesOfTheirOwn) {
    const Keeper got = receive([] {
        nvtxNameOsThreadA(static_cast<std::uint32_t>(gettid()), "the tester");
        nvtxRangePushA("outer");
        nvtxRangePushA("inner");
        const nvtxRangeId_t first = nvtxRangeStartA("first"), second = nvtxRangeStartA("second");
        std::thread([=] {
            nvtxRangePushA("elsewhere");
            nvtxRangeEnd(first);
            nvtxRangePop();
        }).join();
        nvtxRangeEnd(second);
        for (const char* name : {"third", "fourth"})
            nvtxRangeEnd(nvtxRangeStartA(name));
        nvtxRangePop();
        nvtxRangePop();
    });
    EXPECT_THAT(got.texts(), UnorderedElementsAre("outer", "inner", "first", "second", "elsewhere", "third", "fourth"));
    EXPECT_THAT(got.laneOf(got.span("outer")).name, HasSubstr("the tester"));
    EXPECT_EQ(got.laneOf(got.span("outer")).role, LaneRole::Thread);
    EXPECT_NE(got.span("outer").lane, got.span("inner").lane);
    EXPECT_NE(got.span("outer").lane, got.span("elsewhere").lane);
    EXPECT_EQ(got.laneOf(got.span("first")).role, LaneRole::Ranges);
    EXPECT_NE(got.span("first").lane, got.span("second").lane);
    EXPECT_EQ(got.span("third").lane, got.span("fourth").lane) << "a lane that is free again is used again";
    EXPECT_LE(got.span("outer").start, got.span("inner").start);
    EXPECT_GE(got.span("outer").end, got.span("inner").end);
    EXPECT_THAT(got.diagnostics, IsEmpty());
}

TEST(NvtxReceiver, ReadsTheFieldsOfExtendedPayloads) {
    struct Work {
        std::int8_t unused;
        std::int32_t layer;
        std::int16_t expert;
        std::int64_t bytes;
    };
    const Keeper got = receive([] {
        nvtxDomainHandle_t domain = nvtxDomainCreateA("payloads");
        const nvtxPayloadSchemaEntry_t fields[] = {
            {0, NVTX_PAYLOAD_ENTRY_TYPE_INT8, "unused", "", 0, 0, nullptr, nullptr},
            {0, NVTX_PAYLOAD_ENTRY_TYPE_INT32, "layer", "", 0, 0, nullptr, nullptr},
            {0, NVTX_PAYLOAD_ENTRY_TYPE_INT16, "expert", "", 0, 0, nullptr, nullptr},
            {0, NVTX_PAYLOAD_ENTRY_TYPE_INT64, "bytes", "", 0, 0, nullptr, nullptr}};
        nvtxPayloadSchemaAttr_t schema{};
        schema.fieldMask = NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_NAME | NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_TYPE |
                           NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_ENTRIES | NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_NUM_ENTRIES |
                           NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_STATIC_SIZE;
        schema.name = "work";
        schema.type = NVTX_PAYLOAD_SCHEMA_TYPE_STATIC;
        schema.entries = fields;
        schema.numEntries = 4;
        schema.payloadStaticSize = sizeof(Work);
        const std::uint64_t id = nvtxPayloadSchemaRegister(domain, &schema);
        ASSERT_NE(id, 0U);
        const Work work{1, 3, -1, std::int64_t{5} << 33};
        nvtxEventAttributes_t what = attributes("moved");
        const nvtxPayloadData_t data{id, sizeof work, &work};
        what.payloadType = NVTX_PAYLOAD_TYPE_EXT;
        what.reserved0 = 1;
        what.payload.ullValue = reinterpret_cast<std::uint64_t>(&data);
        nvtxDomainRangePushEx(domain, &what);
        nvtxDomainRangePop(domain);
        const nvtxPayloadData_t whole{id, SIZE_MAX, &work};
        nvtxMarkPayload(domain, &whole, 1);
    });
    EXPECT_THAT(got.texts(), ElementsAre("moved", "work"));
    for (const SpanRecord& span : got.spans) {
        EXPECT_EQ(span.layer, LayerIndex(3));
        EXPECT_EQ(span.expert, ExpertId(-1));
        EXPECT_EQ(span.amount, std::int64_t{5} << 33);
        EXPECT_EQ(span.payload, PayloadType::Integer);
    }
}

TEST(NvtxReceiver, LeavesOurOwnDomainOut) {
    const Keeper got = receive([] {
        EXPECT_EQ(nvtxDomainCreateA("expertscope"), nullptr);
        nvtxMarkA("another");
    });
    EXPECT_THAT(got.texts(), ElementsAre("another"));
}

TEST(NvtxReceiver, HearsNothingBeforeItIsThereOrAfterItHasStopped) {
    nvtxRangePushA("before");
    nvtxRangePop();
    const Keeper got = receive([] { nvtxMarkA("meanwhile"); });
    nvtxMarkA("after");
    EXPECT_THAT(got.texts(), ElementsAre("meanwhile"));
    EXPECT_THAT(receive([] { nvtxMarkA("again"); }).texts(), ElementsAre("again"));
}

TEST(NvtxReceiver, TellsRangesThatWereStillOpen) {
    const Keeper got = receive([] {
        nvtxRangePushA("open");
        nvtxMarkA("inside");
    });
    nvtxRangePop();
    EXPECT_THAT(got.texts(), ElementsAre("inside", "open"));
    EXPECT_EQ(got.span("open").end, got.span("inside").end);
    ASSERT_EQ(got.diagnostics.size(), 1u);
    EXPECT_EQ(got.diagnostics[0].name, "nvtx_ranges_open");
}

TEST(NvtxReceiver, LosesNoRangeOfManyThreadsAndCountsWhatFindsNoRoom) {
    constexpr int kThreads = 4, kEach = 100'000;
    const Keeper got = receive([] {
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t)
            threads.emplace_back([t] {
                const std::string name = "worker " + std::to_string(t);
                for (int i = 0; i < kEach; ++i) {
                    nvtxRangePushA(name.c_str());
                    nvtxRangePushA("inside");
                    nvtxRangePop();
                    nvtxRangePop();
                }
            });
        for (std::thread& thread : threads)
            thread.join();
    });
    std::int64_t lost = 0, unmatched = 0, open = 0;
    for (const DiagnosticRecord& diagnostic : got.diagnostics) {
        if (diagnostic.name == "nvtx_events_dropped") {
            lost += diagnostic.count;
            EXPECT_GT(diagnostic.end, diagnostic.time);
        }
        if (diagnostic.name == "nvtx_ranges_unmatched") unmatched += diagnostic.count;
        if (diagnostic.name == "nvtx_ranges_open") open += diagnostic.count;
    }
    // A range that is whole took two events; one that is not took one, and lost one.
    EXPECT_EQ(2 * static_cast<std::int64_t>(got.spans.size()) - open + unmatched + lost, 4L * kThreads * kEach);
    EXPECT_GT(got.spans.size(), 0u);
    for (const SpanRecord& span : got.spans)
        ASSERT_EQ(got.nameOf(span).text == "inside", got.laneOf(span).name.ends_with("· 2"));
}

TEST(NvtxReceiver, MakesSelectionsOfWhatAnEngineTells) {
    const Keeper got = receive([] {
        nvtxMarkA("moe.model name=tiny layers=3 experts=16 top_k=2 expert_bytes=4096");
        nvtxMarkA("moe.select layer=0 experts=3,1;2,9 weights=0.75,0.25;0.5,0.5");
        nvtxMarkA("moe.select layer=2 experts=4,1;4,8");
        nvtxMarkA("moe.select layer=0 experts=5,6");
        nvtxMarkA("moe.select layer=2 experts=x");
    });
    EXPECT_EQ(got.model.name, "tiny");
    EXPECT_EQ(got.model.layers, 3);
    EXPECT_EQ(got.model.experts, 16);
    EXPECT_EQ(got.model.expertBytes, Bytes(4096));
    std::vector<std::vector<int>> rows;
    for (const SelectionRecord& s : got.selections)
        rows.push_back(
            {s.step.value(), s.token.value(), s.layer.value(), s.slot, s.expert.value(), s.firstUse ? 1 : 0});
    EXPECT_THAT(rows,
                ElementsAre(ElementsAre(0, 0, 0, 0, 3, 1), ElementsAre(0, 0, 0, 1, 1, 1), ElementsAre(0, 1, 0, 0, 2, 1),
                            ElementsAre(0, 1, 0, 1, 9, 1), ElementsAre(0, 0, 2, 0, 4, 1), ElementsAre(0, 0, 2, 1, 1, 1),
                            ElementsAre(0, 1, 2, 0, 4, 0), ElementsAre(0, 1, 2, 1, 8, 1), ElementsAre(1, 2, 0, 0, 5, 1),
                            ElementsAre(1, 2, 0, 1, 6, 1)));
    EXPECT_EQ(got.selections[0].weight, 0.75F);
    ASSERT_EQ(got.tokens.size(), 3u);
    EXPECT_EQ(got.tokens[1].phase, Phase::Prefill);
    EXPECT_EQ(got.tokens[2].phase, Phase::Decode);
    std::vector<std::string> told;
    for (const DiagnosticRecord& diagnostic : got.diagnostics)
        told.push_back(diagnostic.name);
    EXPECT_THAT(told, ElementsAre("moe_messages_rejected"));
}

}  // namespace
}  // namespace expertscope
