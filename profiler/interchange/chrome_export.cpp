// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/chrome_export.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/base/record_names.h"
#include "profiler/interchange/output_file.h"
#include "profiler/interchange/session_rows.h"
#include "storage/session_reader.h"

namespace expertscope {
namespace {

/// An expert at a moment (nanoseconds, or a step): by it a transfer finds its span and its first use.
struct Moment {
    std::int64_t when;
    ExpertRef expert;
    bool operator==(const Moment&) const = default;
};
struct MomentHash {
    std::size_t operator()(const Moment& m) const {
        const auto place = (static_cast<std::uint64_t>(m.expert.layer.index()) << 20U) ^ m.expert.expert.index();
        return static_cast<std::size_t>((static_cast<std::uint64_t>(m.when) + place) * 0x9e3779b97f4a7c15U);
    }
};

/// A transfer's way from its span to the first computation with its bytes; a lane is −1 until it is found.
struct Flow {
    std::int64_t id = 0;
    std::int64_t fromTime = 0, toTime = 0;
    std::int32_t fromLane = -1, toLane = -1;
};

struct CounterChange {
    std::int64_t time = 0;
    std::int64_t change = 0;
};

/// Writes one run's events.
class RunEvents {
public:
    RunEvents(OutputFile& file, bool& first, const SessionReader& reader, const RunEntry& run)
        : m_file(&file), m_first(&first), m_reader(&reader), m_run(&run), m_base(run.description.start.count()) {}

    void write() {
        writeNames();
        collectTransfers();
        eachBatch(*m_reader, m_run->id, [&](const RecordBatch& batch) {
            for (const SpanRecord& span : batch.spans)
                writeSpan(span);
            for (const TokenRecord& token : batch.tokens)
                writeToken(token);
            for (const ResidencyRecord& change : batch.residency)
                m_residents.push_back({change.time.count(), change.change == ResidencyChange::Admit ? 1 : -1});
        });
        writeFlows();
        writeCounter("resident experts", "experts", m_residents);
        writeCounter("bytes on the link", "bytes", m_linkUse);
    }

private:
    /// `event` without its braces; the process is added.
    void put(const std::string& event) {
        m_file->write(*m_first ? "\n{" : ",\n{");
        *m_first = false;
        m_file->write(event);
        m_file->write(fmt::format(",\"pid\":{}}}", m_run->id.value()));
    }
    std::string micros(std::int64_t time) const { return length(time - m_base); }
    static std::string length(std::int64_t nanoseconds) {
        const char* sign = nanoseconds < 0 ? "-" : "";
        const std::uint64_t size =
            nanoseconds < 0 ? 0 - static_cast<std::uint64_t>(nanoseconds) : static_cast<std::uint64_t>(nanoseconds);
        return fmt::format("{}{}.{:03}", sign, size / 1000, size % 1000);
    }
    void writeNames();
    void collectTransfers();
    void writeSpan(const SpanRecord& span);
    void findFlowEnd(const SpanRecord& span);
    void writeToken(const TokenRecord& token);
    void writeFlows();
    void writeCounter(std::string_view name, std::string_view unit, std::vector<CounterChange>& changes);
    std::string rangeArguments(const SpanRecord& span) const;

