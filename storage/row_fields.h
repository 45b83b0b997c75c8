// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Which column of a row table holds which field, said once for reading and writing. `visitFields(visit, record)` calls
// visit("column", field) for every field; RowNames, RowBinder and RowReader are such visitors. A NaN is stored as NULL.

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

#include "engine/base/record_names.h"
#include "engine/base/run_facts.h"
#include "storage/sqlite_db.h"

namespace expertscope {

template <class R, class Record>
concept Like = std::same_as<std::remove_const_t<R>, Record>;

/// A time that reads 0 and is stored as NULL while it is not known.
template <class Time>
struct ZeroAsNull {
    Time& time;
};
template <class Time>
ZeroAsNull(Time&) -> ZeroAsNull<Time>;

void visitFields(auto&& visit, Like<ModelFacts> auto& model) {
    visit("name", model.name);
    visit("family", model.family);
    visit("path", model.path);
    visit("fingerprint", model.fingerprint);
    visit("layers", model.layers);
    visit("experts", model.experts);
    visit("top_k", model.topK);
    visit("hidden", model.hidden);
    visit("vocabulary", model.vocabulary);
    visit("context", model.context);
    visit("expert_bytes", model.expertBytes);
    visit("total_expert_bytes", model.totalExpertBytes);
    visit("has_pre_gates", model.hasPreGates);
}

void visitFields(auto&& visit, Like<RunDescription> auto& run) {
    visit("policy", run.policy);
    visit("eviction", run.eviction);
    visit("exact", run.exact);
    visit("device", run.device);
    visit("budget_bytes", run.budget);
    visit("slots", run.slots);
    visit("threads", run.threads);
    visit("link", run.link);
    visit("io", run.io);
    visit("reference", run.reference);
    visit("record_routing", run.record.routing);
    visit("record_spans", run.record.spans);
    visit("record_norms", run.record.norms);
    visit("record_predictions", run.record.predictions);
    visit("command", run.command);
    visit("machine", run.machineJson);
    visit("started_utc", run.startedUtc);
    visit("start_ns", run.start);
    visit("run_group", run.group);
    visit("repeat", run.repeat);
    visit("planned_tokens", run.plannedTokens);
}

void visitFields(auto&& visit, Like<RunSummary> auto& summary) {
    visit("prompt_tokens", summary.promptTokens);
    visit("generated_tokens", summary.generatedTokens);
    visit("stopped", summary.stopped);
    visit("prefill_tokens_per_s", summary.prefillTokensPerSecond);
    visit("decode_tokens_per_s", summary.decodeTokensPerSecond);
    visit("ttft_ms", summary.ttftMs);
    visit("tpot_p50_ms", summary.tpotP50Ms);
    visit("tpot_p90_ms", summary.tpotP90Ms);
    visit("tpot_p99_ms", summary.tpotP99Ms);
    visit("accesses", summary.accesses);
    visit("hits", summary.hits);
    visit("hits_in_flight", summary.hitsInFlight);
    visit("misses", summary.misses);
    visit("demand_bytes", summary.demand);
    visit("prefetch_bytes", summary.prefetch);
    visit("moved_bytes", summary.moved);
    visit("useful_bytes", summary.useful);
    visit("late_bytes", summary.late);
    visit("wasted_bytes", summary.wasted);
    visit("cancelled_bytes", summary.cancelled);
    visit("total_ms", summary.totalMs);
    visit("compute_ms", summary.computeMs);
    visit("wait_ms", summary.waitMs);
    visit("other_ms", summary.otherMs);
    visit("peak_device_bytes", summary.peakDevice);
    visit("spans", summary.spans);
    visit("selections", summary.selections);
    visit("dropped", summary.dropped);
    visit("fidelity", summary.fidelityJson);
}

void visitFields(auto&& visit, Like<RequestRecord> auto& request) {
    visit("request", request.request);
    visit("label", request.label);
    visit("prompt", request.prompt);
    visit("prompt_tokens", request.promptTokens);
    visit("generated_tokens", request.generatedTokens);
    visit("first_token", request.firstToken);
    visit("start_ns", request.start);
    visit("first_token_ns", ZeroAsNull{request.firstTokenTime});
    visit("end_ns", ZeroAsNull{request.end});
    visit("stopped", request.stopped);
}

/// All but `bytes` and `text`, which follow them.
void visitFields(auto&& visit, Like<TokenRecord> auto& token) {
    visit("token", token.token);
    visit("request", token.request);
    visit("position", token.position);
    visit("id", token.id);
    visit("phase", token.phase);
    visit("step", token.step);
    visit("time_ns", token.time);
    visit("log_probability", token.logProbability);
}

void visitFields(auto&& visit, Like<LaneInfo> auto& lane) {
    visit("lane", lane.lane);
    visit("role", lane.role);
    visit("name", lane.name);
}

void visitFields(auto&& visit, Like<RangeName> auto& range) {
    visit("name_id", range.id);
    visit("domain", range.domain);
    visit("category", range.category);
    visit("text", range.text);
    visit("color", range.color);
}

void visitFields(auto&& visit, Like<DiagnosticRecord> auto& diagnostic) {
    visit("time_ns", diagnostic.time);
    visit("end_ns", ZeroAsNull{diagnostic.end});
    visit("name", diagnostic.name);
    visit("severity", diagnostic.severity);
    visit("count", diagnostic.count);
    visit("sentence", diagnostic.sentence);
}

/// Collects "a, b, c", "?, ?, ?" and "a=?, b=?, c=?".
struct RowNames {
    std::string names, marks, settings;
    void add(std::string_view name) {
        const std::string_view comma = names.empty() ? "" : ", ";
        names.append(comma).append(name);
        marks.append(comma).append("?");
        settings.append(comma).append(name).append("=?");
    }
    void operator()(const char* name, const auto&) { add(name); }
};

template <class Record>
RowNames rowNames() {
    RowNames names;
    const Record record{};
    visitFields(names, record);
    return names;
}

/// Binds fields to consecutive parameters from `index`; the record stays until the statement has run.
struct RowBinder {
    Statement& statement;
    int index;

