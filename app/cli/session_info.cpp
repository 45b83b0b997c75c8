// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/session_info.h"

#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "app/cli/output.h"
#include "app/cli/run_json.h"
#include "engine/base/record_names.h"
#include "storage/session_reader.h"
#include "storage/sql.h"

namespace expertscope {
namespace {

Json requestsJson(const std::vector<RequestRecord>& requests) {
    Json list = Json::array();
    for (const RequestRecord& request : requests) {
        list.push_back({{"label", request.label},
                        {"prompt", request.prompt},
                        {"prompt_tokens", request.promptTokens},
                        {"generated_tokens", request.generatedTokens},
                        {"stopped", request.stopped.empty() ? Json(nullptr) : Json(request.stopped)}});
    }
    return list;
}

Json diagnosticsJson(const std::vector<DiagnosticRecord>& diagnostics) {
    Json list = Json::array();
    for (const DiagnosticRecord& diagnostic : diagnostics) {
        list.push_back({{"name", diagnostic.name}, {"count", diagnostic.count}, {"sentence", diagnostic.sentence}});
    }
    return list;
}

/// Stored as text by whoever made the run; a file from elsewhere may hold anything.
Json machineJson(const std::string& text) {
    Json machine = Json::parse(text, nullptr, false);
    return machine.is_discarded() ? Json(nullptr) : machine;
}

/// Prompt and generated tokens in the file: what a run that crashed has left.
std::int64_t recordedTokens(const std::filesystem::path& session, RunId run) {
    SqlQuery query(session, fmt::format("select count(*) from token where run_id = {}", run.value()));
    return query.next() ? std::get<std::int64_t>(query.value(0)) : 0;
}

Json sessionRunJson(const SessionReader& reader, const RunEntry& run) {
    const RunDescription& d = run.description;
    Json json = {{"run_id", run.id.value()},
                 {"state", std::string(name(run.state))},
                 {"model", modelJson(d.model)},
                 {"policy", d.policy},
                 {"exact", d.exact},
                 {"eviction", d.eviction},
                 {"device", d.device},
                 {"budget_bytes", d.budget.count()},
                 {"slots", d.slots},
                 {"threads", d.threads},
                 {"link", linkJson(d)},
                 {"io", d.io},
                 {"started", d.startedUtc},
                 {"group", d.group},
                 {"repeat", d.repeat},
                 {"planned_tokens", d.plannedTokens},
                 {"command", d.command},
                 {"machine", machineJson(d.machineJson)},
                 {"requests", requestsJson(reader.requests(run.id))},
                 {"diagnostics", diagnosticsJson(reader.diagnostics(run.id))}};
    json["recorded_tokens"] = recordedTokens(reader.file(), run.id);
    if (run.summary) {
        json["prompt_tokens"] = run.summary->promptTokens;
        json["generated_tokens"] = run.summary->generatedTokens;
        json["stopped"] = run.summary->stopped;
        json.update(measuresJson(*run.summary));
    }
    return json;
}

void printSessionText(const SessionReader& reader, const std::vector<RunEntry>& runs) {
    std::cout << fmt::format("{}: {} runs, {}\n\n", reader.file().string(), runs.size(),
                             formatBytes(reader.sizeOnDisk()));
    std::vector<std::vector<std::string>> rows{
        {"run", "state", "model", "policy", "eviction", "budget", "link", "tokens", "tok/s", "hits %", "started"}};
    for (const RunEntry& run : runs) {
        const RunDescription& d = run.description;
        std::vector<std::string> row{std::to_string(run.id.value()),
                                     std::string(name(run.state)),
                                     d.model.name,
                                     d.policy,
                                     d.eviction,
                                     formatBytes(d.budget),
                                     d.link};
        if (run.summary) {
            const RunSummary& s = *run.summary;
            const double hits =
                s.accesses > 0 ? 100 * static_cast<double>(s.hits) / static_cast<double>(s.accesses) : 0;
            row.insert(row.end(), {std::to_string(s.generatedTokens), fmt::format("{:.1f}", s.decodeTokensPerSecond),
                                   fmt::format("{:.1f}", hits)});
        } else {
            row.insert(row.end(), {"", "", ""});
        }
        row.push_back(d.startedUtc);
        rows.push_back(std::move(row));
    }
    std::cout << formatTable(rows);
    for (const RunEntry& run : runs) {
        for (const DiagnosticRecord& diagnostic : reader.diagnostics(run.id)) {
            std::cout << fmt::format("run {}: {}\n", run.id.value(), diagnostic.sentence);
        }
    }
}

}  // namespace

void printSessionInfo(const std::filesystem::path& session, bool json) {
    const SessionReader reader(session);
    const std::vector<RunEntry> runs = reader.runs();
    if (!json) {
        printSessionText(reader, runs);
        return;
    }
    Json list = Json::array();
    for (const RunEntry& run : runs)
        list.push_back(sessionRunJson(reader, run));
    printJson({{"kind", "session"},
               {"session", session.string()},
               {"bytes", reader.sizeOnDisk().count()},
               {"runs", std::move(list)}});
}

}  // namespace expertscope
