// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_callbacks.h"

#include <atomic>
#include <cstdint>
#include <cstring>

#include "profiler/capture/nvtx_source.h"

namespace expertscope {
namespace {

// A handle is the number of what it stands for; the default domain is null.
std::uint32_t idOf(nvtxDomainHandle_t domain) {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(domain));
}
nvtxDomainHandle_t handleOf(std::uint32_t domain) {
    // Who gets null back knows that nobody listens.
    return reinterpret_cast<nvtxDomainHandle_t>(std::uintptr_t{nvtxDomainPasses(domain) ? domain : 0});
}
nvtxStringHandle_t stringHandle(std::uint64_t id) { return reinterpret_cast<nvtxStringHandle_t>(id); }

NvtxText narrow(const char* text) { return {text ? text : "", nullptr}; }
NvtxText wide(const wchar_t* text) { return {nullptr, text ? text : L""}; }
NvtxAttributes named(NvtxText text) {
    NvtxAttributes what;
    what.text = text;
    return what;
}

template <class Value>
std::uint64_t bitsOf(Value value) {
    std::uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    return bits;
}

#if EXPERTSCOPE_NVTX_PAYLOADS
/// The sizes of payloads of registered layouts, for those who leave it to us to know.
struct SchemaSize {
    std::atomic<std::uint64_t> schema{0};
    std::size_t bytes = 0;
};
constexpr std::uint32_t kMostSizes = 256;
SchemaSize g_sizes[kMostSizes];
std::atomic<std::uint32_t> g_sizesTaken{0};

std::size_t sizeOf(std::uint64_t schema) {
    for (const SchemaSize& each : g_sizes) {
        if (each.schema.load(std::memory_order_acquire) == schema) return each.bytes;
    }
    return 0;
}

void keepSize(std::uint64_t schema, std::size_t bytes) {
    const std::uint32_t at = g_sizesTaken.fetch_add(1);
    if (at >= kMostSizes) return;
    g_sizes[at].bytes = bytes;
    g_sizes[at].schema.store(schema, std::memory_order_release);
}

void setExtended(NvtxAttributes& what, const nvtxPayloadData_t* data, std::size_t count) {
    if (!data || count == 0 || !data->payload) return;
    const std::size_t bytes = data->size == SIZE_MAX ? sizeOf(data->schemaId) : data->size;
    if (bytes > kNvtxMostPayload) return;
    what.payloadKind = NvtxPayloadKind::Extended;
    what.payload = data->schemaId;
    what.extended = data->payload;
    what.extendedBytes = static_cast<std::uint32_t>(bytes);
}
#endif

void setPayload(NvtxAttributes& what, const nvtxEventAttributes_t& from) {
    switch (from.payloadType) {
        case NVTX_PAYLOAD_TYPE_UNSIGNED_INT64:
            what.payloadKind = NvtxPayloadKind::Unsigned;
            what.payload = from.payload.ullValue;
            return;
        case NVTX_PAYLOAD_TYPE_INT64:
            what.payloadKind = NvtxPayloadKind::Signed;
            what.payload = bitsOf(from.payload.llValue);
            return;
        case NVTX_PAYLOAD_TYPE_DOUBLE:
            what.payloadKind = NvtxPayloadKind::Real;
            what.payload = bitsOf(from.payload.dValue);
            return;
        case NVTX_PAYLOAD_TYPE_UNSIGNED_INT32:
            what.payloadKind = NvtxPayloadKind::Unsigned;
            what.payload = from.payload.uiValue;
            return;
        case NVTX_PAYLOAD_TYPE_INT32:
            what.payloadKind = NvtxPayloadKind::Signed;
            what.payload = bitsOf(std::int64_t{from.payload.iValue});
            return;
        case NVTX_PAYLOAD_TYPE_FLOAT:
            what.payloadKind = NvtxPayloadKind::Real;
            what.payload = bitsOf(static_cast<double>(from.payload.fValue));
            return;
        default:
            break;
    }
#if EXPERTSCOPE_NVTX_PAYLOADS
    if (from.payloadType == NVTX_PAYLOAD_TYPE_EXT)
        setExtended(what, reinterpret_cast<const nvtxPayloadData_t*>(from.payload.ullValue),
                    static_cast<std::size_t>(from.reserved0));
#endif
}

NvtxAttributes attributesOf(const nvtxEventAttributes_t* from) {
    NvtxAttributes what = named(narrow(""));
    if (!from) return what;
    what.category = from->category;
    if (from->colorType == NVTX_COLOR_ARGB) what.color = from->color;
    setPayload(what, *from);
    switch (from->messageType) {
        case NVTX_MESSAGE_TYPE_ASCII:
            what.text = narrow(from->message.ascii);
            break;
        case NVTX_MESSAGE_TYPE_UNICODE:
            what.text = wide(from->message.unicode);
            break;
        case NVTX_MESSAGE_TYPE_REGISTERED:
            what.string = reinterpret_cast<std::uint64_t>(from->message.registered);
            break;
        default:
            break;
    }
    return what;
}

// ---- the functions that NVTX calls

void NVTX_API markEx(const nvtxEventAttributes_t* what) { tellMark(0, attributesOf(what)); }
void NVTX_API markA(const char* text) { tellMark(0, named(narrow(text))); }
void NVTX_API markW(const wchar_t* text) { tellMark(0, named(wide(text))); }
nvtxRangeId_t NVTX_API startEx(const nvtxEventAttributes_t* what) { return tellStart(0, attributesOf(what)); }
nvtxRangeId_t NVTX_API startA(const char* text) { return tellStart(0, named(narrow(text))); }
nvtxRangeId_t NVTX_API startW(const wchar_t* text) { return tellStart(0, named(wide(text))); }
void NVTX_API end(nvtxRangeId_t range) { tellEnd(range); }
int NVTX_API pushEx(const nvtxEventAttributes_t* what) { return tellPush(0, attributesOf(what)); }
int NVTX_API pushA(const char* text) { return tellPush(0, named(narrow(text))); }
int NVTX_API pushW(const wchar_t* text) { return tellPush(0, named(wide(text))); }
int NVTX_API pop() { return tellPop(0); }
void NVTX_API categoryA(std::uint32_t id, const char* name) { defineCategory(0, id, narrow(name)); }
void NVTX_API categoryW(std::uint32_t id, const wchar_t* name) { defineCategory(0, id, wide(name)); }
void NVTX_API threadA(std::uint32_t id, const char* name) { defineThreadName(id, narrow(name)); }
void NVTX_API threadW(std::uint32_t id, const wchar_t* name) { defineThreadName(id, wide(name)); }

void NVTX_API domainMark(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* what) {
    tellMark(idOf(domain), attributesOf(what));
}
nvtxRangeId_t NVTX_API domainStart(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* what) {
    return tellStart(idOf(domain), attributesOf(what));
}
void NVTX_API domainEnd(nvtxDomainHandle_t, nvtxRangeId_t range) { tellEnd(range); }
int NVTX_API domainPush(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* what) {
    return tellPush(idOf(domain), attributesOf(what));
}
int NVTX_API domainPop(nvtxDomainHandle_t domain) { return tellPop(idOf(domain)); }
void NVTX_API domainCategoryA(nvtxDomainHandle_t domain, std::uint32_t id, const char* name) {
    defineCategory(idOf(domain), id, narrow(name));
}
void NVTX_API domainCategoryW(nvtxDomainHandle_t domain, std::uint32_t id, const wchar_t* name) {
    defineCategory(idOf(domain), id, wide(name));
}
nvtxStringHandle_t NVTX_API registerStringA(nvtxDomainHandle_t, const char* text) {
    return stringHandle(defineString(narrow(text)));
}
nvtxStringHandle_t NVTX_API registerStringW(nvtxDomainHandle_t, const wchar_t* text) {
    return stringHandle(defineString(wide(text)));
}
nvtxDomainHandle_t NVTX_API domainCreateA(const char* name) { return handleOf(defineDomain(narrow(name))); }
nvtxDomainHandle_t NVTX_API domainCreateW(const wchar_t* name) { return handleOf(defineDomain(wide(name))); }

#if EXPERTSCOPE_NVTX_PAYLOADS

/// A schema's description as it is sent.
class SchemaText {
public:
    void add(const NvtxSchemaEntry& like, const char* name) {
        NvtxSchemaEntry entry = like;
        entry.nameBytes = static_cast<std::uint32_t>(strnlen(name ? name : "", 256));
        if (m_size + sizeof entry + entry.nameBytes > sizeof m_bytes) return;
        memcpy(m_bytes + m_size, &entry, sizeof entry);
        memcpy(m_bytes + m_size + sizeof entry, name ? name : "", entry.nameBytes);
        m_size += sizeof entry + entry.nameBytes;
    }
    const char* bytes() const { return m_bytes; }
    std::size_t size() const { return m_size; }

private:
    char m_bytes[kNvtxMostText];
    std::size_t m_size = 0;
};

NvtxSchemaEntry fieldOf(const nvtxPayloadSchemaEntry_t& entry) {
    constexpr std::uint64_t kElsewhere = NVTX_PAYLOAD_ENTRY_FLAG_POINTER | NVTX_PAYLOAD_ENTRY_FLAG_OFFSET_FROM_BASE |
                                         NVTX_PAYLOAD_ENTRY_FLAG_OFFSET_FROM_HERE;
    constexpr std::uint64_t kArrays = std::uint64_t{0x7} << 4;
    NvtxSchemaEntry field{entry.type, entry.offset, 1, 0};
    const std::uint64_t array = entry.flags & kArrays;
    if (array == NVTX_PAYLOAD_ENTRY_FLAG_ARRAY_FIXED_SIZE)
        field.count = static_cast<std::uint32_t>(entry.arrayOrUnionDetail);
    const bool isText =
        entry.type >= NVTX_PAYLOAD_ENTRY_TYPE_CSTRING && entry.type <= NVTX_PAYLOAD_ENTRY_TYPE_CSTRING_UTF32;
    if ((entry.flags & kElsewhere) || isText || (array && array != NVTX_PAYLOAD_ENTRY_FLAG_ARRAY_FIXED_SIZE))
        field.count = 0;
    return field;
}

std::uint64_t registerSchema(nvtxDomainHandle_t domain, const nvtxPayloadSchemaAttr_t* schema) {
    if (!schema || !schema->entries) return 0;
    const auto has = [&](std::uint64_t field) { return (schema->fieldMask & field) != 0; };
    const bool isPacked =
        (has(NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_ALIGNMENT) && schema->packAlign == 1) ||
        (has(NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_TYPE) && schema->type == NVTX_PAYLOAD_SCHEMA_TYPE_DYNAMIC);
    const std::size_t size = has(NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_STATIC_SIZE) ? schema->payloadStaticSize : 0;
    SchemaText text;
    text.add({schema->type, size, isPacked ? 1U : 0U, 0}, has(NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_NAME) ? schema->name : "");
    for (std::size_t i = 0; i < schema->numEntries; ++i) {
        text.add(fieldOf(schema->entries[i]), schema->entries[i].name);
    }
    const std::uint64_t own = has(NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_SCHEMA_ID) ? schema->schemaId : 0;
    const std::uint64_t id = defineSchema(idOf(domain), own, text.bytes(), text.size());
    if (size > 0) keepSize(id, size);
    return id;
}

NvtxAttributes extendedOf(const nvtxPayloadData_t* data, std::size_t count) {
    NvtxAttributes what = named(narrow(""));
    setExtended(what, data, count);
    return what;
}

void markPayload(nvtxDomainHandle_t domain, const nvtxPayloadData_t* data, std::size_t count) {
    tellMark(idOf(domain), extendedOf(data, count));
}
int pushPayload(nvtxDomainHandle_t domain, const nvtxPayloadData_t* data, std::size_t count) {
    return tellPush(idOf(domain), extendedOf(data, count));
}
int popPayload(nvtxDomainHandle_t domain, const nvtxPayloadData_t*, std::size_t) { return tellPop(idOf(domain)); }
nvtxRangeId_t startPayload(nvtxDomainHandle_t domain, const nvtxPayloadData_t* data, std::size_t count) {
    return tellStart(idOf(domain), extendedOf(data, count));
}
void endPayload(nvtxDomainHandle_t, nvtxRangeId_t range, const nvtxPayloadData_t*, std::size_t) { tellEnd(range); }

#endif

/// One of NVTX's tables of functions.
class Table {
public:
    Table(const NvtxExportTableCallbacks& callbacks, NvtxCallbackModule module) {
        if (callbacks.GetModuleFunctionTable(module, &m_functions, &m_size) == 0) m_size = 0;
    }
    bool empty() const { return m_size == 0; }
    template <class Function>
    void set(unsigned int id, Function function) {
        if (id < m_size) *m_functions[id] = reinterpret_cast<NvtxFunctionPointer>(function);
    }

private:
    NvtxFunctionTable m_functions = nullptr;
    unsigned int m_size = 0;
};

}  // namespace

