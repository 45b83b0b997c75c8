// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/chrome_import.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "engine/base/record_names.h"
#include "profiler/interchange/json_stream.h"
#include "profiler/interchange/timeline_builder.h"

namespace expertscope {
namespace {

using nlohmann::json;

// Twice this and a base of as much stay within int64 nanoseconds; moments of our age in microseconds since 1970 fit
// too.
constexpr double kMostMicroseconds = 2e15;
constexpr std::int64_t kMostBase = 4'000'000'000'000'000'000;

std::string word(const json& event, const char* key) {
    const auto found = event.find(key);
    if (found == event.end() || found->is_null()) return "";
    return found->is_string() ? found->get<std::string>() : found->dump();
}

std::int32_t small(const json& arguments, const char* key) {
    const auto found = arguments.find(key);
    if (found == arguments.end() || !found->is_number_integer()) return -1;
    const auto value = found->get<std::int64_t>();
    return value >= 0 && value < (std::int64_t{1} << 31) ? static_cast<std::int32_t>(value) : -1;
}

/// The enumerator that has this word among the first `count`; nothing where none has.
template <class Enum>
std::optional<Enum> fromWord(const std::string& text, int count) {
    for (int i = 0; i < count; ++i)
        if (name(static_cast<Enum>(i)) == text) return static_cast<Enum>(i);
    return std::nullopt;
}

/// What joins the two halves of an asynchronous event: nestable ones (b, e) by category, scope and id, older ones (S,
/// F) by their name too. Ids are those of all processes, unless they say that they are local.
std::string asyncKey(const json& event, bool nestable) {
    std::string id = word(event, "id"), process;
    if (const auto id2 = event.find("id2"); id2 != event.end() && id2->is_object()) {
        const bool local = id2->contains("local");
        id = word(*id2, local ? "local" : "global");
        if (local) process = word(event, "pid");
    }
    const std::string name = nestable ? "b" : "S" + word(event, "name");
    return fmt::format("{}\n{}\n{}\n{}\n{}", name, process, word(event, "cat"), word(event, "scope"), id);
}

class ChromeEvents {
public:
    ChromeEvents(const std::filesystem::path& file, const ImportOptions& options)
        : m_file(file), m_options(options), m_timeline(options) {}

    void take(const json& event, std::int64_t number);
    ImportedRun write(const std::filesystem::path& session, const JsonRest& rest);

private:
    struct Open {
        std::string name;
        json event;
        std::int64_t start;
    };
    /// The begin or end of an asynchronous event.
    struct Half {
        std::int64_t time;
        bool end;
        json event;
    };
    [[noreturn]] void refuse(const std::string& what) const {
        throw BadInputError(fmt::format("Event {} of {} {}: write the trace again.", m_number, m_file.string(), what));
    }
    std::int64_t time(const json& event, const char* key) const;
    std::int32_t trackOf(const json& event);
    void takeMetadata(const json& event);
    void pairHalves();
    void begin(const std::string& key, const json& event);
    void end(const std::string& key, const json& event, std::int32_t track);
    void add(const json& event, std::int64_t start, std::int64_t end, std::int32_t track);
    static void takePayload(const json& arguments, SpanRecord& span);
    void shiftTo(const json& rest);

