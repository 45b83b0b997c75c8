// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/perplexity_command.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>
#include <memory>
#include <numbers>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/engine_arguments.h"
#include "app/cli/fidelity.h"
#include "app/cli/logits_spool.h"
#include "app/cli/model_argument.h"
#include "app/cli/output.h"
#include "app/cli/perplexity_windows.h"
#include "app/cli/prompts.h"
#include "app/cli/pruning.h"
#include "app/cli/stop_signal.h"
#include "engine/base/error.h"

namespace expertscope {
namespace {

constexpr int kDefaultContext = 512;
/// Tokens that are generated to see how fast that goes.
constexpr std::size_t kDecoded = 64;
constexpr RecordSet kNothing{.routing = false, .spans = false, .norms = false, .predictions = false};

struct PerplexityArguments {
    EngineArguments engine;
    std::string model, file;
    int context = 0;
    int windows = 0;
    bool fidelity = false;
    bool json = false;
    std::string prune, scores, topKs, thresholds;
};

/// The model doing with less: what it is called, and how.
struct LessOfModel {
    std::string label;      ///< "prune reap:4"
    Checkpoint checkpoint;  ///< with another number of experts a token, maybe
    RoutingLimits limits{};
};

/// Counts how many experts ran for a token.
class ExpertCounter : public Observer {
public:
    void onSelections(std::span<const SelectionRecord> selections) override {
        for (const SelectionRecord& selection : selections) {
            m_ran += selection.action == SelectionAction::Dropped ? 0 : 1;
            m_rows += selection.slot == 0 ? 1 : 0;
        }
    }
    double perToken() const { return static_cast<double>(m_ran) / static_cast<double>(m_rows); }

private:
    std::int64_t m_ran = 0, m_rows = 0;
};

/// Scores a text window by window under one policy, and under `resident` beside it where fidelity is asked for.
class PerplexityJob {
public:
    /// `checkpoint` is `model`'s, or the same with less.
    PerplexityJob(const LoadedModel& model, const Checkpoint& checkpoint, const EngineOptions& options,
                  bool withFidelity)
        : m_vocabulary(static_cast<std::size_t>(model.checkpoint.config().vocabulary)),
          m_row(m_vocabulary),
          m_engine(checkpoint, model.tokenizerOrNull(), options, m_counter) {
        m_engine.start();
        if (!withFidelity && m_engine.describe().exact) return;
        EngineOptions resident = options;
        resident.policy = "resident";
        resident.limits = {};
        resident.record = kNothing;
        resident.budget = SizeSpec{.share = 1.0, .bytes = {}};
        resident.link.reset();
        m_resident.emplace(model.checkpoint, model.tokenizerOrNull(), resident, m_nobody);
        m_resident->start();
    }

