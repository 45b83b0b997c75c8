// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/nsys_export.h"

#include <bit>
#include <map>
#include <unordered_map>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/base/record_names.h"
#include "profiler/interchange/nsys_schema.h"
#include "profiler/interchange/session_rows.h"
#include "storage/foreign_database.h"
#include "storage/session_reader.h"

namespace expertscope {
namespace {

constexpr const char* kTables = R"sql(
CREATE TABLE StringIds(id INTEGER PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE META_DATA_CAPTURE(name TEXT NOT NULL, value TEXT NOT NULL);
CREATE TABLE META_DATA_EXPORT(name TEXT NOT NULL, value TEXT NOT NULL);
CREATE TABLE TARGET_INFO_SESSION_START_TIME(utcEpochNs INTEGER, utcTime TEXT, localTime TEXT, systemClockNs INTEGER);
CREATE TABLE ThreadNames(nameId INTEGER NOT NULL, priority INTEGER, globalTid INTEGER);
CREATE TABLE EXPERTSCOPE_LANE(lane INTEGER PRIMARY KEY, role TEXT NOT NULL, name TEXT NOT NULL);
CREATE TABLE CUPTI_ACTIVITY_KIND_MEMCPY(start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL,
    contextId INTEGER NOT NULL, streamId INTEGER NOT NULL, correlationId INTEGER, globalPid INTEGER, bytes INTEGER NOT NULL,
    copyKind INTEGER NOT NULL, srcKind INTEGER, dstKind INTEGER, jsonText TEXT);
CREATE TABLE NVTX_EVENTS(start INTEGER NOT NULL, end INTEGER, eventType INTEGER NOT NULL, rangeId INTEGER, category INTEGER,
    color INTEGER, text TEXT, globalTid INTEGER, endGlobalTid INTEGER, textId INTEGER, domainId INTEGER, uint64Value INTEGER,
    int64Value INTEGER, doubleValue REAL, uint32Value INTEGER, int32Value INTEGER, floatValue REAL, jsonTextId INTEGER,
    jsonText TEXT, binaryData TEXT, eventId INTEGER PRIMARY KEY);
CREATE TABLE ENUM_CUDA_MEMCPY_OPER(id INTEGER PRIMARY KEY, name TEXT, label TEXT);
CREATE TABLE ENUM_NSYS_EVENT_TYPE(id INTEGER PRIMARY KEY, name TEXT, label TEXT);
)sql";

constexpr std::int64_t kPageable = 0, kDevice = 2;  // memory kinds, by Nsight's numbers

bool isTransfer(SpanKind kind) {
    return kind == SpanKind::TransferDemand || kind == SpanKind::TransferPrefetch || kind == SpanKind::TransferPreload;
}

class NsysWriter {
public:
    NsysWriter(const std::filesystem::path& out, const SessionReader& reader, const RunEntry& run)
        : m_out(out), m_reader(&reader), m_run(&run), m_base(run.description.start.count()) {}

    void write() {
        m_out.execute(kTables);
        writeFacts();
        writeLanes();
        writeNames();
        eachBatch(*m_reader, m_run->id, [&](const RecordBatch& batch) {
            for (const SpanRecord& span : batch.spans)
                writeSpan(span);
        });
        m_out.close();
    }

private:
    void put(const std::string& table, std::initializer_list<SqlValue> values) {
        m_out.insert(table, std::span(values.begin(), values.size()));
    }
    std::int64_t stringId(const std::string& text) {
        const auto [found, fresh] = m_strings.try_emplace(text, static_cast<std::int64_t>(m_strings.size()));
        if (fresh) put("StringIds", {found->second, text});
        return found->second;
    }
    void writeFacts();
    void writeLanes();
    void writeNames();
    void writeSpan(const SpanRecord& span);
    void writeEvent(NsysNvtx type, const SpanRecord& span, const RangeName* name, const std::string& text);
    static std::string told(const SpanRecord& span);

