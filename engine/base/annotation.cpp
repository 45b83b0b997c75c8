// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/annotation.h"

#if EXPERTSCOPE_HAS_NVTX

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include <nvtx3/nvToolsExt.h>
#include <nvtx3/nvToolsExtPayload.h>

#include "engine/base/record_names.h"

namespace expertscope {
namespace {

constexpr std::size_t kKinds = 14;  // of our own: all but Range

/// What goes with every range; docs/NVTX.md names the fields.
struct Payload {
    std::int32_t layer, expert, step, token;
    std::int64_t tokens, bytes;
};

nvtxDomainHandle_t g_domain = nullptr;
std::uint64_t g_schema = 0;
std::array<nvtxStringHandle_t, kKinds> g_names{};

nvtxPayloadSchemaEntry_t field(const char* name, std::uint64_t type, std::size_t offset) {
    nvtxPayloadSchemaEntry_t entry{};
    entry.type = type;
    entry.name = name;
    entry.offset = offset;
    return entry;
}

std::uint64_t registerPayload() {
    const std::array fields{
        field("layer", NVTX_PAYLOAD_ENTRY_TYPE_INT32, offsetof(Payload, layer)),
        field("expert", NVTX_PAYLOAD_ENTRY_TYPE_INT32, offsetof(Payload, expert)),
        field("step", NVTX_PAYLOAD_ENTRY_TYPE_INT32, offsetof(Payload, step)),
        field("token", NVTX_PAYLOAD_ENTRY_TYPE_INT32, offsetof(Payload, token)),
        field("tokens", NVTX_PAYLOAD_ENTRY_TYPE_INT64, offsetof(Payload, tokens)),
        field("bytes", NVTX_PAYLOAD_ENTRY_TYPE_INT64, offsetof(Payload, bytes)),
    };
    nvtxPayloadSchemaAttr_t schema{};
    schema.fieldMask = NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_NAME | NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_TYPE |
                       NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_ENTRIES | NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_NUM_ENTRIES |
                       NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_STATIC_SIZE;
    schema.name = "expertscope.span";
    schema.type = NVTX_PAYLOAD_SCHEMA_TYPE_STATIC;
    schema.entries = fields.data();
    schema.numEntries = fields.size();
    schema.payloadStaticSize = sizeof(Payload);
    return nvtxPayloadSchemaRegister(g_domain, &schema);
}

bool isTransfer(SpanKind kind) {
    return kind == SpanKind::TransferDemand || kind == SpanKind::TransferPrefetch || kind == SpanKind::TransferPreload;
}

}  // namespace

void listenForRanges() {
    static std::once_flag once;
    std::call_once(once, [] {
        g_domain = nvtxDomainCreateA("expertscope");
        if (!g_domain) return;  // nobody listens
        g_schema = registerPayload();
        for (std::size_t kind = 0; kind < kKinds; ++kind) {
            const std::string word(name(static_cast<SpanKind>(kind)));
            g_names[kind] = nvtxDomainRegisterStringA(g_domain, word.c_str());
            nvtxDomainNameCategoryA(g_domain, static_cast<std::uint32_t>(kind) + 1, word.c_str());
        }
        g_rangesHeard.store(true);
    });
}

void beginRange(const SpanRecord& span, TokenIndex token) {
    const auto kind = static_cast<std::size_t>(span.kind);
    const bool moves = isTransfer(span.kind);
    const Payload payload{span.layer.value(), span.expert.value(),     span.step.value(),
                          token.value(),      moves ? 0 : span.amount, moves ? span.amount : 0};
    const nvtxPayloadData_t data{g_schema, sizeof payload, &payload};
    nvtxEventAttributes_t what{};
    what.version = NVTX_VERSION;
    what.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    what.category = static_cast<std::uint32_t>(kind) + 1;
    what.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
    what.message.registered = g_names[kind];
    if (g_schema != 0) {
        what.payloadType = NVTX_PAYLOAD_TYPE_EXT;
        what.reserved0 = 1;
        what.payload.ullValue = reinterpret_cast<std::uint64_t>(&data);
    } else {  // a tool that knows numbers alone
        what.payloadType = NVTX_PAYLOAD_TYPE_INT64;
        what.payload.llValue = span.amount;
    }
    nvtxDomainRangePushEx(g_domain, &what);
}

void endRange() { nvtxDomainRangePop(g_domain); }

}  // namespace expertscope

#else

namespace expertscope {

// Built without NVTX's headers: nothing is ever heard, so that the other two are not called.
void listenForRanges() {}
void beginRange(const SpanRecord&, TokenIndex) {}
void endRange() {}

}  // namespace expertscope

#endif