    void score(const ScoredText& text, const ScoreWindow& window);
    RunDescription describe() const { return m_engine.describe(); }
    const LikelihoodSum& likelihood() const { return m_likelihood; }
    std::int64_t bytes() const { return m_bytes; }
    /// After finish().
    Json fidelityJson() const {
        if (!m_resident) return nullptr;
        Json fidelity = m_fidelity.result().toJson();
        fidelity.update(routingJson(m_routing));
        return fidelity;
    }
    /// Goes on from the first half of a window, so that finish() knows how fast single tokens are made.
    void generate(const ScoredText& text, const ScoreWindow& window) {
        GenerationRequest request;
        const auto half = text.ids.begin() + static_cast<std::ptrdiff_t>(window.first);
        request.promptIds.assign(half, half + static_cast<std::ptrdiff_t>(std::max<std::size_t>(1, window.length / 2)));
        request.tokens = static_cast<int>(std::clamp<std::size_t>(window.length / 2, 2, kDecoded));
        m_engine.generate(request);
    }
    void finish() {
        m_summary = m_engine.finish();
        m_routing = m_summary.routing;
        if (m_resident) m_resident->finish();
    }
    /// After finish().
    const RunSummary& summary() const { return m_summary; }
    double expertsPerToken() const { return m_counter.perToken(); }
    double bitsPerByte() const { return m_likelihood.nats() / std::numbers::ln2 / static_cast<double>(m_bytes); }

private:
    const std::size_t m_vocabulary;
    std::vector<float> m_row;
    Observer m_nobody;
    ExpertCounter m_counter;
    Engine m_engine;
    std::optional<Engine> m_resident;
    LikelihoodSum m_likelihood;
    FidelityMeter m_fidelity;
    RoutingChanges m_routing;
    RunSummary m_summary;
    std::int64_t m_bytes = 0;
};

void PerplexityJob::score(const ScoredText& text, const ScoreWindow& window) {
    const auto ids = std::span(text.ids).subspan(window.first, window.length);
    const auto nextOf = [&](int position) { return text.ids[window.first + static_cast<std::size_t>(position) + 1]; };
    const auto rowOf = [this](std::span<const float> logits, int i) {
        return logits.subspan(static_cast<std::size_t>(i) * m_vocabulary, m_vocabulary);
    };
    LogitsSpool spool(static_cast<std::int64_t>(m_vocabulary));
    m_engine.score(ids, [&](int first, int count, std::span<const float> logits) {
        for (int i = 0; i < count; ++i)
            m_likelihood.add(rowOf(logits, i), nextOf(first + i));
        if (m_resident) spool.append(logits);
    });
    for (std::size_t i = 1; i <= window.length; ++i)
        m_bytes += text.bytes[window.first + i];
    if (!m_resident) return;
    m_resident->score(ids, [&](int first, int count, std::span<const float> logits) {
        for (int i = 0; i < count; ++i) {
            spool.read(first + i, m_row);
            m_fidelity.add(m_row, rowOf(logits, i), nextOf(first + i));
        }
    });
}

std::size_t contextOf(const PerplexityArguments& arguments, const ModelConfig& config) {
    if (arguments.context < 0) throw UsageError("The --context must be at least 1.");
    if (arguments.context > config.context) {
        throw UsageError(fmt::format("The --context {} is longer than the model's context of {} tokens.",
                                     arguments.context, config.context));
    }
    return static_cast<std::size_t>(arguments.context > 0 ? arguments.context
                                                          : std::min(kDefaultContext, config.context));
}

EngineOptions onlyVariant(const EngineArguments& arguments) {
    const std::vector<EngineVariant> variants = engineVariants(arguments);
    if (variants.size() > 1) throw UsageError("'perplexity' takes one policy, one eviction and one budget.");
    EngineOptions options = variants.front().options;
    options.record = kNothing;
    options.countRouting = true;
    return options;
}

int positiveNumber(const std::string& text, const char* option) {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 1)
        throw UsageError(
            fmt::format("'{}' is no number for {}: give numbers from 1 on, separated by commas.", text, option));
    return number;
}

float threshold(const std::string& text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value > 0 && value <= 1))
        throw UsageError(fmt::format("'{}' is no --threshold: give weights above 0 and at most 1, as 0.05,0.1.", text));
    return static_cast<float>(value);
}

/// Everything that is to be compared with the whole model.
std::vector<LessOfModel> lessOf(const PerplexityArguments& arguments, const Checkpoint& checkpoint) {
    std::vector<LessOfModel> all;
    if (!arguments.prune.empty()) {
        const Pruner pruner(checkpoint, arguments.scores);
        for (const Pruning& pruning : parsePrunings(arguments.prune))
            all.push_back({"prune " + pruning.text, checkpoint, {.removed = pruner.removed(pruning)}});
    } else if (!arguments.scores.empty()) {
        throw UsageError("--scores goes with --prune: say by which of its scores experts are removed.");
    }
    if (!arguments.topKs.empty())
        for (const std::string& text : splitList(arguments.topKs, "--top-k"))
            all.push_back({"top-k " + text, checkpoint.choosing(positiveNumber(text, "--top-k"))});
    if (!arguments.thresholds.empty())
        for (const std::string& text : splitList(arguments.thresholds, "--threshold"))
            all.push_back({"threshold " + text, checkpoint, {.removed = {}, .leastWeight = threshold(text)}});
    return all;
}

