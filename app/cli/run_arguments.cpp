// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/run_arguments.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/deep_argument.h"
#include "app/cli/prompts.h"
#include "engine/base/error.h"

namespace expertscope {
namespace {

void addPromptOptions(CLI::App& command, RunArguments& arguments) {
    const std::string group = "What is generated";
    command
        .add_option_function<std::string>(
            "--prompt",
            [&arguments](const std::string& text) {
                arguments.prompt = text;
                arguments.promptGiven = true;
            },
            "A text; BOS is added where the tokenizer's configuration says so")
        ->group(group)
        ->type_name("TEXT");
    command
        .add_option(
            "--prompts", arguments.promptFile,
            "A file: one prompt a line, or JSON Lines with prompt and label; one run of these requests in order")
        ->group(group)
        ->type_name("FILE");
    command.add_option("--prompt-ids", arguments.promptIds, "Token ids: 84,104,…; no BOS is added")
        ->group(group)
        ->type_name("IDS");
    command.add_option("--tokens", arguments.tokens, "Tokens to generate a request")
        ->group(group)
        ->capture_default_str();
    command.add_option("--temperature", arguments.sampling.temperature, "0 is greedy")
        ->group(group)
        ->capture_default_str();
    command.add_option("--top-p", arguments.sampling.topP, "Nucleus of this probability")
        ->group(group)
        ->capture_default_str();
    command.add_option("--seed", arguments.sampling.seed, "Of the sampler")->group(group)->capture_default_str();
    command.add_flag("--stop-at-eos", arguments.stopAtEos, "Stop a request at the end-of-text token")->group(group);
    command.add_flag("--raw", arguments.raw, "No chat template (this build applies none anyway)")->group(group);
}

void addOutputOptions(CLI::App& command, RunArguments& arguments) {
    const std::string group = "What is kept and told";
    command.add_option("--out", arguments.out, "Session file; runs are appended where it exists [nothing is recorded]")
        ->group(group)
        ->type_name("S.esdb");
    command
        .add_option(
            "--record", arguments.record,
            "What is recorded: routing,spans,norms,predictions; and deep[:layers=0-3][:tokens=0-63][:raw]: what every "
            "expert makes of the true inputs (raw: the vectors too)")
        ->group(group)
        ->capture_default_str();
    command
        .add_flag("--fidelity", arguments.fidelity, "Compare every position's distribution with the resident model's")
        ->group(group);
    command.add_option("--repeat", arguments.repeat, "Runs of the same work, for intervals")
        ->group(group)
        ->capture_default_str();
    command
        .add_option(
            "--logits", arguments.logits,
            "Logits of every position that was run, float32 [positions, vocab]; several requests follow one another, "
            "several runs get -2, -3, … before the ending")
        ->group(group)
        ->type_name("F.npy");
    command.add_option("--progress", arguments.progress, "On standard error: bar, json or none")
        ->group(group)
        ->capture_default_str();
    command.add_flag("--json", arguments.json, "The summary as one JSON object")->group(group);
}

/// A word as a POSIX shell reads it back.
std::string shellWord(const std::string& word) {
    constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:=@%+";
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
    std::string quoted = "'";
    for (const char c : word)
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted + "'";
}

void checkFits(const GenerationRequest& request, const ModelConfig& config) {
    const std::string which = request.label.empty() ? "The prompt" : fmt::format("The prompt '{}'", request.label);
    if (request.promptIds.empty()) throw BadInputError(fmt::format("{} has no tokens: give at least one.", which));
    if (std::ssize(request.promptIds) > config.context) {
        throw BadInputError(fmt::format("{} has {} tokens but the model's context only {}: shorten it.", which,
                                        request.promptIds.size(), config.context));
    }
    for (const std::int32_t id : request.promptIds) {
        if (id >= 0 && id < config.vocabulary) continue;
        throw BadInputError(fmt::format("{} has the token id {}, outside the model's vocabulary 0…{}: correct it.",
                                        which, id, config.vocabulary - 1));
    }
}

}  // namespace

void RunArguments::addTo(CLI::App& command) {
    command.add_option("--model", model, "A checkpoint folder, or 'demo'")->required()->type_name("MODEL");
    addPromptOptions(command, *this);
    engine.addTo(command);
    addOutputOptions(command, *this);
}

void RunArguments::check() const {
    if ((promptGiven ? 1 : 0) + (promptFile.empty() ? 0 : 1) + (promptIds.empty() ? 0 : 1) != 1) {
        throw UsageError("A run needs exactly one of --prompt, --prompts and --prompt-ids.");
    }
    if (tokens < 1) throw UsageError("The number of --tokens must be at least 1.");
    if (repeat < 1) throw UsageError("The number of --repeat must be at least 1.");
    if (!(sampling.temperature >= 0)) throw UsageError("The --temperature must be 0 or more.");
    if (!(sampling.topP > 0 && sampling.topP <= 1)) throw UsageError("The --top-p must lie above 0 and at most at 1.");
}

RecordSet parseRecordSet(const std::string& list) {
    RecordSet record{.routing = false, .spans = false, .norms = false, .predictions = false};
    for (const std::string& item : recordItems(list)) {
        if (item == "routing" || parseDeepCapture(item)) {  // a deep capture is looked at beside the choices
            record.routing = true;
        } else if (item == "spans") {
            record.spans = true;
        } else if (item == "norms") {
            record.norms = true;
        } else if (item == "predictions") {
            record.predictions = true;
        } else {
            throw UsageError(
                fmt::format("This build cannot record '{}': use of routing, spans, norms, predictions, deep.", item));
        }
    }
    if (record.norms && !record.routing) {
        throw UsageError("To record norms, record routing too: a norm belongs to a recorded selection.");
    }
    return record;
}

std::vector<GenerationRequest> makeRequests(const RunArguments& arguments, const LoadedModel& model) {
    std::vector<Prompt> prompts;
    if (!arguments.promptIds.empty()) {
        prompts.push_back({{}, {}, parsePromptIds(arguments.promptIds)});
    } else if (arguments.promptGiven) {
        prompts.push_back({{}, arguments.prompt, {}});
    } else {
        prompts = readPromptFile(arguments.promptFile);
    }
    std::vector<GenerationRequest> requests;
    for (Prompt& prompt : prompts) {
        GenerationRequest request;
        if (arguments.promptIds.empty()) {
            prompt.ids = encodePrompt(model.needTokenizer("give token ids with --prompt-ids"), prompt.text);
        }
        request.promptIds = std::move(prompt.ids);
        request.label = prompt.label;
        request.prompt = prompt.text;
        request.tokens = arguments.tokens;
        request.stopAtEos = arguments.stopAtEos;
        request.sampling = arguments.sampling;
        checkFits(request, model.checkpoint.config());
        requests.push_back(std::move(request));
    }
    return requests;
}

std::string repeatCommand(const RunArguments& arguments, const EngineVariant& variant) {
    std::string command = "expertscope run";
    const auto add = [&command](const std::string& option, const std::string& value) {
        command += " " + option + " " + shellWord(value);
    };
    const RunArguments defaults;
    add("--model", arguments.model);
    if (arguments.promptGiven) add("--prompt", arguments.prompt);
    if (!arguments.promptFile.empty()) add("--prompts", arguments.promptFile);
    if (!arguments.promptIds.empty()) add("--prompt-ids", arguments.promptIds);
    add("--tokens", std::to_string(arguments.tokens));
    if (arguments.sampling.temperature > 0) {
        add("--temperature", fmt::format("{}", arguments.sampling.temperature));
        add("--top-p", fmt::format("{}", arguments.sampling.topP));
        add("--seed", std::to_string(arguments.sampling.seed));
    }
    if (arguments.stopAtEos) command += " --stop-at-eos";
    add("--policy", variant.options.policy);
    add("--eviction", variant.options.eviction);
    add("--budget", variant.budgetText);
    if (arguments.engine.threads > 0) add("--threads", std::to_string(arguments.engine.threads));
    if (arguments.engine.reference) command += " --reference";
    if (arguments.engine.io != defaults.engine.io) add("--io", arguments.engine.io);
    if (!arguments.engine.link.empty()) add("--link", arguments.engine.link);
    if (!arguments.engine.prepared.empty()) add("--prepared", arguments.engine.prepared);
    if (arguments.record != defaults.record) add("--record", arguments.record);
    if (arguments.fidelity) command += " --fidelity";
    if (!arguments.out.empty()) add("--out", arguments.out);
    return command;
}

}  // namespace expertscope
