// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/replay_command.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/engine_arguments.h"
#include "app/cli/replay_output.h"
#include "app/cli/run_choice.h"
#include "engine/base/error.h"
#include "engine/offload/policy_registry.h"
#include "profiler/analysis/prepared_tables.h"
#include "profiler/replay/cost_file.h"

namespace expertscope {
namespace {

struct ReplayArguments {
    std::vector<std::string> sessions;
    std::string prepared, policies, evictions = "lru,lfu,belady", budgets = "10%,25%,50%", links, settle,
                                    cost = "measured";
    int run = 0, threads = 0;
    bool json = false;
};

Settle settleOf(const ReplayArguments& arguments, const RunEntry& run) {
    if (arguments.settle == "layer") return Settle::Layer;
    if (arguments.settle == "admit") return Settle::Admit;
    if (!arguments.settle.empty())
        throw UsageError(fmt::format("There is no --settle '{}': use layer or admit.", arguments.settle));
    // Routing of other engines, from their files or told through NVTX: how they keep experts is not known.
    const std::string& policy = run.description.policy;
    return policy == "imported" || policy == "recorded" ? Settle::Layer : Settle::Admit;
}

std::string policiesOf(const ReplayArguments& arguments, const RunEntry& run) {
    if (!arguments.policies.empty()) return arguments.policies;
    const std::string name = run.description.policy.substr(0, run.description.policy.find(':'));
    const auto& known = policyCatalogue();
    return std::ranges::find(known, name, &PolicyInfo::name) != known.end() ? run.description.policy : "on-demand";
}

/// The links asked for; nothing asked: the one that the run had.
std::vector<std::optional<LinkSpec>> linksOf(const ReplayArguments& arguments, const RunEntry& run) {
    if (arguments.links.empty()) {
        if (run.description.link.empty()) return {std::nullopt};
        return {parseLink(run.description.link)};
    }
    std::vector<std::optional<LinkSpec>> links;
    for (const std::string& link : splitList(arguments.links, "--links"))
        links.emplace_back(parseLink(link));
    return links;
}

std::vector<Bytes> budgetsOf(const ReplayArguments& arguments, const ModelFacts& model) {
    std::vector<Bytes> budgets;
    for (const std::string& text : splitList(arguments.budgets, "--budgets"))
        budgets.push_back(std::min(parseSize(text, "--budgets").of(model.totalExpertBytes), model.totalExpertBytes));
    return budgets;
}

/// Every combination; a policy that keeps everything has one budget and needs no eviction rule.
std::vector<ReplayCase> casesOf(const ReplayArguments& arguments, const ReplayBench& bench,
                                const std::vector<std::optional<LinkSpec>>& links, const std::vector<Bytes>& budgets) {
    std::vector<ReplayCase> cases;
    for (const std::string& policy : splitList(policiesOf(arguments, bench.entry()), "--policies")) {
        const bool keepsAll = makePolicy(policy)->keepsAllResident();
        for (const std::string& asked : splitList(arguments.evictions, "--evictions")) {
            const std::string eviction = evictionUnder(policy, asked);
            for (const Bytes budget : budgets) {
                for (const auto& link : links) {
                    cases.push_back(
                        {policy, eviction, keepsAll ? bench.trace().model().totalExpertBytes : budget, link});
                    ReplayCase named = cases.back();
                    named.eviction = asked;
                    bench.check(named);
                }
                if (keepsAll) break;
            }
            if (keepsAll || eviction == kOwnEviction) break;
        }
    }
    return cases;
}

std::unique_ptr<ReplayBench> load(const ReplayArguments& arguments, const std::string& session) {
    const SessionReader reader(session);
    const auto routed = [](const RunEntry& entry) { return entry.description.record.routing; };
    RecordedRun run =
        readRecordedRun(reader, chosenRun(reader, arguments.run, routed, "run with routing: record one.").id);
    PreparedData prepared = arguments.prepared.empty() ? calibratedTables(reader, run.entry.description)
                                                       : PreparedData::load(arguments.prepared);
    if (arguments.cost != "measured") run.times = readCostFile(arguments.cost, run.trace);
    auto bench = std::make_unique<ReplayBench>(std::move(run));
    if (!prepared.empty()) bench->setPrepared(std::move(prepared));
    return bench;
}

ReplayedTrace replaySession(const ReplayArguments& arguments, const std::string& session, const ReplayBench& bench) {
    ReplayedTrace replayed{
        .session = session, .bench = &bench, .settle = settleOf(arguments, bench.entry()), .results = {}, .bounds = {}};
    const auto links = linksOf(arguments, bench.entry());
    const std::vector<Bytes> budgets = budgetsOf(arguments, bench.trace().model());
    const int threads =
        arguments.threads > 0 ? arguments.threads : static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
    replayed.results = bench.replayAll(casesOf(arguments, bench, links, budgets), replayed.settle, threads);
    for (const Bytes budget : budgets)
        for (const auto& link : links)
            replayed.bounds.push_back(bench.bound(budget, link, replayed.settle));
    return replayed;
}

int replay(const ReplayArguments& arguments) {
    std::vector<std::unique_ptr<ReplayBench>> benches;
    std::vector<ReplayedTrace> traces;
    for (const std::string& session : arguments.sessions) {
        benches.push_back(load(arguments, session));
        traces.push_back(replaySession(arguments, session, *benches.back()));
    }
    if (arguments.json) {
        printJson(replayJson(traces));
        return 0;
    }
    for (std::size_t i = 0; i < traces.size(); ++i)
        std::cout << (i > 0 ? "\n" : "") << replayText(traces[i]);
    return 0;
}

}  // namespace

void addReplayCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("replay", "Policies, budgets and links simulated over recorded routing");
    const auto arguments = std::make_shared<ReplayArguments>();
    command->add_option("SESSION", arguments->sessions, "Session files")->required();
    command->add_option("--run", arguments->run, "This run of the session [the last with routing]");
    command->add_option("--policies", arguments->policies, "Offload policies, comma separated [that of the run]")
        ->type_name("NAMES");
    command->add_option("--evictions", arguments->evictions, "Eviction rules; belady and belady-bypass are the bounds")
        ->type_name("NAMES")
        ->capture_default_str();
    command->add_option("--budgets", arguments->budgets, "Expert bytes on the device: 512MiB, 25%")
        ->type_name("SIZES")
        ->capture_default_str();
    command->add_option("--links", arguments->links, "BANDWIDTH@LATENCY, as 25GB/s@10us [the link that the run had]")
        ->type_name("LIST");
    command->add_option("--settle", arguments->settle,
                        "layer: back to the budget at a layer's end; admit: as the live engine [layer for imported "
                        "routing, else admit]");
    command->add_option("--cost", arguments->cost, "Times for compute: measured, or a JSON file")
        ->type_name("measured|FILE")
        ->capture_default_str();
    command->add_option("--prepared", arguments->prepared, "What policies need beforehand, made by 'prepare'")
        ->type_name("F");
    command->add_option("--threads", arguments->threads, "Simulations at once [all CPUs]")
        ->check(CLI::NonNegativeNumber);
    command->add_flag("--json", arguments->json, "As one JSON object");
    command->callback([arguments, &action] { action = [arguments] { return replay(*arguments); }; });
}

}  // namespace expertscope