/// What is scored, and how.
struct PerplexityWork {
    const LoadedModel& model;
    const EngineOptions& options;
    const ScoredText& text;
    const std::vector<ScoreWindow>& windows;
    bool fidelity = false;
    const StopSignal& stop;
};

std::unique_ptr<PerplexityJob> scored(const PerplexityWork& work, const LessOfModel* less, bool timed) {
    EngineOptions options = work.options;
    if (less) options.limits = less->limits;
    options.record.routing = timed;  // for the number of experts that ran
    auto job = std::make_unique<PerplexityJob>(work.model, less ? less->checkpoint : work.model.checkpoint, options,
                                               work.fidelity);
    for (const ScoreWindow& window : work.windows) {
        if (work.stop.received())
            throw Error(ErrorKind::Interrupted, "The measurement was interrupted and has no result.");
        job->score(work.text, window);
    }
    if (timed) job->generate(work.text, work.windows.front());
    job->finish();
    return job;
}

Json variantJson(const std::string& label, const LessOfModel* less, const PerplexityJob& job,
                 const PerplexityJob& whole) {
    const RunSummary& summary = job.summary();
    const double perplexity = job.likelihood().perplexity();
    return {{"label", label},
            {"removed_experts", less ? less->limits.removed.size() : 0},
            {"experts_per_token", finiteOrNull(job.expertsPerToken())},
            {"perplexity", finiteOrNull(perplexity)},
            {"perplexity_ratio", finiteOrNull(perplexity / whole.likelihood().perplexity())},
            {"bits_per_byte", finiteOrNull(job.bitsPerByte())},
            {"prefill_tokens_per_s", finiteOrNull(summary.prefillTokensPerSecond)},
            {"decode_tokens_per_s", finiteOrNull(summary.decodeTokensPerSecond)},
            {"accesses", summary.accesses},
            {"misses", summary.misses},
            {"fidelity", job.fidelityJson()}};
}

/// The whole model first.
Json variantsJson(const PerplexityWork& work, const std::vector<LessOfModel>& variants, const PerplexityJob& whole) {
    Json all = Json::array({variantJson("whole", nullptr, whole, whole)});
    for (const LessOfModel& less : variants)
        all.push_back(variantJson(less.label, &less, *scored(work, &less, true), whole));
    return all;
}

std::string number(const Json& value, int digits) {
    return value.is_null() ? "" : fmt::format("{:.{}f}", value.get<double>(), digits);
}

void printVariants(const Json& variants) {
    std::vector<std::vector<std::string>> rows{
        {"", "removed", "experts/token", "perplexity", "ratio", "bits/byte", "prefill tokens/s", "decode tokens/s"}};
    for (const Json& variant : variants)
        rows.push_back({variant["label"].get<std::string>(), std::to_string(variant["removed_experts"].get<int>()),
                        number(variant["experts_per_token"], 2), number(variant["perplexity"], 3),
                        number(variant["perplexity_ratio"], 3), number(variant["bits_per_byte"], 4),
                        number(variant["prefill_tokens_per_s"], 1), number(variant["decode_tokens_per_s"], 1)});
    std::cout << formatTable(rows);
}

