// SPDX-License-Identifier: GPL-3.0-or-later
// A program that knows nothing of ExpertScope and annotates itself with NVTX, in ways that its words ask for.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <nvtx3/nvToolsExt.h>
#include <nvtx3/nvToolsExtPayload.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

void tellRanges() {
    nvtxDomainHandle_t domain = nvtxDomainCreateA("app");
    nvtxDomainNameCategoryA(domain, 1, "io");
    nvtxEventAttributes_t what{};
    what.version = NVTX_VERSION;
    what.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    what.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
    what.message.registered = nvtxDomainRegisterStringA(domain, "read file");
    what.category = 1;
    what.payloadType = NVTX_PAYLOAD_TYPE_UNSIGNED_INT64;
    for (unsigned i = 0; i < 100; ++i) {
        nvtxRangePushA("iteration");
        what.payload.ullValue = i;
        nvtxDomainRangePushEx(domain, &what);
        nvtxDomainRangePop(domain);
        nvtxRangePop();
    }
    const nvtxRangeId_t id = nvtxRangeStartA("over there");
    std::thread([id] { nvtxRangeEnd(id); }).join();
    nvtxMarkA("done");
}

/// Two prompt tokens and two generated ones of a model with three layers, of which the middle one is dense.
void tellMessages() {
    nvtxMarkA("moe.model name=toy layers=3 experts=8 top_k=2");
    nvtxMarkA("moe.select layer=0 experts=0,1;2,3 weights=0.5,0.5;0.75,0.25");
    nvtxMarkA("moe.select layer=2 experts=4,5;6,7");
    for (int step = 0; step < 2; ++step) {
        nvtxMarkA("moe.select layer=0 experts=1,0");
        nvtxMarkA("moe.select layer=2 experts=7,6");
    }
}

/// The same choices as tellMessages(), token by token, as payloads.
void tellPayloads() {
    struct Select {
        std::int32_t step, token, layer;
        std::uint16_t experts[2];
        float weights[2];
    };
    const auto field = [](const char* name, std::uint64_t type, std::uint64_t elements) {
        nvtxPayloadSchemaEntry_t entry{};
        entry.flags = elements > 1 ? NVTX_PAYLOAD_ENTRY_FLAG_ARRAY_FIXED_SIZE : 0;
        entry.type = type;
        entry.name = name;
        entry.arrayOrUnionDetail = elements;
        return entry;
    };
    const nvtxPayloadSchemaEntry_t fields[] = {
        field("step", NVTX_PAYLOAD_ENTRY_TYPE_INT32, 1), field("token", NVTX_PAYLOAD_ENTRY_TYPE_INT32, 1),
        field("layer", NVTX_PAYLOAD_ENTRY_TYPE_INT32, 1), field("experts", NVTX_PAYLOAD_ENTRY_TYPE_UINT16, 2),
        field("weights", NVTX_PAYLOAD_ENTRY_TYPE_FLOAT, 2)};
    nvtxPayloadSchemaAttr_t schema{};
    schema.fieldMask = NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_NAME | NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_TYPE |
                       NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_ENTRIES | NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_NUM_ENTRIES |
                       NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_STATIC_SIZE;
    schema.name = "moe.select";
    schema.type = NVTX_PAYLOAD_SCHEMA_TYPE_STATIC;
    schema.entries = fields;
    schema.numEntries = 5;
    schema.payloadStaticSize = sizeof(Select);
    nvtxDomainHandle_t domain = nvtxDomainCreateA("moe");
    const std::uint64_t id = nvtxPayloadSchemaRegister(domain, &schema);
    const auto tell = [&](const Select& select) {
        const nvtxPayloadData_t data{id, sizeof select, &select};
        nvtxMarkPayload(domain, &data, 1);
    };
    nvtxMarkA("moe.model name=toy layers=3 experts=8 top_k=2");
    // Token by token through all layers: only the step tells that both are of one prompt.
    tell({0, 0, 0, {0, 1}, {0.5F, 0.5F}});
    tell({0, 0, 2, {4, 5}, {0.5F, 0.5F}});
    tell({0, 1, 0, {2, 3}, {0.75F, 0.25F}});
    tell({0, 1, 2, {6, 7}, {0.5F, 0.5F}});
    for (std::int32_t step = 1; step < 3; ++step) {
        tell({step, step + 1, 0, {1, 0}, {0.5F, 0.5F}});
        tell({step, step + 1, 2, {7, 6}, {0.5F, 0.5F}});
    }
}

void tellFromChildren(const char* self) {
    nvtxRangePushA("parent");
    nvtxDomainHandle_t domain = nvtxDomainCreateA("made before the fork");
    nvtxEventAttributes_t what{};
    what.version = NVTX_VERSION;
    what.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    what.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
    what.message.registered = nvtxDomainRegisterStringA(domain, "in the child");
    for (int child = 0; child < 2; ++child) {
        if (fork() == 0) {
            nvtxDomainMarkEx(domain, &what);
            _exit(0);
        }
    }
    if (fork() == 0) {
        execl(self, self, "ranges", nullptr);
        _exit(1);
    }
    while (wait(nullptr) > 0) {}
    nvtxRangePop();
}

}  // namespace

int main(int argc, char** argv) {
    const std::string word = argc > 1 ? argv[1] : "";
    if (word == "ranges") tellRanges();
    if (word == "messages") tellMessages();
    if (word == "payloads") tellPayloads();
    if (word == "children") tellFromChildren(argv[0]);
    if (word == "closes") {  // as a daemon does
        nvtxMarkA("before");
        for (int descriptor = 3; descriptor < 1000; ++descriptor)
            close(descriptor);
        nvtxMarkA("after");
        std::thread([] { nvtxMarkA("in a new thread"); }).join();
    }
    if (word == "exit") {
        std::puts("said on standard output");
        return std::atoi(argv[2]);
    }
    if (word == "crash") {
        nvtxRangePushA("open at the crash");
        tellRanges();
        std::raise(SIGKILL);
    }
    if (word == "forever") {
        tellRanges();
        std::fputs("ready\n", stderr);
        while (true)
            pause();
    }
    if (word == "flood") {
        for (int i = 0; i < 3'000'000; ++i) {
            nvtxRangePushA("drop");
            nvtxRangePop();
        }
    }
    return 0;
}
