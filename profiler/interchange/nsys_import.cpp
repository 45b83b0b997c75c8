// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/nsys_import.h"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/record_names.h"
#include "profiler/interchange/nsys_schema.h"
#include "profiler/interchange/timeline_builder.h"
#include "storage/foreign_database.h"

namespace expertscope {
namespace {

using nlohmann::json;

constexpr Nanoseconds kMostTime{4'000'000'000'000'000'000};

/// Columns of a table that are asked by name, in a fixed order: what the table lacks is NULL.
std::string select(const ForeignDatabase& database, const std::string& table,
                   std::initializer_list<const char*> wanted) {
    const std::vector<std::string> there = database.columns(table);
    std::string columns;
    for (const char* column : wanted) {
        const bool known = std::ranges::find(there, column) != there.end();
        columns += fmt::format("{}{}", columns.empty() ? "" : ", ", known ? fmt::format("\"{}\"", column) : "NULL");
    }
    return fmt::format("SELECT {} FROM \"{}\"", columns, table);
}

class NsysEvents {
public:
    NsysEvents(const std::filesystem::path& file, const ImportOptions& options)
        : m_database(file), m_options(options), m_timeline(options) {}

    void read();
    ImportedRun write(const std::filesystem::path& session);

private:
    [[noreturn]] void refuse(const std::string& table, std::int64_t row, const std::string& what) const {
        throw BadInputError(fmt::format("Row {} of table {} of {} {}: export the report again.", row, table,
                                        m_database.file().string(), what));
    }
    bool has(const std::string& table) const { return !m_database.columns(table).empty(); }
    std::string textOf(std::int64_t id) const {
        const auto found = m_texts.find(id);
        return found != m_texts.end() ? found->second : fmt::format("string {}", id);
    }
    void readTexts();
    void readThreads();
    void readLanes();
    void readDomains();
    void readKernels();
    void readCopies(const std::string& table, const std::string& category);
    void readCalls();
    void readNvtx();
    std::int32_t gpuTrack(const ForeignRows& row, int device, int stream);
    std::int32_t threadTrack(std::int64_t globalTid, const char* suffix);
    SpanRecord spanOf(const ForeignRows& row, const std::string& table, std::int64_t number, std::int32_t track) const;
    bool restore(const std::string& text, SpanRecord& span);
    static void takePayload(const ForeignRows& row, int first, SpanRecord& span);