    std::filesystem::path m_file;
    const ImportOptions& m_options;
    std::int64_t m_number = 0;
    TimelineBuilder m_timeline;
    std::map<std::string, std::vector<Open>> m_open;  ///< by thread, or by category and id
    std::vector<Half> m_halves;
    std::map<std::string, std::int64_t> m_passedOver;
    std::int64_t m_unpaired = 0;
    Nanoseconds m_start;
    json m_lastProcess, m_lastThread;
    std::int32_t m_lastTrack = -1;
};

/// The number of an event's thread. Events of a thread often follow each other, and words cost more than comparing.
std::int32_t ChromeEvents::trackOf(const json& event) {
    static const json kNone;
    const auto pid = event.find("pid"), tid = event.find("tid");
    const json& process = pid != event.end() ? *pid : kNone;
    const json& thread = tid != event.end() ? *tid : kNone;
    if (m_lastTrack < 0 || process != m_lastProcess || thread != m_lastThread) {
        m_lastProcess = process;
        m_lastThread = thread;
        m_lastTrack = m_timeline.track(word(event, "pid"), word(event, "tid"));
    }
    return m_lastTrack;
}

std::int64_t ChromeEvents::time(const json& event, const char* key) const {
    const auto found = event.find(key);
    if (found == event.end() || !found->is_number()) refuse(fmt::format("has no number for {}", key));
    const double micros = found->get<double>();
    if (!(std::abs(micros) < kMostMicroseconds)) refuse(fmt::format("has {}={}, which is no time", key, micros));
    if (found->is_number_integer()) return found->get<std::int64_t>() * 1000;
    return std::llround(micros * 1000);
}

void ChromeEvents::take(const json& event, std::int64_t number) {
    m_number = number;
    if (!event.is_object()) refuse("is no object");
    const std::string phase = word(event, "ph");
    if (phase == "X") {
        const std::int64_t start = time(event, "ts");
        const std::int64_t length = event.contains("dur") ? time(event, "dur") : 0;
        if (length < 0) refuse("ends before it starts");
        add(event, start, start + length, trackOf(event));
    } else if (phase == "B") {
        begin(word(event, "pid") + '\n' + word(event, "tid"), event);
    } else if (phase == "E") {
        end(word(event, "pid") + '\n' + word(event, "tid"), event, trackOf(event));
    } else if (phase == "b" || phase == "S" || phase == "e" || phase == "F") {
        m_halves.push_back({time(event, "ts"), phase == "e" || phase == "F", event});
    } else if (phase == "i" || phase == "I" || phase == "R") {
        const std::int64_t at = time(event, "ts");
        add(event, at, at, trackOf(event));
    } else if (phase == "M") {
        takeMetadata(event);
    } else if (phase.empty()) {
        refuse("has no phase (ph)");
    } else {
        ++m_passedOver[phase];
    }
}

void ChromeEvents::takeMetadata(const json& event) {
    const std::string what = word(event, "name");
    const auto arguments = event.find("args");
    if (arguments == event.end() || !arguments->is_object()) return;
    if (what == "process_name") m_timeline.nameProcess(word(event, "pid"), word(*arguments, "name"));
    if (what != "thread_name") return;
    const std::int32_t track = trackOf(event);
    const auto role = fromWord<LaneRole>(word(*arguments, "role"), 6);
    const std::int32_t lane = small(event, "tid");
    if (role && lane >= 0)
        m_timeline.keepLane(track, LaneId(lane), *role, word(*arguments, "name"));
    else
        m_timeline.nameTrack(track, word(*arguments, "name"));
}

/// Pairs the halves of asynchronous events in order of time: a file need not hold them so, unlike those of a thread.
void ChromeEvents::pairHalves() {
    std::ranges::stable_sort(m_halves, {}, &Half::time);
    for (const Half& half : m_halves) {
        const std::string phase = word(half.event, "ph"), key = asyncKey(half.event, phase == "b" || phase == "e");
        if (!half.end) {
            begin(key, half.event);
            continue;
        }
        const std::vector<Open>& open = m_open[key];
        const json& first = open.empty() ? half.event : open.back().event;
        end(key, half.event, m_timeline.track(word(first, "pid"), "", LaneRole::Ranges));
    }
}

void ChromeEvents::begin(const std::string& key, const json& event) {
    m_open[key].push_back({word(event, "name"), event, time(event, "ts")});
}

void ChromeEvents::end(const std::string& key, const json& event, std::int32_t track) {
    const std::int64_t at = time(event, "ts");
    std::vector<Open>& open = m_open[key];
    if (open.empty()) {
        ++m_unpaired;
        return;
    }
    const Open begun = std::move(open.back());
    open.pop_back();
    if (at < begun.start) refuse("ends before it starts");
    json whole = begun.event;
    // Arguments of an end belong to the event as much as those of its begin.
    if (const auto more = event.find("args"); more != event.end() && more->is_object()) {
        if (!whole.contains("args") || !whole["args"].is_object()) whole["args"] = json::object();
        whole["args"].update(*more);
    }
    add(whole, begun.start, at, track);
}

void ChromeEvents::takePayload(const json& arguments, SpanRecord& span) {
    const auto payload = arguments.find("payload");
    if (payload == arguments.end() || !payload->is_number()) return;
    if (payload->is_number_integer()) {
        span.payload = PayloadType::Integer;
        span.amount = payload->get<std::int64_t>();
    } else {
        span.payload = PayloadType::Real;
        span.amount = std::bit_cast<std::int64_t>(payload->get<double>());
    }
}

void ChromeEvents::add(const json& event, std::int64_t start, std::int64_t end, std::int32_t track) {
    static const json kNone = json::object();
    const auto found = event.find("args");
    const json& arguments = found != event.end() && found->is_object() ? *found : kNone;
    // Tokens are told beside the timeline and stand in no lane.
    const std::string category = word(event, "cat");
    if (category == "token" && arguments.contains("token") && arguments.contains("phase")) {
        ++m_passedOver["token"];
        return;
    }
    SpanRecord span;
    span.start = Nanoseconds(start);
    span.end = Nanoseconds(end);
    span.lane = LaneId(track);
    span.step = StepIndex(small(arguments, "step"));
    span.layer = LayerIndex(small(arguments, "layer"));
    span.expert = ExpertId(small(arguments, "expert"));
    const auto kind = category == "expertscope" ? fromWord<SpanKind>(word(arguments, "kind"), 14) : std::nullopt;
    span.kind = kind.value_or(SpanKind::Range);
    if (kind) {
        if (const auto amount = arguments.find("amount"); amount != arguments.end() && amount->is_number_integer())
            span.amount = amount->get<std::int64_t>();
    } else {
        const bool ours = word(arguments, "kind") == "range";
        const auto color = arguments.find("color");
        span.name =
            m_timeline.name(word(arguments, "domain"), ours && category == "range" ? "" : category, word(event, "name"),
                            color != arguments.end() && color->is_number_unsigned()
                                ? static_cast<std::uint32_t>(color->get<std::uint64_t>())
                                : 0);
        takePayload(arguments, span);
    }
    m_timeline.add(span);
}

/// The moment that the trace's times count from, where it tells it.
void ChromeEvents::shiftTo(const json& rest) {
    if (!rest.is_object()) return;
    const auto parse = [](const json& value) -> std::int64_t {
        if (value.is_number_integer()) return value.get<std::int64_t>();
        if (!value.is_string()) return 0;
        const auto& text = value.get_ref<const std::string&>();
        std::int64_t number = 0;
        std::from_chars(text.data(), text.data() + text.size(), number);
        return number;
    };
    const auto moment = [&](const json& value) {
        return Nanoseconds(std::clamp<std::int64_t>(parse(value), 0, kMostBase));
    };
    if (const auto base = rest.find("baseTimeNanoseconds"); base != rest.end()) m_start = moment(*base);
    const auto other = rest.find("otherData");
    if (other == rest.end() || !other->is_object()) return;
    const auto bases = other->find("baseTimeNanoseconds");
    if (bases != other->end() && bases->is_object() && !bases->empty()) m_start = moment(*bases->begin());
}

ImportedRun ChromeEvents::write(const std::filesystem::path& session, const JsonRest& rest) {
    pairHalves();
    if (m_timeline.size() == 0)
        throw BadInputError(fmt::format("{} holds no event with a time: import another trace.", m_file.string()));
    shiftTo(rest.value);
    std::vector<std::string> notes;
    if (rest.unclosed)
        notes.emplace_back("The trace ends without its closing bracket, as if its writer had been stopped.");
    std::int64_t unended = m_unpaired;
    for (const auto& [key, open] : m_open)
        unended += static_cast<std::int64_t>(open.size());
    if (unended > 0)
        notes.push_back(fmt::format("{} begins or ends of ranges without their other half were left out.", unended));
    std::int64_t passedOver = 0;
    std::string phases;
    for (const auto& [phase, count] : m_passedOver) {
        if (phase == "token") continue;
        passedOver += count;
        phases += fmt::format("{}{} of phase '{}'", phases.empty() ? "" : ", ", count, phase);
    }
    if (passedOver > 0)
        notes.push_back(fmt::format(
            "{} events that are no ranges (counters, flows, samples, objects) were left out: {}.", passedOver, phases));
    RunDescription run;
    run.model.name = m_options.modelName.empty() ? m_file.stem().string() : m_options.modelName;
    run.model.path = m_file.string();
    run.start = m_start;
    m_timeline.shift(m_start);
    return m_timeline.write(session, run, std::move(notes));
}

}  // namespace

bool isChromeTrace(const FileHead& head) {
    const std::size_t first = head.bytes.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
    if (first == std::string::npos) return false;
    if (head.bytes[first] == '{') return head.holds("\"traceEvents\"");
    return head.bytes[first] == '[' && head.holds("\"ph\"");
}

ImportedRun importChrome(const std::filesystem::path& file, const std::filesystem::path& session,
                         const ImportOptions& options) {
    ChromeEvents events(file, options);
    const JsonRest rest =
        eachJsonElement(file, "traceEvents", [&](json& event, std::int64_t number) { events.take(event, number); });
    return events.write(session, rest);
}

}  // namespace expertscope
