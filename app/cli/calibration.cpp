// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/calibration.h"

#include <algorithm>
#include <iostream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "app/cli/table_fits.h"
#include "app/resource_paths.h"
#include "engine/base/error.h"
#include "engine/offload/policy_registry.h"
#include "profiler/analysis/prepared_tables.h"
#include "profiler/analysis/run_trace.h"

namespace expertscope {
namespace {

constexpr int kTokens = 32;  ///< generated for each prompt

/// A session that is deleted with the object.
class PassingSession {
public:
    PassingSession()
        : m_file(std::filesystem::temp_directory_path() / fmt::format("expertscope-calibration-{}.esdb", getpid())) {
        remove();
        m_writer = std::make_unique<SessionWriter>(m_file);
    }
    ~PassingSession() {
        m_writer.reset();
        remove();
    }
    PassingSession(const PassingSession&) = delete;
    PassingSession& operator=(const PassingSession&) = delete;
    SessionWriter* writer() { return m_writer.get(); }
    const std::filesystem::path& file() const { return m_file; }

private:
    void remove() const {
        std::error_code ignored;
        for (const char* part : {"", "-wal", "-shm"})
            std::filesystem::remove(m_file.string() + part, ignored);
    }
    std::filesystem::path m_file;
    std::unique_ptr<SessionWriter> m_writer;
};

/// The bundled prompts, short, greedy, with nothing but the routing recorded.
RunArguments calibrationArguments(const RunArguments& arguments) {
    RunArguments wanted = arguments;
    wanted.prompt.clear();
    wanted.promptIds.clear();
    wanted.promptGiven = false;
    wanted.promptFile = bundledPrompts().string();
    wanted.tokens = kTokens;
    wanted.sampling = {};
    wanted.stopAtEos = false;
    wanted.record = "routing";
    wanted.fidelity = false;
    wanted.engine.prepared.clear();
    return wanted;
}

/// An exact policy at the largest budget that was asked for, so that it fits where the runs fit.
EngineVariant calibrationVariant(const std::vector<EngineVariant>& variants, const Checkpoint& checkpoint) {
    const auto budgetOf = [&](const EngineVariant& variant) {
        return variant.options.budget.of(checkpoint.totalExpertBytes());
    };
    EngineVariant variant = *std::ranges::max_element(variants, {}, budgetOf);
    variant.options.policy = "on-demand";
    variant.options.eviction = "lru";
    variant.options.link.reset();
    variant.options.prepared.reset();
    return variant;
}

/// Policies, once each, that fits have to be made for.
std::vector<std::string> policiesToFit(const std::vector<EngineVariant>& variants) {
    std::vector<std::string> policies;
    for (const EngineVariant& variant : variants) {
        const std::string& name = policyInfo(variant.options.policy).name;
        const bool lacks = !missingTables(variant.options.policy, variant.options.prepared.get()).empty();
        if (lacks && isFitted(name) && std::ranges::find(policies, name) == policies.end()) policies.push_back(name);
    }
    return policies;
}

}  // namespace

std::string Calibration::sentence() const {
    return fmt::format(
        "What the policy needs beforehand ({}) was not given by --prepared: it was collected by a calibration pass of "
        "{} tokens over the {} bundled prompts{}.",
        fmt::join(tables, ", "), tokens, requests,
        run.value() > 0 ? fmt::format(", run {} of this session", run.value()) : "");
}

std::vector<std::string> missingTables(const std::vector<EngineVariant>& variants) {
    std::vector<std::string> missing;
    for (const EngineVariant& variant : variants)
        for (const std::string& table : missingTables(variant.options.policy, variant.options.prepared.get()))
            if (std::ranges::find(missing, table) == missing.end()) missing.push_back(table);
    return missing;
}

Calibration calibrate(const RunContext& context, const RunArguments& arguments,
                      const std::vector<EngineVariant>& variants, const OpenSession& openSession) {
    Calibration calibration;
    calibration.tables = missingTables(variants);
    if (context.model.tokenizerOrNull() == nullptr)
        throw BadInputError(fmt::format(
            "What a policy needs beforehand ({}) was not given, and the bundled prompts cannot be run without a "
            "tokenizer: collect it with 'expertscope prepare' and give --prepared.",
            fmt::join(calibration.tables, ", ")));
    std::cerr << fmt::format(
        "expertscope: Note: {} was not given by --prepared: a calibration pass over the bundled "
        "prompts collects it first.\n",
        fmt::join(calibration.tables, ", "));

    const RunArguments wanted = calibrationArguments(arguments);
    std::vector<GenerationRequest> requests = makeRequests(wanted, context.model);
    for (GenerationRequest& request : requests)
        request.label = "calibration";
    const RunContext alone{.model = context.model,
                           .facts = context.facts,
                           .requests = requests,
                           .record = parseRecordSet(wanted.record),
                           .fidelity = false,
                           .group = context.group + kCalibrationSuffix,
                           .machineJson = context.machineJson,
                           .progress = context.progress,
                           .stop = context.stop,
                           .runs = context.runs};
    const EngineVariant variant = calibrationVariant(variants, context.model.checkpoint);
    std::unique_ptr<PassingSession> passing;
    SessionWriter* writer = openSession();
    if (writer == nullptr) {
        passing = std::make_unique<PassingSession>();
        writer = passing->writer();
    }
    const RunOutcome outcome = makeRun(
        alone, {.variant = variant, .command = repeatCommand(wanted, variant), .number = 1, .repeat = 0, .logits = {}},
        [writer] { return writer; });
    calibration.requests = outcome.results.size();
    calibration.tokens = outcome.summary.promptTokens + outcome.summary.generatedTokens;
    if (!passing) calibration.run = outcome.id;

    const SessionReader reader(passing ? passing->file() : std::filesystem::path(arguments.out));
    const RunTrace trace(reader, outcome.id);
    auto data = std::make_shared<PreparedData>(context.facts.fingerprint, context.facts.name);
    if (variants.front().options.prepared) data->merge(*variants.front().options.prepared);
    for (const std::string& table : calibration.tables)
        if (isCollected(table)) collectTable(table, viewOf(trace), outcome.description, outcome.id, *data);
    std::vector<std::vector<std::int32_t>> prompts;
    for (const GenerationRequest& request : requests)
        prompts.push_back(request.promptIds);
    for (const std::string& policy : policiesToFit(variants)) {
        if (context.stop.received()) break;
        data->merge(fitTables(policy, context.model, prompts, variant.options, [](const std::string& stage) {
                        std::cerr << "expertscope: " << stage << '\n';
                    }).data);
    }
    calibration.prepared = std::move(data);
    return calibration;
}

}  // namespace expertscope
