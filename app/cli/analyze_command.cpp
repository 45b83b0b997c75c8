// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/analyze_command.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/cli/analysis_output.h"
#include "app/cli/analysis_progress.h"
#include "app/cli/engine_arguments.h"
#include "app/cli/run_choice.h"
#include "app/resource_paths.h"
#include "engine/base/error.h"
#include "engine/model/checkpoint.h"
#include "engine/model/safetensors_source.h"
#include "profiler/analysis/analysis_catalogue.h"
#include "profiler/analysis/deep/deep_session.h"
#include "profiler/analysis/deep/raw_capture.h"
#include "profiler/analysis/kept_tables.h"
#include "profiler/analysis/weights/weight_study.h"
#include "storage/deep_vectors.h"

namespace expertscope {
namespace {

struct AnalyzeArguments {
    std::string source, what, with, dense;
    int run = 0;
    bool json = false, csv = false, list = false;
};

/// The run asked for, else the last one with routing or counts.
RunEntry countableRun(const SessionReader& reader, int asked) {
    const auto suits = [&](const RunEntry& run) {
        return run.description.record.routing || !readExpertCounts(reader.file(), run.id).empty();
    };
    return chosenRun(reader, asked, suits, "run with routing: record one, or import a trace.");
}

RunRouting routingOf(const SessionReader& reader, int wanted) {
    return readRunRouting(reader, countableRun(reader, wanted).id);
}

/// A session's run, or, where --with is a number, another one of the same session.
RunRouting otherRouting(const AnalyzeArguments& arguments) {
    const bool number = arguments.with.find_first_not_of("0123456789") == std::string::npos;
    const auto [session, run] = sessionAndRun(number ? arguments.source + ":" + arguments.with : arguments.with);
    return routingOf(SessionReader(session), run);
}

/// The text of a run of `model` whose raw vectors were kept.
RecordedText recordedText(const std::string& with, const Checkpoint& model) {
    const auto [session, asked] = sessionAndRun(with);
    const SessionReader reader{std::filesystem::path(session)};
    const auto suits = [&](const RunEntry& entry) { return !deepVectors(reader.file(), entry.id).empty(); };
    const RunEntry run =
        chosenRun(reader, asked, suits,
                  "run with the vectors of a deep capture: make one with 'expertscope run --record deep:raw'.");
    if (run.description.model.fingerprint != model.facts().fingerprint)
        throw BadInputError(fmt::format("Run {} of {} is of the model '{}', not of '{}': name a run of the same model.",
                                        run.id.value(), session, run.description.model.name, model.name()));
    return {.name = fmt::format("run {} of {}", run.id.value(), session),
            .routerInputs = [file = reader.file(), id = run.id](LayerIndex layer) {
                return deepVectorValues(file, id, layer, "inputs");
            }};
}

bool isModel(const std::filesystem::path& path) {
    return std::filesystem::is_directory(path) || path.extension() == ".gguf";
}

/// Makes tables of one session or model. A table that the session has kept is taken from it; what is made of a run that
/// has ended is kept there. Routing is read only where something has to be computed.
class Analyzer {
public:
    explicit Analyzer(const AnalyzeArguments& arguments) : m_arguments(arguments) {
        m_path = resolveModel(arguments.source);
        if (!std::filesystem::exists(m_path))
            throw BadInputError(fmt::format("There is no file or folder {}: check its name.", m_path.string()));
        if (isModel(m_path)) {
            m_checkpoint.emplace(Checkpoint::open(m_path));
            std::optional<SafetensorsSource> dense;
            if (!arguments.dense.empty()) dense.emplace(arguments.dense);
            m_weights.emplace(*m_checkpoint, dense ? &*dense : nullptr);
            if (!arguments.with.empty()) m_weights->takeText(recordedText(arguments.with, *m_checkpoint));
            return;
        }
        if (!arguments.dense.empty())
            throw UsageError("--dense is compared with the weights of a model: give a model instead of a session.");
        m_session.emplace(m_path);
        m_run = countableRun(*m_session, arguments.run);
        // A table that compares depends on more than the run; a run that goes on would outgrow its table.
        m_keeps = arguments.with.empty() && m_run.state != RunState::Running;
    }

