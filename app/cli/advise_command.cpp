// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/advise_command.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "app/cli/advice_output.h"
#include "app/cli/machine_description.h"
#include "app/cli/run_arguments.h"
#include "app/cli/run_choice.h"
#include "app/cli/run_job.h"
#include "app/resource_paths.h"
#include "engine/base/error.h"
#include "profiler/analysis/prepared_tables.h"

namespace expertscope {
namespace {

/// Tokens of each bundled prompt that a checkpoint generates before it can be advised on.
constexpr int kCalibrationTokens = 48;

struct AdviseArguments {
    std::string subject, memory, link;
    int run = 0, threads = 0;
    bool json = false;
};

/// A file that is gone again with the command.
class TemporarySession {
public:
    TemporarySession()
        : m_path(std::filesystem::temp_directory_path() / fmt::format("expertscope-advise-{}.esdb", getpid())) {}
    ~TemporarySession() {
        for (const char* ending : {"", "-wal", "-shm"}) {
            std::error_code ignored;
            std::filesystem::remove(m_path.string() + ending, ignored);
        }
    }
    TemporarySession(const TemporarySession&) = delete;
    TemporarySession& operator=(const TemporarySession&) = delete;
    const std::filesystem::path& path() const { return m_path; }

private:
    std::filesystem::path m_path;
};

/// Runs the bundled prompts on demand, over the disk or link that there is, so that there is a routing to replay.
void calibrate(const std::string& modelName, const std::string& link, const std::filesystem::path& session) {
    RunArguments arguments;
    arguments.model = modelName;
    arguments.promptFile = bundledPrompts().string();
    arguments.tokens = kCalibrationTokens;
    arguments.engine.policies = "on-demand";
    arguments.engine.budgets = "25%";
    arguments.engine.link = link;
    const LoadedModel model = loadModel(modelName);
    const std::vector<EngineVariant> variants = engineVariants(arguments.engine);
    const std::vector<GenerationRequest> requests = makeRequests(arguments, model);
    const auto progress = makeProgress("bar");
    StopSignal stop;
    SessionWriter writer(session);
    const ModelFacts facts = model.facts();
    const RunContext context{.model = model,
                             .facts = facts,
                             .requests = requests,
                             .record = {.norms = false},
                             .fidelity = false,
                             .group = "advise",
                             .machineJson = machineDescription(),
                             .progress = *progress,
                             .stop = stop,
                             .runs = 1};
    makeRun(context, {variants.front(), repeatCommand(arguments, variants.front()), 1, 0, {}},
            [&writer] { return &writer; });
    writer.close();
    if (stop.received())
        throw Error(ErrorKind::Interrupted, "The calibration was interrupted: nothing can be advised.");
}

bool isModel(const std::string& subject) { return subject == "demo" || std::filesystem::is_directory(subject); }

/// The run asked for, else the last that can be replayed with times; where no link is given, of those that moved
/// experts, or nothing would say what moving one costs.
RunId replayableRun(const SessionReader& reader, const AdviseArguments& arguments) {
    const auto suits = [&](const RunEntry& run) {
        const RunDescription& made = run.description;
        const bool moved = run.summary && run.summary->moved > Bytes(0);
        return made.record.routing && made.record.spans && made.exact && (moved || !arguments.link.empty());
    };
    return chosenRun(reader, arguments.run, suits,
                     "run of an exact policy with routing and spans that moved experts: record one under on-demand.")
        .id;
}

/// What the session's runs measured of the output of approximate policies; the worst run counts.
std::map<std::string, MeasuredFidelity> fidelityOf(const SessionReader& reader) {
    std::map<std::string, MeasuredFidelity> known;
    for (const RunEntry& run : reader.runs()) {
        if (!run.summary) continue;
        const auto json = nlohmann::json::parse(run.summary->fidelityJson, nullptr, false);
        if (!json.is_object() || !json.contains("perplexity")) continue;
        const MeasuredFidelity measured{json.value("perplexity", 0.0), json.value("resident_perplexity", 0.0)};
        const std::string policy = run.description.policy.substr(0, run.description.policy.find(':'));
        const auto [at, isNew] = known.emplace(policy, measured);
        if (!isNew && measured.rise() > at->second.rise()) at->second = measured;
    }
    return known;
}

/// What the memory has room for besides the weights that are always there, where the checkpoint can be asked.
Bytes expertBudget(const ModelFacts& model, Bytes memory, std::string& sentence) {
    std::error_code error;
    if (model.path.empty() || !std::filesystem::is_directory(model.path, error)) {
        sentence = fmt::format("The checkpoint is not at hand, so all of the {} are taken as room for experts.",
                               formatBytes(memory));
        return memory;
    }
    const Checkpoint checkpoint = Checkpoint::open(model.path);
    std::int64_t all = 0;
    for (const auto& file : checkpoint.tensors().files())
        all += static_cast<std::int64_t>(std::filesystem::file_size(file));
    const Bytes dense(all - checkpoint.totalExpertBytes().count());
    const Bytes budget = memory - dense;
    sentence =
        fmt::format("Of the {}, {} hold the weights that are always there and {} are left for experts ({} in all).",
                    formatBytes(memory), formatBytes(dense), formatBytes(std::max(budget, Bytes(0))),
                    formatBytes(model.totalExpertBytes));
    return budget;
}

int adviseOn(const AdviseArguments& arguments) {
    std::optional<TemporarySession> temporary;
    std::filesystem::path session = arguments.subject;
    if (isModel(arguments.subject)) {
        temporary.emplace();
        session = temporary->path();
        std::cerr << "expertscope: A checkpoint has no routing yet, so the bundled prompts are run on it first.\n";
        calibrate(arguments.subject, arguments.link, session);
    }
    const SessionReader reader(session);
    RecordedRun recorded = readRecordedRun(reader, replayableRun(reader, arguments));
    PreparedData prepared = calibratedTables(reader, recorded.entry.description);
    ReplayBench bench(std::move(recorded));
    if (!prepared.empty()) bench.setPrepared(std::move(prepared));
    const ModelFacts& model = bench.trace().model();

    AdviceReport report;
    report.bench = &bench;
    report.model = temporary ? arguments.subject : model.path.empty() ? "MODEL" : model.path;
    report.session = temporary ? "a calibration" : session.string();
    const Bytes memory = parseSize(arguments.memory, "--memory").of(model.totalExpertBytes);
    report.question.budget = expertBudget(model, memory, report.memory);
    if (!arguments.link.empty()) report.question.link = parseLink(arguments.link);
    report.question.fidelity = fidelityOf(reader);
    const int threads =
        arguments.threads > 0 ? arguments.threads : static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
    report.advice = advise(bench, report.question, threads);
    if (report.advice.choices.empty())
        throw FailedError(
            "No policy could be replayed over this run: record it with --record routing,spans,predictions.");
    if (arguments.json)
        printJson(adviceJson(report));
    else
        std::cout << adviceText(report);
    return 0;
}

}  // namespace

void addAdviseCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("advise", "Which policy and budget, for a memory and a link");
    const auto arguments = std::make_shared<AdviseArguments>();
    command->add_option("SUBJECT", arguments->subject, "A checkpoint folder, 'demo', or a session")
        ->required()
        ->type_name("MODEL|SESSION");
    command->add_option("--memory", arguments->memory, "What the model may take: 12GiB, or 50% of all expert bytes")
        ->required()
        ->type_name("SIZE");
    command->add_option("--link", arguments->link, "BANDWIDTH@LATENCY, as 25GB/s@10us [the link that the run had]");
    command->add_option("--run", arguments->run, "This run of the session [the last of an exact policy]");
    command->add_option("--threads", arguments->threads, "Replays at once [all CPUs]");
    command->add_flag("--json", arguments->json, "As one JSON object");
    command->callback([arguments, &action] { action = [arguments] { return adviseOn(*arguments); }; });
}

}  // namespace expertscope
