// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/perplexity_command.h"

#include <algorithm>
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
#include "app/cli/stop_signal.h"
#include "engine/base/error.h"

namespace expertscope {
namespace {

constexpr int kDefaultContext = 512;
constexpr RecordSet kNothing{.routing = false, .spans = false, .norms = false, .predictions = false};

struct PerplexityArguments {
    EngineArguments engine;
    std::string model, file;
    int context = 0;
    int windows = 0;
    bool fidelity = false;
    bool json = false;
};

/// Scores a text window by window under one policy, and under `resident` beside it where fidelity is asked for.
class PerplexityJob {
public:
    PerplexityJob(const LoadedModel& model, const EngineOptions& options, bool withFidelity)
        : m_vocabulary(static_cast<std::size_t>(model.checkpoint.config().vocabulary)),
          m_row(m_vocabulary),
          m_engine(model.checkpoint, model.tokenizerOrNull(), options, m_nobody) {
        m_engine.start();
        if (!withFidelity && m_engine.describe().exact) return;
        EngineOptions resident = options;
        resident.policy = "resident";
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
    void finish() {
        m_routing = m_engine.finish().routing;
        if (m_resident) m_resident->finish();
    }

private:
    const std::size_t m_vocabulary;
    std::vector<float> m_row;
    Observer m_nobody;
    Engine m_engine;
    std::optional<Engine> m_resident;
    LikelihoodSum m_likelihood;
    FidelityMeter m_fidelity;
    RoutingChanges m_routing;
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

int perplexity(const PerplexityArguments& arguments) {
    const EngineOptions options = onlyVariant(arguments.engine);
    if (arguments.windows < 0) throw UsageError("The number of --windows must be at least 1.");
    const LoadedModel model = loadModel(arguments.model);
    const std::size_t context = contextOf(arguments, model.checkpoint.config());
    const Tokenizer& tokenizer = model.needTokenizer("perplexity of a text needs the model's own");
    const ScoredText text = encodeDocuments(tokenizer, readTextFile(arguments.file));
    const auto windows = scoreWindows(text.ids.size(), context, static_cast<std::size_t>(arguments.windows));
    if (windows.empty()) {
        throw BadInputError(fmt::format("The text {} has fewer than two tokens: give a longer one.", arguments.file));
    }

    const StopSignal stop;
    PerplexityJob job(model, options, arguments.fidelity);
    for (const ScoreWindow& window : windows) {
        if (stop.received()) throw Error(ErrorKind::Interrupted, "The measurement was interrupted and has no result.");
        job.score(text, window);
    }
    job.finish();
    const LikelihoodSum& sum = job.likelihood();
    const double bitsPerByte = sum.nats() / std::numbers::ln2 / static_cast<double>(job.bytes());
    const RunDescription run = job.describe();
    if (arguments.json) {
        printJson({{"perplexity", finiteOrNull(sum.perplexity())},
                   {"bits_per_byte", finiteOrNull(bitsPerByte)},
                   {"tokens", sum.tokens()},
                   {"bytes", job.bytes()},
                   {"windows", windows.size()},
                   {"context", context},
                   {"policy", run.policy},
                   {"exact", run.exact},
                   {"eviction", run.eviction},
                   {"budget_bytes", run.budget.count()},
                   {"fidelity", job.fidelityJson()}});
        return 0;
    }
    std::cout << fmt::format("perplexity {:.3f}, {:.4f} bits per byte ({} tokens, {} bytes, {} windows; {}, {})\n",
                             sum.perplexity(), bitsPerByte, sum.tokens(), job.bytes(), windows.size(), run.policy,
                             run.exact ? "exact" : "approximate");
    if (const Json f = job.fidelityJson(); !f.is_null()) std::cout << "fidelity against resident: " << f.dump() << '\n';
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
    command->add_flag("--json", arguments->json, "As one JSON object");
    command->footer(
        "Windows of N+1 tokens share their boundary token; no BOS; a window's first token is not scored. Where the "
        "file has NUL\n"
        "bytes, each document is preceded by the end-of-text token, which counts as 0 bytes.");
    command->callback([arguments, &action] { action = [arguments] { return perplexity(*arguments); }; });
}

}  // namespace expertscope