    ForeignDatabase m_database;
    const ImportOptions& m_options;
    TimelineBuilder m_timeline;
    std::unordered_map<std::int64_t, std::string> m_texts;
    std::map<std::int64_t, std::string> m_threadNames;                          ///< by globalTid
    std::map<std::pair<std::int64_t, std::int64_t>, std::string> m_domains;     ///< by process and domain
    std::map<std::pair<std::int64_t, std::int64_t>, std::string> m_categories;  ///< by domain and category
    std::map<std::int64_t, std::int32_t> m_lanes;                               ///< of ours: lane → track
    std::int64_t m_open = 0;
    Nanoseconds m_start;
};

void NsysEvents::readTexts() {
    // nvprof's older exports call it StringTable and its key _id_.
    for (const auto& [table, key] : {std::pair{"StringIds", "id"}, std::pair{"StringTable", "_id_"}}) {
        if (!has(table)) continue;
        ForeignRows rows = m_database.query(select(m_database, table, {key, "value"}));
        while (rows.next())
            m_texts[rows.integer(0)] = rows.text(1);
    }
}

void NsysEvents::readThreads() {
    if (!has("ThreadNames")) return;
    ForeignRows rows = m_database.query(select(m_database, "ThreadNames", {"globalTid", "nameId"}));
    while (rows.next())
        m_threadNames[rows.integer(0)] = textOf(rows.integer(1));
}

/// Lanes and start of a session that came from here.
void NsysEvents::readLanes() {
    if (!has("EXPERTSCOPE_LANE")) return;
    ForeignRows rows = m_database.query(select(m_database, "EXPERTSCOPE_LANE", {"lane", "role", "name"}));
    for (std::int64_t number = 1; rows.next(); ++number) {
        int role = 0;
        while (role < 6 && name(static_cast<LaneRole>(role)) != rows.text(1))
            ++role;
        const std::int64_t lane = rows.integer(0);
        if (role == 6 || lane < 0 || lane >= (1 << 24)) refuse("EXPERTSCOPE_LANE", number, "is no lane");
        const std::int32_t track = m_timeline.track("", fmt::format("{}", lane));
        m_timeline.keepLane(track, LaneId(static_cast<std::int32_t>(lane)), static_cast<LaneRole>(role), rows.text(2));
        m_lanes[lane] = track;
    }
    if (!has("TARGET_INFO_SESSION_START_TIME")) return;
    ForeignRows start = m_database.query(select(m_database, "TARGET_INFO_SESSION_START_TIME", {"systemClockNs"}));
    if (start.next()) m_start = std::clamp(Nanoseconds(start.integer(0)), Nanoseconds{}, kMostTime);
}

void NsysEvents::readDomains() {
    if (!has("NVTX_EVENTS")) return;
    ForeignRows rows = m_database.query(
        select(m_database, "NVTX_EVENTS", {"eventType", "globalTid", "domainId", "category", "text", "textId"}) +
        fmt::format(" WHERE eventType IN ({}, {})", static_cast<int>(NsysNvtx::DomainCreate),
                    static_cast<int>(NsysNvtx::Category)));
    while (rows.next()) {
        const std::string text = rows.isNull(4) ? textOf(rows.integer(5)) : rows.text(4);
        if (rows.integer(0) == static_cast<int>(NsysNvtx::DomainCreate))
            m_domains[{nsysProcess(rows.integer(1)), rows.integer(2)}] = text;
        else
            m_categories[{rows.integer(2), rows.integer(3)}] = text;
    }
}

std::int32_t NsysEvents::gpuTrack(const ForeignRows& row, int device, int stream) {
    return m_timeline.track(fmt::format("GPU {}", row.integer(device)), fmt::format("stream {}", row.integer(stream)));
}

std::int32_t NsysEvents::threadTrack(std::int64_t globalTid, const char* suffix) {
    const auto named = m_threadNames.find(globalTid);
    const std::string thread =
        named != m_threadNames.end() ? named->second : fmt::format("thread {}", nsysThread(globalTid));
    return m_timeline.track(fmt::format("process {}", nsysProcess(globalTid)), thread + suffix);
}

/// A span of the columns 0 (start) and 1 (end).
SpanRecord NsysEvents::spanOf(const ForeignRows& row, const std::string& table, std::int64_t number,
                              std::int32_t track) const {
    if (row.isNull(0)) refuse(table, number, "has no start");
    SpanRecord span;
    span.start = Nanoseconds(row.integer(0));
    span.end = row.isNull(1) ? span.start : Nanoseconds(row.integer(1));
    if (span.end < span.start) refuse(table, number, "ends before it starts");
    if (span.start < Nanoseconds(-kMostTime.count()) || span.end > kMostTime)
        refuse(table, number, "has a time that is none");
    span.lane = LaneId(track);
    span.kind = SpanKind::Range;
    return span;
}

/// Makes the span what the text of our own export says; false where it says nothing.
bool NsysEvents::restore(const std::string& text, SpanRecord& span) {
    if (text.find(kNsysSpanKey) == std::string::npos) return false;
    const json parsed = json::parse(text, nullptr, false);
    if (!parsed.is_object() || !parsed.contains(kNsysSpanKey) || !parsed[kNsysSpanKey].is_object()) return false;
    const json& told = parsed[kNsysSpanKey];
    const auto number = [&](const char* key) {
        const auto found = told.find(key);
        return found != told.end() && found->is_number_integer() ? found->get<std::int64_t>() : -1;
    };
    span.step = StepIndex(static_cast<std::int32_t>(number("step")));
    span.layer = LayerIndex(static_cast<std::int32_t>(number("layer")));
    span.expert = ExpertId(static_cast<std::int32_t>(number("expert")));
    if (const auto lane = m_lanes.find(number("lane")); lane != m_lanes.end()) span.lane = LaneId(lane->second);
    const auto kind = told.find("kind");
    for (int i = 0; i < static_cast<int>(SpanKind::Range); ++i) {
        if (kind == told.end() || *kind != name(static_cast<SpanKind>(i))) continue;
        span.kind = static_cast<SpanKind>(i);
        span.amount = std::max<std::int64_t>(number("amount"), 0);
        return true;
    }
    return false;
}

void NsysEvents::readKernels() {
    const std::string table = "CUPTI_ACTIVITY_KIND_KERNEL";
    if (!has(table)) return;
    ForeignRows rows = m_database.query(
        select(m_database, table, {"start", "end", "deviceId", "streamId", "shortName", "demangledName", "name"}));
    for (std::int64_t number = 1; rows.next(); ++number) {
        SpanRecord span = spanOf(rows, table, number, gpuTrack(rows, 2, 3));
        const int name = !rows.isNull(4) ? 4 : !rows.isNull(5) ? 5 : 6;
        span.name = m_timeline.name("cuda", "kernel", rows.isNull(name) ? "kernel" : textOf(rows.integer(name)));
        m_timeline.add(span);
    }
}

void NsysEvents::readCopies(const std::string& table, const std::string& category) {
    if (!has(table)) return;
    ForeignRows rows = m_database.query(
        select(m_database, table, {"start", "end", "deviceId", "streamId", "copyKind", "bytes", "jsonText"}));
    for (std::int64_t number = 1; rows.next(); ++number) {
        SpanRecord span = spanOf(rows, table, number, gpuTrack(rows, 2, 3));
        if (!rows.isNull(6) && restore(rows.text(6), span)) {
            m_timeline.add(span);
            continue;
        }
        const std::int64_t kind = rows.integer(4);
        const bool known = kind > 0 && kind < static_cast<std::int64_t>(std::size(kNsysCopyKinds));
        span.name =
            m_timeline.name("cuda", category,
                            known && category == "memcpy" ? fmt::format("memcpy {}", kNsysCopyKinds[kind]) : category);
        if (!rows.isNull(5)) {
            span.payload = PayloadType::Integer;
            span.amount = rows.integer(5);
        }
        m_timeline.add(span);
    }
}

void NsysEvents::readCalls() {
    for (const std::string table : {"CUPTI_ACTIVITY_KIND_RUNTIME", "CUPTI_ACTIVITY_KIND_DRIVER"}) {
        if (!has(table)) continue;
        ForeignRows rows = m_database.query(select(m_database, table, {"start", "end", "globalTid", "nameId"}));
        for (std::int64_t number = 1; rows.next(); ++number) {
            SpanRecord span = spanOf(rows, table, number, threadTrack(rows.integer(2), " · CUDA"));
            span.name = m_timeline.name("cuda", "api", textOf(rows.integer(3)));
            m_timeline.add(span);
        }
    }
}

/// The payload of an NVTX event: six columns from `first` on, the first two and the fourth and fifth of whole numbers.
void NsysEvents::takePayload(const ForeignRows& row, int first, SpanRecord& span) {
    for (int i = 0; i < 6; ++i) {
        if (row.isNull(first + i)) continue;
        const bool real = i == 2 || i == 5;
        span.payload = real ? PayloadType::Real : PayloadType::Integer;
        span.amount = real ? std::bit_cast<std::int64_t>(row.real(first + i)) : row.integer(first + i);
        return;
    }
}

void NsysEvents::readNvtx() {
    const std::string table = "NVTX_EVENTS";
    if (!has(table)) return;
    ForeignRows rows = m_database.query(
        select(m_database, table,
               {"start", "end", "eventType", "globalTid", "domainId", "category", "text", "textId", "color",
                "int64Value", "uint64Value", "doubleValue", "int32Value", "uint32Value", "floatValue", "jsonText"}));
    for (std::int64_t number = 1; rows.next(); ++number) {
        const auto type = static_cast<NsysNvtx>(rows.integer(2));
        const bool range = type == NsysNvtx::PushPop || type == NsysNvtx::StartEnd;
        if (!range && type != NsysNvtx::Mark) continue;
        if (range && rows.isNull(1)) {
            ++m_open;
            continue;
        }
        const std::int64_t tid = rows.integer(3);
        const std::int32_t track =
            type == NsysNvtx::StartEnd
                ? m_timeline.track(fmt::format("process {}", nsysProcess(tid)), "", LaneRole::Ranges)
                : threadTrack(tid, "");
        SpanRecord span = spanOf(rows, table, number, track);
        if (rows.isNull(15) || !restore(rows.text(15), span)) {
            const auto domain = m_domains.find({nsysProcess(tid), rows.integer(4)});
            const auto category = m_categories.find({rows.integer(4), rows.integer(5)});
            std::string categoryName = rows.isNull(5) || rows.integer(5) == 0 ? "" : fmt::format("{}", rows.integer(5));
            if (category != m_categories.end()) categoryName = category->second;
            const std::string text = !rows.isNull(6) ? rows.text(6) : rows.isNull(7) ? "" : textOf(rows.integer(7));
            span.name = m_timeline.name(domain != m_domains.end() ? domain->second : "", categoryName, text,
                                        static_cast<std::uint32_t>(rows.integer(8)));
            takePayload(rows, 9, span);
        }
        m_timeline.add(span);
    }
}

void NsysEvents::read() {
    readTexts();
    readThreads();
    readLanes();
    readDomains();
    readKernels();
    readCopies("CUPTI_ACTIVITY_KIND_MEMCPY", "memcpy");
    readCopies("CUPTI_ACTIVITY_KIND_MEMSET", "memset");
    readCalls();
    readNvtx();
}

ImportedRun NsysEvents::write(const std::filesystem::path& session) {
    if (m_timeline.size() == 0)
        throw BadInputError(
            fmt::format("{} holds no kernel, copy, CUDA call or NVTX range: export a report that recorded "
                        "them with nsys export --type sqlite.",
                        m_database.file().string()));
    std::vector<std::string> notes;
    if (m_open > 0) notes.push_back(fmt::format("{} NVTX ranges that never ended were left out.", m_open));
    RunDescription run;
    run.model.name = m_options.modelName.empty() ? m_database.file().stem().string() : m_options.modelName;
    run.model.path = m_database.file().string();
    run.start = m_start;
    m_timeline.shift(m_start);
    return m_timeline.write(session, run, std::move(notes));
}

}  // namespace

bool isNsysSqlite(const FileHead& head) {
    if (!head.begins(std::string_view("SQLite format 3\0", 16))) return false;
    const ForeignDatabase database(head.file);
    for (const char* table : {"NVTX_EVENTS", "CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_MEMCPY",
                              "CUPTI_ACTIVITY_KIND_RUNTIME", "META_DATA_EXPORT"})
        if (!database.columns(table).empty()) return true;
    return false;
}

ImportedRun importNsysSqlite(const std::filesystem::path& file, const std::filesystem::path& session,
                             const ImportOptions& options) {
    NsysEvents events(file, options);
    events.read();
    return events.write(session);
}

}  // namespace expertscope