    void operator()(const char*, const std::string& value) {
        statement.bindText(index++, value, Statement::Bound::InPlace);
    }
    void operator()(const char*, const double& value) { statement.bind(index++, value); }
    void operator()(const char*, const float& value) { statement.bind(index++, static_cast<double>(value)); }
    template <class Time>
    void operator()(const char*, const ZeroAsNull<Time>& value) {
        if (value.time.count() == 0) {
            statement.bindNull(index++);
        } else {
            statement.bind(index++, value.time.count());
        }
    }
    template <class T>
    void operator()(const char*, const T& value) {
        if constexpr (std::is_enum_v<T>) {
            statement.bindText(index++, name(value), Statement::Bound::InPlace);
        } else if constexpr (requires { value.count(); }) {
            statement.bind(index++, value.count());
        } else if constexpr (requires { value.value(); }) {
            statement.bind(index++, std::int64_t{value.value()});
        } else {
            statement.bind(index++, static_cast<std::int64_t>(value));
        }
    }
};

/// The enumerator whose word is `word`; one past the last where there is none, whose name() is "unknown".
template <class Enum>
Enum enumerator(std::string_view word) {
    std::uint8_t value = 0;
    while (name(static_cast<Enum>(value)) != "unknown" && name(static_cast<Enum>(value)) != word) {
        ++value;
    }
    return static_cast<Enum>(value);
}

/// Fills fields from consecutive columns from `index`.
struct RowReader {
    const Statement& statement;
    int index;

    void operator()(const char*, std::string& value) { value = statement.text(index++); }
    void operator()(const char*, double& value) { value = statement.real(index++); }
    void operator()(const char*, float& value) { value = static_cast<float>(statement.real(index++)); }
    template <class Time>
    void operator()(const char*, ZeroAsNull<Time> value) {
        value.time = Time(statement.integer(index++));
    }
    template <class T>
    void operator()(const char*, T& value) {
        if constexpr (std::is_enum_v<T>) {
            value = enumerator<T>(statement.text(index++));
        } else if constexpr (std::is_same_v<T, bool>) {
            value = statement.integer(index++) != 0;
        } else if constexpr (requires { typename T::Representation; }) {
            value = T(static_cast<typename T::Representation>(statement.integer(index++)));
        } else if constexpr (requires { value.count(); }) {
            value = T(statement.integer(index++));
        } else {
            value = static_cast<T>(statement.integer(index++));
        }
    }
};

}  // namespace expertscope
