// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/run_command.h"

#include <iostream>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "app/cli/calibration.h"
#include "app/cli/deep_argument.h"
#include "app/cli/machine_description.h"
#include "app/cli/run_arguments.h"
#include "app/cli/run_job.h"
#include "app/cli/run_json.h"
#include "app/cli/run_text.h"
#include "engine/base/error.h"
#include "engine/offload/policy_registry.h"

namespace expertscope {
namespace {

/// Common to the runs of one command and of no other: the session clock and the process on it.
std::string newGroup() { return fmt::format("{:x}-{:x}", sessionNow().count(), getpid()); }

/// F.npy for the first run, F-2.npy for the second …
std::filesystem::path logitsFile(const std::string& file, int number) {
    if (file.empty() || number == 1) return file;
    std::filesystem::path path(file);
    const std::string name = fmt::format("{}-{}{}", path.stem().string(), number, path.extension().string());
    return path.replace_filename(name);
}

/// `resident` keeps every expert: a budget beside it would be misread as obeyed.
void tellIgnoredBudget(const std::vector<EngineVariant>& variants, const RunArguments& arguments) {
    if (!arguments.engine.budgetGiven) return;
    for (const EngineVariant& variant : variants) {
        if (variant.options.policy != "resident") continue;
        std::cerr
            << "expertscope: Note: the policy 'resident' keeps every expert on the device and ignores --budget.\n";
        return;
    }
}

/// Positions that the requests run if nothing stops them.
std::int64_t plannedPositions(const std::vector<GenerationRequest>& requests, std::int32_t context) {
    std::int64_t positions = plannedTokens(requests, context);
    for (const GenerationRequest& request : requests)
        positions += static_cast<std::int64_t>(request.promptIds.size()) - 1;
    return positions;
}

/// All runs of one command.
class RunCommand {
public:
    explicit RunCommand(const RunArguments& arguments)
        : m_arguments(arguments),
          m_variants(engineVariants(arguments.engine)),
          m_progress(makeProgress(arguments.progress)) {}

    int run();

private:
    void runAll();
    void calibrateFor(const RunContext& context);
    std::vector<RunPlan> plans() const;
    SessionWriter* openSession();
    int report() const;

    const RunArguments& m_arguments;
    std::vector<EngineVariant> m_variants;
    const std::unique_ptr<Progress> m_progress;
    StopSignal m_stop;
    std::vector<GenerationRequest> m_requests;
    std::unique_ptr<SessionWriter> m_writer;
    std::optional<Calibration> m_calibration;
    std::vector<RunOutcome> m_outcomes;
};

SessionWriter* RunCommand::openSession() {
    if (!m_writer && !m_arguments.out.empty()) m_writer = std::make_unique<SessionWriter>(m_arguments.out);
    return m_writer.get();
}

std::vector<RunPlan> RunCommand::plans() const {
    std::vector<RunPlan> plans;
    for (const EngineVariant& variant : m_variants) {
        for (int repeat = 0; repeat < m_arguments.repeat; ++repeat) {
            const int number = static_cast<int>(plans.size()) + 1;
            const bool calibrated = m_calibration && variant.options.prepared == m_calibration->prepared;
            plans.push_back({variant, repeatCommand(m_arguments, variant), number + (m_calibration ? 1 : 0), repeat,
                             logitsFile(m_arguments.logits, number), calibrated ? m_calibration->sentence() : ""});
        }
    }
    return plans;
}

/// Collects what policies need beforehand and was not given; the runs that lacked it go on with the result.
void RunCommand::calibrateFor(const RunContext& context) {
    m_calibration = calibrate(context, m_arguments, m_variants, [this] { return openSession(); });
    for (EngineVariant& variant : m_variants)
        if (!missingTables(variant.options.policy, variant.options.prepared.get()).empty())
            variant.options.prepared = m_calibration->prepared;
}

void RunCommand::runAll() {
    RecordSet record = parseRecordSet(m_arguments.record);
    std::optional<DeepCaptureOptions> deep = parseDeepCapture(m_arguments.record);
    // Without a session nobody looks at the records, so that the engine need not make them.
    if (m_arguments.out.empty()) {
        record = {.routing = false, .spans = false, .norms = false, .predictions = false};
        deep.reset();
    }
    const LoadedModel model = loadModel(m_arguments.model);
    checkVariants(m_variants, model.checkpoint);
    const ModelFacts facts = model.facts();
    m_requests = makeRequests(m_arguments, model);
    tellIgnoredBudget(m_variants, m_arguments);
    const bool calibrates = !missingTables(m_variants).empty();
    if (deep)
        if (const auto note = rawVectorsNote(*deep, model.checkpoint.config(),
                                             plannedPositions(m_requests, facts.context), std::ssize(plans())))
            std::cerr << "expertscope: Note: " << *note << '\n';
    const RunContext context{.model = model,
                             .facts = facts,
                             .requests = m_requests,
                             .record = record,
                             .fidelity = m_arguments.fidelity,
                             .group = newGroup(),
                             .machineJson = machineDescription(),
                             .progress = *m_progress,
                             .stop = m_stop,
                             .runs = static_cast<int>(plans().size()) + (calibrates ? 1 : 0),
                             .deep = deep,
                             .session = m_arguments.out};
    if (calibrates) calibrateFor(context);
    for (const RunPlan& plan : plans()) {
        if (m_stop.received()) break;
        m_outcomes.push_back(makeRun(context, plan, [this] { return openSession(); }));
    }
    if (m_writer) m_writer->close();
}

int RunCommand::report() const {
    if (m_arguments.json) {
        Json runs = Json::array();
        for (const RunOutcome& outcome : m_outcomes)
            runs.push_back(runJson(outcome, m_requests));
        const Json session = m_arguments.out.empty() ? Json(nullptr) : Json(m_arguments.out);
        Json summary = {{"session", session}, {"runs", std::move(runs)}, {"repeats", repeatsJson(m_outcomes)}};
        if (m_calibration)
            summary["calibration"] = {
                {"run_id", m_calibration->run.value() > 0 ? Json(m_calibration->run.value()) : Json(nullptr)},
                {"tables", m_calibration->tables},
                {"requests", m_calibration->requests},
                {"tokens", m_calibration->tokens}};
        printJson(summary);
    } else {
        if (m_calibration) std::cout << m_calibration->sentence() << '\n';
        for (const RunOutcome& outcome : m_outcomes)
            std::cout << runText(outcome, m_requests) << '\n';
        if (!m_arguments.out.empty()) std::cout << "session " << m_arguments.out << '\n';
    }
    if (!m_stop.received()) return 0;
    std::cout.flush();
    throw Error(ErrorKind::Interrupted,
                m_arguments.out.empty()
                    ? "The run was interrupted."
                    : fmt::format("The run was interrupted: what it made until then is in {}.", m_arguments.out));
}

int RunCommand::run() {
    try {
        runAll();
    } catch (const std::exception& error) {
        m_progress->failed(error.what());
        if (m_writer) m_writer.reset();
        throw;
    }
    return report();
}

}  // namespace

void addRunCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("run", "Generate with a policy and record a session");
    const auto arguments = std::make_shared<RunArguments>();
    arguments->addTo(*command);
    command->footer(
        "Lists are separated by commas; several policies, evictions and budgets make one run of each combination.");
    command->callback([arguments, &action] {
        action = [arguments] {
            arguments->check();
            return RunCommand(*arguments).run();
        };
    });
}

}  // namespace expertscope