    OutputFile* m_file;
    bool* m_first;
    const SessionReader* m_reader;
    const RunEntry* m_run;
    std::int64_t m_base;
    std::vector<RangeName> m_rangeNames;
    std::vector<std::string> m_quotedNames;  ///< [range name]
    std::vector<Flow> m_flows;
    std::unordered_map<Moment, std::size_t, MomentHash> m_byStart, m_byUse;  ///< index in m_flows
    std::vector<CounterChange> m_residents, m_linkUse;
};

void RunEvents::writeNames() {
    const RunDescription& run = m_run->description;
    std::string name = fmt::format("run {}: {}", m_run->id.value(), run.policy);
    if (!run.eviction.empty()) name += " · " + run.eviction;
    put(fmt::format(R"("ph":"M","name":"process_name","args":{{"name":{}}})", jsonString(name)));
    for (const LaneInfo& lane : m_reader->lanes(m_run->id)) {
        put(fmt::format(R"("ph":"M","name":"thread_name","tid":{},"args":{{"name":{},"role":"{}"}})", lane.lane.value(),
                        jsonString(lane.name), expertscope::name(lane.role)));
        put(fmt::format(R"("ph":"M","name":"thread_sort_index","tid":{0},"args":{{"sort_index":{0}}})",
                        lane.lane.value()));
    }
    m_rangeNames = m_reader->rangeNames(m_run->id);
    for (const RangeName& range : m_rangeNames)
        m_quotedNames.push_back(jsonString(range.text));
}

/// A first reading, since a span may come before the transfer that it belongs to.
void RunEvents::collectTransfers() {
    eachBatch(*m_reader, m_run->id, [&](const RecordBatch& batch) {
        for (const TransferRecord& transfer : batch.transfers) {
            if (transfer.started.count() == 0) continue;
            m_linkUse.push_back({transfer.started.count(), transfer.bytes.count()});
            m_linkUse.push_back({transfer.finished.count() > 0 ? transfer.finished.count() : transfer.started.count(),
                                 -transfer.bytes.count()});
            if (transfer.usedStep.value() < 0) continue;
            if (!m_byUse.try_emplace({transfer.usedStep.value(), transfer.expert}, m_flows.size()).second) continue;
            m_byStart.try_emplace({transfer.started.count(), transfer.expert}, m_flows.size());
            m_flows.push_back({.id = transfer.id});
        }
    });
}

std::string RunEvents::rangeArguments(const SpanRecord& span) const {
    switch (span.payload) {
        case PayloadType::None:
            return "";
        case PayloadType::Integer:
            return fmt::format(",\"payload\":{}", span.amount);
        case PayloadType::Real:
            break;
    }
    const auto value = std::bit_cast<double>(span.amount);
    // A point or an exponent tells a real number from a whole one.
    return std::isfinite(value) ? fmt::format(",\"payload\":{:.17e}", value) : ",\"payload\":null";
}

void RunEvents::writeSpan(const SpanRecord& span) {
    const bool range =
        span.kind == SpanKind::Range && span.name.value() >= 0 && span.name.index() < m_rangeNames.size();
    std::string event = "\"ph\":\"X\",\"name\":";
    if (range) {
        const RangeName& what = m_rangeNames[span.name.index()];
        event += m_quotedNames[span.name.index()];
        event += fmt::format(",\"cat\":{}", jsonString(what.category.empty() ? "range" : what.category));
    } else {
        event += fmt::format("\"{0}\",\"cat\":\"expertscope\"", name(span.kind));
    }
    event += fmt::format(",\"tid\":{},\"ts\":{},\"dur\":{},\"args\":{{\"kind\":\"{}\"", span.lane.value(),
                         micros(span.start.count()), length(span.end.count() - span.start.count()), name(span.kind));
    if (span.step.value() >= 0) event += fmt::format(",\"step\":{}", span.step.value());
    if (span.layer.value() >= 0) event += fmt::format(",\"layer\":{}", span.layer.value());
    if (span.expert.value() >= 0) event += fmt::format(",\"expert\":{}", span.expert.value());
    if (range) {
        const RangeName& what = m_rangeNames[span.name.index()];
        if (!what.domain.empty()) event += ",\"domain\":" + jsonString(what.domain);
        if (what.color != 0) event += fmt::format(",\"color\":{}", what.color);
        event += rangeArguments(span);
    } else if (span.amount != 0) {
        event += fmt::format(",\"amount\":{}", span.amount);
    }
    put(event + "}");

    findFlowEnd(span);
}

void RunEvents::findFlowEnd(const SpanRecord& span) {
    const ExpertRef expert{span.layer, span.expert};
    if (span.kind == SpanKind::TransferDemand || span.kind == SpanKind::TransferPrefetch ||
        span.kind == SpanKind::TransferPreload) {
        const auto found = m_byStart.find({span.start.count(), expert});
        if (found == m_byStart.end()) return;
        m_flows[found->second].fromTime = span.start.count();
        m_flows[found->second].fromLane = span.lane.value();
    } else if (span.kind == SpanKind::ExpertCompute) {
        const auto found = m_byUse.find({span.step.value(), expert});
        if (found == m_byUse.end()) return;
        Flow& flow = m_flows[found->second];
        if (flow.toLane >= 0 && flow.toTime <= span.start.count()) return;
        flow.toTime = span.start.count();
        flow.toLane = span.lane.value();
    }
}

void RunEvents::writeToken(const TokenRecord& token) {
    put(fmt::format(
        R"("ph":"i","s":"t","name":{},"cat":"token","tid":0,"ts":{},"args":{{"token":{},"request":{},"position":{},"id":{},"phase":"{}","step":{}}})",
        jsonString(token.bytes.empty() ? fmt::format("token {}", token.token.value()) : token.bytes),
        micros(token.time.count()), token.token.value(), token.request.value(), token.position, token.id,
        name(token.phase), token.step.value()));
}

void RunEvents::writeFlows() {
    for (const Flow& flow : m_flows) {
        if (flow.fromLane < 0 || flow.toLane < 0) continue;
        constexpr std::string_view kStart = R"("ph":"s","name":"first use","cat":"transfer","id":{},"tid":{},"ts":{})";
        constexpr std::string_view kEnd =
            R"("ph":"f","bp":"e","name":"first use","cat":"transfer","id":{},"tid":{},"ts":{})";
        put(fmt::format(kStart, flow.id, flow.fromLane, micros(flow.fromTime)));
        put(fmt::format(kEnd, flow.id, flow.toLane, micros(flow.toTime)));
    }
}

void RunEvents::writeCounter(std::string_view name, std::string_view unit, std::vector<CounterChange>& changes) {
    std::ranges::stable_sort(changes, {}, &CounterChange::time);
    std::int64_t value = 0;
    for (std::size_t i = 0; i < changes.size(); ++i) {
        value += changes[i].change;
        if (i + 1 < changes.size() && changes[i + 1].time == changes[i].time) continue;
        put(fmt::format(R"("ph":"C","name":"{}","tid":0,"ts":{},"args":{{"{}":{}}})", name, micros(changes[i].time),
                        unit, value));
    }
}

}  // namespace

std::vector<std::filesystem::path> exportChrome(const std::filesystem::path& session, std::optional<RunId> run,
                                                const std::filesystem::path& out) {
    const SessionReader reader(session);
    const std::vector<RunEntry> runs = run ? std::vector{reader.run(*run)} : reader.runs();
    if (runs.empty()) throw BadInputError(fmt::format("{} holds no run: record one.", session.string()));
    OutputFile file(out);
    file.write("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"writer\":\"expertscope\",\"baseTimeNanoseconds\":{");
    for (std::size_t i = 0; i < runs.size(); ++i)
        file.write(
            fmt::format("{}\"{}\":\"{}\"", i > 0 ? "," : "", runs[i].id.value(), runs[i].description.start.count()));
    file.write("}},\n\"traceEvents\":[");
    bool first = true;
    for (const RunEntry& entry : runs)
        RunEvents(file, first, reader, entry).write();
    file.write("\n]}\n");
    file.close();
    return {out};
}

}  // namespace expertscope