    ForeignDatabaseWriter m_out;
    const SessionReader* m_reader;
    const RunEntry* m_run;
    std::int64_t m_base;
    std::unordered_map<std::string, std::int64_t> m_strings;
    std::vector<RangeName> m_names;
    std::map<std::string, std::int64_t> m_domains;                             ///< from 1; 0 is the default one
    std::map<std::pair<std::string, std::string>, std::int64_t> m_categories;  ///< by domain and name
    std::int64_t m_events = 0;
};

void NsysWriter::writeFacts() {
    put("META_DATA_CAPTURE", {std::string("TOOL"), std::string("ExpertScope")});
    put("META_DATA_EXPORT", {std::string("EXPORT_SCHEMA_VERSION"), std::string("3.0.0")});
    put("META_DATA_EXPORT", {std::string("EXPORTER"), std::string("ExpertScope")});
    put("TARGET_INFO_SESSION_START_TIME", {std::monostate(), m_run->description.startedUtc, std::monostate(), m_base});
    for (std::size_t i = 0; i < std::size(kNsysCopyKinds); ++i)
        put("ENUM_CUDA_MEMCPY_OPER",
            {static_cast<std::int64_t>(i), std::string(kNsysCopyKinds[i]), std::string(kNsysCopyKinds[i])});
    for (const auto& [type, label] :
         {std::pair{NsysNvtx::Category, "NvtxCategory"}, std::pair{NsysNvtx::Mark, "NvtxMark"},
          std::pair{NsysNvtx::PushPop, "NvtxPushPopRange"}, std::pair{NsysNvtx::StartEnd, "NvtxStartEndRange"},
          std::pair{NsysNvtx::DomainCreate, "NvtxDomainCreate"}})
        put("ENUM_NSYS_EVENT_TYPE", {static_cast<std::int64_t>(type), std::string(label), std::string(label)});
}

void NsysWriter::writeLanes() {
    for (const LaneInfo& lane : m_reader->lanes(m_run->id)) {
        put("ThreadNames", {stringId(lane.name), std::int64_t{0}, nsysGlobalTid(m_run->id.value(), lane.lane.value())});
        put("EXPERTSCOPE_LANE", {std::int64_t{lane.lane.value()}, std::string(name(lane.role)), lane.name});
    }
}

/// Domains and categories, which Nsight numbers.
void NsysWriter::writeNames() {
    m_names = m_reader->rangeNames(m_run->id);
    for (const RangeName& range : m_names) {
        if (!range.domain.empty() && !m_domains.contains(range.domain)) {
            m_domains[range.domain] = static_cast<std::int64_t>(m_domains.size()) + 1;
            writeEvent(NsysNvtx::DomainCreate, {}, &range, range.domain);
        }
        if (range.category.empty() || m_categories.contains({range.domain, range.category})) continue;
        m_categories[{range.domain, range.category}] = static_cast<std::int64_t>(m_categories.size()) + 1;
        writeEvent(NsysNvtx::Category, {}, &range, range.category);
    }
}

std::string NsysWriter::told(const SpanRecord& span) {
    std::string text =
        fmt::format("{{\"{}\":{{\"kind\":\"{}\",\"lane\":{}", kNsysSpanKey, name(span.kind), span.lane.value());
    if (span.step.value() >= 0) text += fmt::format(",\"step\":{}", span.step.value());
    if (span.layer.value() >= 0) text += fmt::format(",\"layer\":{}", span.layer.value());
    if (span.expert.value() >= 0) text += fmt::format(",\"expert\":{}", span.expert.value());
    if (span.kind != SpanKind::Range && span.amount != 0) text += fmt::format(",\"amount\":{}", span.amount);
    return text + "}}";
}

void NsysWriter::writeEvent(NsysNvtx type, const SpanRecord& span, const RangeName* range, const std::string& text) {
    const bool event = type == NsysNvtx::PushPop || type == NsysNvtx::Mark;
    SqlValue domain, category, color, integer, real, json, end;
    if (range && !range->domain.empty()) domain = m_domains.at(range->domain);
    if (range && !range->category.empty()) {
        const auto known = m_categories.find({range->domain, range->category});
        if (known != m_categories.end()) category = known->second;
    }
    if (range && range->color != 0) color = std::int64_t{range->color};
    if (span.payload == PayloadType::Integer) integer = span.amount;
    if (span.payload == PayloadType::Real) real = std::bit_cast<double>(span.amount);
    if (event) json = told(span);
    if (type == NsysNvtx::PushPop) end = span.end.count() - m_base;
    const SqlValue none;
    put("NVTX_EVENTS", {event ? span.start.count() - m_base : std::int64_t{0},
                        end,
                        static_cast<std::int64_t>(type),
                        none,
                        category,
                        color,
                        none,
                        nsysGlobalTid(m_run->id.value(), span.lane.value()),
                        none,
                        stringId(text),
                        domain.index() == 0 ? SqlValue(std::int64_t{0}) : domain,
                        none,
                        integer,
                        real,
                        none,
                        none,
                        none,
                        none,
                        json,
                        none,
                        ++m_events});
}

void NsysWriter::writeSpan(const SpanRecord& span) {
    if (isTransfer(span.kind)) {
        put("CUPTI_ACTIVITY_KIND_MEMCPY",
            {span.start.count() - m_base, span.end.count() - m_base, std::int64_t{0}, std::int64_t{1},
             std::int64_t{span.lane.value()}, std::monostate(), nsysGlobalTid(m_run->id.value(), 0), span.amount,
             kNsysHostToDevice, kPageable, kDevice, told(span)});
        return;
    }
    const bool range = span.kind == SpanKind::Range && span.name.value() >= 0 && span.name.index() < m_names.size();
    const RangeName* what = range ? &m_names[span.name.index()] : nullptr;
    const bool mark = span.kind == SpanKind::Range && span.start == span.end;
    writeEvent(mark ? NsysNvtx::Mark : NsysNvtx::PushPop, span, what, what ? what->text : std::string(name(span.kind)));
}

}  // namespace

std::vector<std::filesystem::path> exportNsysSqlite(const std::filesystem::path& session, RunId run,
                                                    const std::filesystem::path& out) {
    const SessionReader reader(session);
    const RunEntry entry = reader.run(run);
    NsysWriter(out, reader, entry).write();
    return {out};
}

}  // namespace expertscope