int nvtxTakeCore(NvtxGetExportTableFunc_t exportTable) {
    const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(exportTable(NVTX_ETID_CALLBACKS));
    if (!callbacks) return 0;
    Table core(*callbacks, NVTX_CB_MODULE_CORE), core2(*callbacks, NVTX_CB_MODULE_CORE2);
    if (core.empty() || core2.empty()) return 0;
    core.set(NVTX_CBID_CORE_MarkEx, markEx);
    core.set(NVTX_CBID_CORE_MarkA, markA);
    core.set(NVTX_CBID_CORE_MarkW, markW);
    core.set(NVTX_CBID_CORE_RangeStartEx, startEx);
    core.set(NVTX_CBID_CORE_RangeStartA, startA);
    core.set(NVTX_CBID_CORE_RangeStartW, startW);
    core.set(NVTX_CBID_CORE_RangeEnd, end);
    core.set(NVTX_CBID_CORE_RangePushEx, pushEx);
    core.set(NVTX_CBID_CORE_RangePushA, pushA);
    core.set(NVTX_CBID_CORE_RangePushW, pushW);
    core.set(NVTX_CBID_CORE_RangePop, pop);
    core.set(NVTX_CBID_CORE_NameCategoryA, categoryA);
    core.set(NVTX_CBID_CORE_NameCategoryW, categoryW);
    core.set(NVTX_CBID_CORE_NameOsThreadA, threadA);
    core.set(NVTX_CBID_CORE_NameOsThreadW, threadW);
    core2.set(NVTX_CBID_CORE2_DomainMarkEx, domainMark);
    core2.set(NVTX_CBID_CORE2_DomainRangeStartEx, domainStart);
    core2.set(NVTX_CBID_CORE2_DomainRangeEnd, domainEnd);
    core2.set(NVTX_CBID_CORE2_DomainRangePushEx, domainPush);
    core2.set(NVTX_CBID_CORE2_DomainRangePop, domainPop);
    core2.set(NVTX_CBID_CORE2_DomainNameCategoryA, domainCategoryA);
    core2.set(NVTX_CBID_CORE2_DomainNameCategoryW, domainCategoryW);
    core2.set(NVTX_CBID_CORE2_DomainRegisterStringA, registerStringA);
    core2.set(NVTX_CBID_CORE2_DomainRegisterStringW, registerStringW);
    core2.set(NVTX_CBID_CORE2_DomainCreateA, domainCreateA);
    core2.set(NVTX_CBID_CORE2_DomainCreateW, domainCreateW);
    return 1;
}

#if EXPERTSCOPE_NVTX_PAYLOADS
int nvtxTakeExtension(nvtxExtModuleInfo_t* module) {
    if (!module || module->moduleId != NVTX_EXT_PAYLOAD_MODULEID || module->segmentsCount == 0) return 0;
    const nvtxExtModuleSegment_t& segment = module->segments[0];
    const auto set = [&](std::size_t id, auto function) {
        if (id < segment.slotCount) segment.functionSlots[id] = reinterpret_cast<std::intptr_t>(function);
    };
    set(NVTX3EXT_CBID_nvtxPayloadSchemaRegister, registerSchema);
    set(NVTX3EXT_CBID_nvtxMarkPayload, markPayload);
    set(NVTX3EXT_CBID_nvtxRangePushPayload, pushPayload);
    set(NVTX3EXT_CBID_nvtxRangePopPayload, popPayload);
    set(NVTX3EXT_CBID_nvtxRangeStartPayload, startPayload);
    set(NVTX3EXT_CBID_nvtxRangeEndPayload, endPayload);
    return 1;
}
#endif

}  // namespace expertscope