int perplexity(const PerplexityArguments& arguments) {
    const EngineOptions options = onlyVariant(arguments.engine);
    if (arguments.windows < 0) throw UsageError("The number of --windows must be at least 1.");
    const LoadedModel model = loadModel(arguments.model);
    const std::size_t context = contextOf(arguments, model.checkpoint.config());
    const std::vector<LessOfModel> variants = lessOf(arguments, model.checkpoint);
    const Tokenizer& tokenizer = model.needTokenizer("perplexity of a text needs the model's own");
    const ScoredText text = encodeDocuments(tokenizer, readTextFile(arguments.file));
    const auto windows = scoreWindows(text.ids.size(), context, static_cast<std::size_t>(arguments.windows));
    if (windows.empty()) {
        throw BadInputError(fmt::format("The text {} has fewer than two tokens: give a longer one.", arguments.file));
    }

    const StopSignal stop;
    const PerplexityWork work{model, options, text, windows, arguments.fidelity, stop};
    const std::unique_ptr<PerplexityJob> job = scored(work, nullptr, !variants.empty());
    const Json less = variants.empty() ? Json() : variantsJson(work, variants, *job);
    const LikelihoodSum& sum = job->likelihood();
    const RunDescription run = job->describe();
    if (arguments.json) {
        Json result = {{"perplexity", finiteOrNull(sum.perplexity())},
                       {"bits_per_byte", finiteOrNull(job->bitsPerByte())},
                       {"tokens", sum.tokens()},
                       {"bytes", job->bytes()},
                       {"windows", windows.size()},
                       {"context", context},
                       {"policy", run.policy},
                       {"exact", run.exact},
                       {"eviction", run.eviction},
                       {"budget_bytes", run.budget.count()},
                       {"fidelity", job->fidelityJson()}};
        if (!less.is_null()) result["variants"] = less;
        printJson(result);
        return 0;
    }
    std::cout << fmt::format("perplexity {:.3f}, {:.4f} bits per byte ({} tokens, {} bytes, {} windows; {}, {})\n",
                             sum.perplexity(), job->bitsPerByte(), sum.tokens(), job->bytes(), windows.size(),
                             run.policy, run.exact ? "exact" : "approximate");
    if (const Json f = job->fidelityJson(); !f.is_null())
        std::cout << "fidelity against resident: " << f.dump() << '\n';
    if (!less.is_null()) printVariants(less);
    return 0;
}

}  // namespace

void addPerplexityCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("perplexity", "How well a model, run under a policy, predicts a text");
    const auto arguments = std::make_shared<PerplexityArguments>();
    command->add_option("--model", arguments->model, "A checkpoint folder, or 'demo'")->required()->type_name("MODEL");
    command->add_option("--file", arguments->file, "UTF-8 text; NUL bytes separate documents")
        ->required()
        ->type_name("FILE");
    command->add_option("--context", arguments->context,
                        "Predictions a window [512, or the model's context where shorter]");
    command->add_option("--windows", arguments->windows, "Score only the first so many windows [all]");
    arguments->engine.addTo(*command);
    command->add_flag("--fidelity", arguments->fidelity,
                      "Compare with the resident model (always done for an approximate policy)");
    const std::string less = "The same model with less, beside the whole one";
    command
        ->add_option(
            "--prune", arguments->prune,
            "Remove the N lowest experts of each layer (SCORE:N:global: of all), by the scores of 'analyze --what "
            "importance', 'weight-importance', or random")
        ->group(less)
        ->type_name("SCORE:N,...");
    command
        ->add_option("--scores", arguments->scores, "Where --prune finds the scores of a run: one recorded with deep")
        ->group(less)
        ->type_name("SESSION[:RUN]");
    command->add_option("--top-k", arguments->topKs, "Choose so many experts a token")->group(less)->type_name("K,...");
    command->add_option("--threshold", arguments->thresholds, "Drop choices of less weight, but never a token's best")
        ->group(less)
        ->type_name("WEIGHT,...");
    command->add_flag("--json", arguments->json, "As one JSON object");
    command->footer(
        "Windows of N+1 tokens share their boundary token; no BOS; a window's first token is not scored. Where the "
        "file has NUL\n"
        "bytes, each document is preceded by the end-of-text token, which counts as 0 bytes.");
    command->callback([arguments, &action] { action = [arguments] { return perplexity(*arguments); }; });
}

}  // namespace expertscope