    AnalysisTable table(const AnalysisInfo& info, const std::string& text) {
        const bool keeps = m_keeps && info.source == AnalysisSource::Routing;
        if (keeps)
            if (auto kept = keptTable(m_path, subjectOf(m_run.id), info, text)) return std::move(*kept);
        if (m_session && info.source == AnalysisSource::Deep && !m_deep) {
            m_deep = readDeepCapture(m_path, m_run.id);
            m_raw.emplace(m_path, m_run.id);
        }
        AnalysisTable made = runAnalysis(info, text, input());
        throwIfStopped(m_stop);
        if (!keeps) return made;
        try {
            keepTable(m_path, subjectOf(m_run.id), info, text, made);
        } catch (const FailedError& error) {
            std::cerr << "expertscope: The result is not kept in the session. " << error.what() << '\n';
            m_keeps = false;
        }
        return made;
    }

private:
    AnalysisInput input() {
        if (m_session && !m_routing) {
            m_routing = readRunRouting(*m_session, m_run.id);
            if (!m_arguments.with.empty()) m_other = otherRouting(m_arguments);
        }
        return {.routing = m_routing ? &*m_routing : nullptr,
                .other = m_other ? &*m_other : nullptr,
                .checkpoint = m_checkpoint ? &*m_checkpoint : nullptr,
                .weights = m_weights ? &*m_weights : nullptr,
                .deep = m_deep ? &*m_deep : nullptr,
                .raw = m_raw ? &*m_raw : nullptr,
                .progress = analysisProgress(m_stop)};
    }

    const AnalyzeArguments& m_arguments;
    const StopSignal m_stop;
    std::filesystem::path m_path;
    std::optional<SessionReader> m_session;
    std::optional<Checkpoint> m_checkpoint;
    std::optional<WeightStudy> m_weights;
    RunEntry m_run;
    std::optional<RunRouting> m_routing, m_other;
    std::optional<DeepAggregates> m_deep;
    std::optional<RawCapture> m_raw;
    bool m_keeps = false;
};

int analyze(const AnalyzeArguments& arguments) {
    const std::vector<AnalysisInfo>& catalogue = analysisCatalogue();
    if (arguments.list) {
        arguments.json ? printAnalysesJson(catalogue) : printAnalysesText(catalogue);
        return 0;
    }
    if (arguments.source.empty())
        throw UsageError("analyze needs a session or a model: name one, or list the analyses with --list.");
    if (arguments.what.empty()) throw UsageError("analyze needs --what: name analyses, or list them with --list.");
    const std::vector<std::string> wanted = splitList(arguments.what, "--what");
    for (const std::string& text : wanted)
        analysisInfo(catalogue, text);
    if (arguments.json && arguments.csv) throw UsageError("--json and --csv exclude each other: give one of them.");
    if (arguments.csv && wanted.size() > 1)
        throw UsageError("--csv gives one table: name one analysis with --what, or take --json.");
    Analyzer analyzer(arguments);
    std::vector<NamedTable> tables;
    for (const std::string& text : wanted)
        tables.push_back({text, analyzer.table(analysisInfo(catalogue, text), text)});
    if (arguments.json)
        printTablesJson(tables);
    else if (arguments.csv)
        printTableCsv(tables.front().table);
    else
        printTablesText(tables);
    return 0;
}

}  // namespace

void addAnalyzeCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("analyze", "The analyses of a session or a model, by name, as tables");
    const auto arguments = std::make_shared<AnalyzeArguments>();
    command->add_option("SESSION|MODEL", arguments->source, "A session file; a checkpoint folder, or 'demo'");
    command
        ->add_option("--what", arguments->what,
                     "Analyses, comma separated, each with parameters after colons: balance:phase=decode,overlap")
        ->type_name("NAMES");
    command->add_option("--run", arguments->run, "This run of the session [the last with routing]");
    command
        ->add_option("--with", arguments->with,
                     "The second run of an analysis that compares two; of a model: a run recorded with deep:raw, whose "
                     "tokens minimum-capacity takes")
        ->type_name("RUN|SESSION[:RUN]");
    command
        ->add_option("--dense", arguments->dense,
                     "A dense model's folder: its FFNs are compared with the experts of the same layers, as F")
        ->type_name("FOLDER");
    command->add_flag("--json", arguments->json, "As one JSON object");
    command->add_flag("--csv", arguments->csv, "One analysis as CSV; what was counted goes to standard error");
    command->add_flag("--list", arguments->list, "The analyses that there are");
    command->callback([arguments, &action] { action = [arguments] { return analyze(*arguments); }; });
}

}  // namespace expertscope
