// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/prepare_command.h"

#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <set>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/cli/output.h"
#include "app/cli/table_fits.h"
#include "engine/base/error.h"
#include "engine/offload/policy_registry.h"
#include "profiler/analysis/prepared_tables.h"
#include "profiler/analysis/run_trace.h"
#include "storage/session_reader.h"

namespace expertscope {
namespace {

struct PrepareArguments {
    std::vector<std::string> sessions;
    std::string policy, out;
    bool json = false;
};

/// What a policy needs beforehand, collected from sessions into one file.
class Preparation {
public:
    explicit Preparation(const PrepareArguments& arguments) : m_arguments(arguments), m_tables(tablesOf()) {}

    int run();

private:
    std::vector<std::string> tablesOf() const;
    void addSession(const std::string& file);
    void addRun(const RunTrace& trace);
    void fit();
    void report() const;
    void note(const std::string& sentence) const { std::cerr << "expertscope: Note: " << sentence << '\n'; }

    const PrepareArguments& m_arguments;
    std::vector<std::string> m_tables;  ///< to be counted
    PreparedData m_data;
    std::set<std::string> m_groups;  ///< commands whose routing has been seen
    std::optional<RunDescription> m_run;
    std::vector<std::vector<std::int32_t>> m_prompts;
    std::string m_fitReport;
    int m_counted = 0, m_known = 0;  ///< runs
};

std::vector<std::string> Preparation::tablesOf() const {
    const PolicyInfo& info = policyInfo(m_arguments.policy);
    if (isFitted(info.name)) return {};
    std::vector<std::string> tables = info.prepared;
    tables.insert(tables.end(), info.startsFrom.begin(), info.startsFrom.end());
    if (tables.empty())
        throw UsageError(fmt::format("Policy '{}' needs nothing beforehand: run it as it is.", info.name));
    return tables;
}

void Preparation::addSession(const std::string& file) {
    const SessionReader reader(file);
    for (const RunEntry& entry : reader.runs()) {
        const RunDescription& run = entry.description;
        const std::string which = fmt::format("run {} of {}", entry.id.value(), file);
        if (entry.state == RunState::Running) {
            note(which + " is left out because it is still being recorded.");
        } else if (!run.exact) {
            note(fmt::format("{} is left out because its policy '{}' changes the routing.", which, run.policy));
        } else if (!run.record.routing) {
            note(which + " is left out because its routing was not recorded.");
        } else if (m_groups.insert(run.group).second || run.group.empty()) {
            // The other runs of one command ran the same prompts, and under exact policies chose the same experts.
            addRun(RunTrace(reader, entry.id));
        }
    }
}

void Preparation::addRun(const RunTrace& trace) {
    const RunDescription& run = trace.entry().description;
    if (!m_data.fingerprint().empty()) m_data.requireModel(run.model.fingerprint, run.model.name);
    if (!m_run) m_run = run;
    bool isNew = false;
    for (const std::string& table : m_tables)
        if (collectTable(table, viewOf(trace), run, trace.entry().id, m_data)) isNew = true;
    (isNew ? m_counted : m_known) += 1;
    for (const RequestRecord& request : trace.requests()) {
        std::vector<std::int32_t>& prompt = m_prompts.emplace_back();
        for (const TokenRecord& token : trace.tokens())
            if (token.request == request.request && token.phase == Phase::Prefill) prompt.push_back(token.id);
        if (prompt.empty()) m_prompts.pop_back();
    }
}

void Preparation::fit() {
    const LoadedModel model = loadModel(m_run->model.path);
    PreparedData(model.checkpoint.facts().fingerprint, model.checkpoint.name())
        .requireModel(m_run->model.fingerprint, m_run->model.name);
    EngineOptions options;
    options.policy = "on-demand";
    TableFit fit = fitTables(m_arguments.policy, model, m_prompts, options,
                             [](const std::string& stage) { std::cerr << "expertscope: " << stage << '\n'; });
    m_data.merge(fit.data);
    m_fitReport = std::move(fit.report);
}

void Preparation::report() const {
    if (m_arguments.json) {
        Json tables = Json::array();
        for (const auto& [name, table] : m_data.tables())
            tables.push_back({{"name", name}, {"shape", table.shape}});
        return printJson({{"file", m_arguments.out},
                          {"model", m_data.modelName()},
                          {"runs_added", m_counted},
                          {"runs_known", m_known},
                          {"tables", std::move(tables)},
                          {"sources", m_data.sources()},
                          {"report", m_fitReport}});
    }
    std::cout << m_fitReport;
    if (m_known > 0) std::cout << fmt::format("{} runs were in it already\n", m_known);
    for (const auto& [name, table] : m_data.tables())
        std::cout << fmt::format("{} [{}]\n", name, fmt::join(table.shape, ", "));
    std::cout << fmt::format("{} for '{}' of model {}\n", m_arguments.out, m_arguments.policy, m_data.modelName());
}

int Preparation::run() {
    if (std::filesystem::exists(m_arguments.out)) m_data = PreparedData::load(m_arguments.out);
    for (const std::string& session : m_arguments.sessions)
        addSession(session);
    if (!m_run)
        throw BadInputError(fmt::format(
            "There is no run in {} that policy '{}' could be prepared from: record one with 'expertscope run --policy "
            "resident --out S.esdb'.",
            fmt::join(m_arguments.sessions, ", "), m_arguments.policy));
    if (isFitted(m_arguments.policy)) fit();
    m_data.save(m_arguments.out);
    report();
    return 0;
}

}  // namespace

void addPrepareCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("prepare", "What a policy needs beforehand, collected from sessions");
    const auto arguments = std::make_shared<PrepareArguments>();
    command->add_option("SESSION", arguments->sessions, "Session files of one model")->required();
    command->add_option("--for", arguments->policy, "The policy ('policies' lists what each needs)")
        ->required()
        ->type_name("POLICY");
    command->add_option("--out", arguments->out, "The file to make; what it holds already is kept and added to")
        ->required()
        ->type_name("F");
    command->add_flag("--json", arguments->json, "What the file holds, as one JSON object");
    command->footer(
        "Given to run, perplexity and replay with --prepared F. Of the runs of one command the first exact one "
        "counts.");
    command->callback([arguments, &action] { action = [arguments] { return Preparation(*arguments).run(); }; });
}

}  // namespace expertscope
