// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "engine/base/annotation.h"
#include "engine/base/error.h"
#include "engine/inference/cost_measurement.h"
#include "engine/inference/forward.h"
#include "engine/offload/policy_registry.h"

namespace expertscope {
namespace {

/// Positions of one prefill step at most. Never depends on the budget: a policy's logits must not.
constexpr int kPrefillChunk = 512;
/// Positions whose logits are computed at once when all are wanted.
constexpr int kLogitsChunk = 64;

double milliseconds(Nanoseconds time) { return static_cast<double>(time.count()) * 1e-6; }
double perSecond(std::int64_t count, Nanoseconds time) {
    return time.count() > 0 ? static_cast<double>(count) * 1e9 / static_cast<double>(time.count()) : 0;
}

/// q-quantile by nearest rank; sorts `values`.
double quantile(std::vector<double>& values, double q) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
    return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

/// Of each layer; nothing where no decode step was run.
std::vector<BlockLatency> latencies(std::vector<std::vector<double>> blockMs) {
    std::vector<BlockLatency> latencies;
    for (std::vector<double>& times : blockMs) {
        if (times.empty()) return {};
        const double sum = std::reduce(times.begin(), times.end());
        latencies.push_back({.meanMs = sum / static_cast<double>(times.size()),
                             .p50Ms = quantile(times, 0.50),
                             .p90Ms = quantile(times, 0.90),
                             .p99Ms = quantile(times, 0.99)});
    }
    return latencies;
}

/// The options with the costs that the policy decides by, or that a replay needs to know how long it computes in place.
EngineOptions withCosts(EngineOptions options, const Checkpoint& checkpoint, const Kernels& kernels) {
    if (!policyInfo(options.policy).needsCosts && !makePolicy(options.policy)->computesInPlace())
        options.costs = {};
    else if (!options.costs.known())
        options.costs = measureCosts(checkpoint, kernels, options.io, options.link);
    return options;
}

DiagnosticRecord deepDiagnostic(const DeepCapture& deep) {
    const DeepCaptureOptions& taken = deep.result().options;
    const bool all = taken.lastToken == DeepCaptureOptions{}.lastToken;
    const std::string tokens =
        all ? fmt::format("the tokens from {} on", taken.firstToken.value())
            : fmt::format("the tokens {} to {}", taken.firstToken.value(), taken.lastToken.value());
    const char* const raw = taken.raw ? " Every vector is kept in the session." : "";
    return {.time = sessionNow(),
            .name = "deep_capture",
            .severity = Severity::Warning,
            .sentence =
                fmt::format("Every expert of the layers {} to {} ran on {} beside the normal step: times and "
                            "speeds of this run are not representative, and it took {:.1f} MiB beside the budget.{}",
                            taken.firstLayer.value(), taken.lastLayer.value(), tokens,
                            static_cast<double>(deep.memory().count()) / (1 << 20), raw)};
}

ExpertCacheOptions cacheOptions(const EngineOptions& options) {
    return {.policy = options.policy,
            .eviction = options.eviction,
            .budget = options.budget,
            .io = options.io,
            .link = options.link,
            .record = options.record,
            .costs = options.costs,
            .prepared = options.prepared.get(),
            .countRouting = options.countRouting};
}

}  // namespace

struct Engine::Impl {
    Impl(const Checkpoint& model, const Tokenizer* words, const EngineOptions& wanted, Observer& tell)
        : checkpoint(model),
          tokenizer(words),
          observer(tell),
          pool(wanted.threads),
          math(wanted.reference ? Kernels::reference() : Kernels::vectorised(), pool),
          options(withCosts(wanted, model, math.kernels())),
          experts(model, cacheOptions(options), tell),
          forward(model, math, experts, wanted.record, tell, std::min(kPrefillChunk, model.config().context)),
          logits(static_cast<std::size_t>(kLogitsChunk) * static_cast<std::size_t>(model.config().vocabulary)),
          probabilities(static_cast<std::size_t>(model.config().vocabulary)) {
        listenForRanges();
        forward.limit(options.limits);
        if (options.deep) forward.capture(deep.emplace(model, math, *options.deep));
    }

    void checkIds(std::span<const std::int32_t> ids) const;
    std::span<float> prefill(std::span<const std::int32_t> ids, const LogitsSink& sink);
    std::span<float> decode(std::int32_t id, int position, const LogitsSink& sink);
    std::span<float> lastLogits();
    void runStep(Phase phase, std::span<const std::int32_t> ids, int position);
    void tellToken(std::int32_t id, int position, Phase phase, float logProb);
    Observer* spanObserver() const { return options.record.spans ? &observer : nullptr; }

    const Checkpoint& checkpoint;
    const Tokenizer* tokenizer;
    Observer& observer;
    ThreadPool pool;
    ParallelMath math;
    EngineOptions options;
    ExpertCache experts;
    Forward forward;
    std::optional<DeepCapture> deep;
    std::vector<float> logits;         ///< [kLogitsChunk, V]
    std::vector<float> probabilities;  ///< [V], scratch

    std::atomic<bool> stop{false};
    StepIndex nextStep;
    TokenIndex nextToken;  ///< of the next token that is told
    TokenIndex stepToken;  ///< of the next position that is run
    RequestIndex request{-1};
    RunSummary summary;
    std::vector<double> tokenMs;  ///< time of each decoded token
    Nanoseconds total, prefillTime, decodeTime;
    std::int64_t decoded = 0;
};

Engine::Engine(const Checkpoint& checkpoint, const Tokenizer* tokenizer, const EngineOptions& options,
               Observer& observer)
    : m_impl(std::make_unique<Impl>(checkpoint, tokenizer, options, observer)) {}

Engine::~Engine() = default;

RunDescription Engine::describe() const {
    const Impl& self = *m_impl;
    RunDescription run;
    run.model = self.checkpoint.facts();
    run.policy = self.options.policy;
    run.eviction = evictionUnder(self.options.policy, self.options.eviction);
    run.exact = self.experts.policy().exact;
    run.budget = self.experts.budget();
    run.slots = self.experts.shape().slots;
    run.threads = self.pool.threads();
    run.link = self.options.link ? self.options.link->text : "";
    run.io = self.experts.io() == IoMode::Direct ? "direct" : "buffered";
    run.reference = self.options.reference;
    run.record = self.options.record;
    run.costs = self.options.costs;
    return run;
}

void Engine::start() {
    Impl& self = *m_impl;
    self.observer.onLane({LaneId(0), LaneRole::Compute, "compute"});
    for (int worker = 1; worker < self.pool.threads(); ++worker)
        self.observer.onLane({LaneId(worker), LaneRole::Worker, fmt::format("worker {}", worker)});
    self.forward.start();
    self.experts.start();
    if (self.deep) self.observer.onDiagnostic(deepDiagnostic(*self.deep));
}

void Engine::tapRouters(RouterTap tap) { m_impl->forward.tap(std::move(tap)); }

void Engine::tellDeep(DeepSink& sink) {
    if (m_impl->deep) m_impl->deep->tell(sink);
}

const DeepAggregates* Engine::deepCapture() const { return m_impl->deep ? &m_impl->deep->result() : nullptr; }

void Engine::requestStop() noexcept { m_impl->stop.store(true); }

GenerationResult Engine::generate(const GenerationRequest& request, const LogitsSink& sink) {
    Impl& self = *m_impl;
    const int prompt = static_cast<int>(request.promptIds.size());
    self.checkIds(request.promptIds);
    // The last generated token is not run, so one more than fits the context can be made.
    const int room = self.checkpoint.config().context - prompt + 1;
    const int most = std::min(request.tokens, room);
    self.forward.reserve(prompt + std::max(most, 0));
    self.tokenMs.reserve(self.tokenMs.size() + static_cast<std::size_t>(std::max(most, 0)));
    Sampler sampler(request.sampling, self.checkpoint.config().vocabulary);

    ++self.request;
    self.experts.beginRequest();
    self.stepToken = self.nextToken;
    RequestRecord record;
    record.request = self.request;
    record.label = request.label;
    record.prompt = request.prompt;
    record.promptTokens = prompt;
    record.firstToken = self.nextToken;
    record.start = sessionNow();
    self.observer.onRequest(record);
    GenerationResult result;
    result.stopped = request.tokens > room ? "context" : "tokens";
    result.promptTokens = prompt;
    result.generated.reserve(static_cast<std::size_t>(std::max(most, 0)));

    std::span<float> logits = self.prefill(request.promptIds, sink);
    Nanoseconds last = sessionNow();
    self.prefillTime += last - record.start;
    result.prefillTokensPerSecond = perSecond(prompt, last - record.start);
    self.summary.promptTokens += prompt;
    while (static_cast<int>(result.generated.size()) < most) {
        if (!result.generated.empty())
            logits = self.decode(result.generated.back(), prompt + static_cast<int>(result.generated.size()) - 1, sink);
        SpanAnnotation sampling({.start = sessionNow(),
                                 .end = {},
                                 .amount = 1,
                                 .step = StepIndex(self.nextStep.value() - 1),
                                 .lane = LaneId(0),
                                 .kind = SpanKind::Sample},
                                self.nextToken);
        const std::int32_t id = sampler.choose(logits);
        const float logProb = logProbability(self.math.kernels(), logits, id, self.probabilities);
        if (!std::isfinite(logProb))
            throw FailedError(
                fmt::format("The logits of '{}' are not finite numbers though every layer's output is: "
                            "its output head is damaged; fetch the checkpoint again.",
                            self.checkpoint.name()));
        const Nanoseconds now = sessionNow();
        sampling.end(now, self.spanObserver());
        if (result.generated.empty())
            record.firstTokenTime = now;
        else
            self.tokenMs.push_back(milliseconds(now - last));
        last = now;
        result.generated.push_back(id);
        self.tellToken(id, prompt + static_cast<int>(result.generated.size()) - 1, Phase::Decode, logProb);
        if (request.stopAtEos && id == self.checkpoint.config().eosId) {
            result.stopped = "eos";
            break;
        }
        if (self.stop.load()) {
            result.stopped = "interrupted";
            break;
        }
    }

    self.forward.tellShadows();
    const auto made = static_cast<std::int64_t>(result.generated.size());
    if (self.tokenizer) result.text = self.tokenizer->decode(result.generated);
    if (made > 0) {
        result.ttftMs = milliseconds(record.firstTokenTime - record.start);
        result.decodeTokensPerSecond = perSecond(made - 1, last - record.firstTokenTime);
        self.decodeTime += last - record.firstTokenTime;
        self.decoded += made - 1;
        if (self.summary.ttftMs == 0) self.summary.ttftMs = result.ttftMs;
    }
    self.summary.generatedTokens += made;
    self.summary.stopped = result.stopped;
    record.generatedTokens = static_cast<std::int32_t>(made);
    record.stopped = result.stopped;
    record.end = sessionNow();
    self.total += record.end - record.start;
    self.observer.onRequest(record);
    self.observer.onCaughtUp();
    return result;
}

void Engine::score(std::span<const std::int32_t> ids, const LogitsSink& sink) {
    Impl& self = *m_impl;
    self.checkIds(ids);
    self.forward.reserve(static_cast<int>(ids.size()));
    self.stepToken = self.nextToken;
    ++self.request;
    self.experts.beginRequest();
    const Nanoseconds began = sessionNow();
    self.prefill(ids, sink);
    self.total += sessionNow() - began;
    self.prefillTime += sessionNow() - began;
    self.summary.promptTokens += static_cast<std::int64_t>(ids.size());
}

RunSummary Engine::finish() {
    Impl& self = *m_impl;
    self.experts.finish();
    if (self.deep) self.deep->finish();
    RunSummary& summary = self.summary;
    self.experts.summarize(summary);
    summary.routing = self.forward.routingChanges();
    summary.blocks = latencies(self.forward.blockMs());
    summary.prefillTokensPerSecond = perSecond(summary.promptTokens, self.prefillTime);
    summary.decodeTokensPerSecond = perSecond(self.decoded, self.decodeTime);
    summary.tpotP50Ms = quantile(self.tokenMs, 0.50);
    summary.tpotP90Ms = quantile(self.tokenMs, 0.90);
    summary.tpotP99Ms = quantile(self.tokenMs, 0.99);
    summary.totalMs = milliseconds(self.total);
    summary.computeMs = milliseconds(self.forward.computed());
    summary.waitMs = milliseconds(self.experts.waited() + self.forward.waitedInPlace());
    summary.otherMs = summary.totalMs - summary.computeMs - summary.waitMs;
    return summary;
}

void Engine::Impl::checkIds(std::span<const std::int32_t> ids) const {
    const ModelConfig& config = checkpoint.config();
    if (ids.empty()) throw BadInputError("The prompt is empty: give at least one token.");
    if (static_cast<std::int64_t>(ids.size()) > config.context)
        throw BadInputError(fmt::format("The prompt has {} tokens and the context of '{}' holds {}: shorten it.",
                                        ids.size(), checkpoint.name(), config.context));
    for (const std::int32_t id : ids)
        if (id < 0 || id >= config.vocabulary)
            throw BadInputError(fmt::format("Token {} is not in the vocabulary of '{}', which has the ids 0 to {}.", id,
                                            checkpoint.name(), config.vocabulary - 1));
}

/// Runs a prompt from position 0; gives the logits of its last position.
std::span<float> Engine::Impl::prefill(std::span<const std::int32_t> ids, const LogitsSink& sink) {
    for (std::size_t i = 0; i < ids.size(); ++i)
        tellToken(ids[i], static_cast<int>(i), Phase::Prefill, std::numeric_limits<float>::quiet_NaN());
    std::span<float> last;
    for (std::size_t begin = 0; begin < ids.size(); begin += static_cast<std::size_t>(forward.maxTokens())) {
        const auto chunk =
            ids.subspan(begin, std::min(ids.size() - begin, static_cast<std::size_t>(forward.maxTokens())));
        const int count = static_cast<int>(chunk.size());
        runStep(Phase::Prefill, chunk, static_cast<int>(begin));
        const bool wanted = begin + chunk.size() == ids.size();
        for (int first = sink ? 0 : wanted ? count - 1 : count; first < count; first += kLogitsChunk) {
            const int rows = std::min(kLogitsChunk, count - first);
            forward.logits(first, rows, logits.data());
            const auto width = static_cast<std::size_t>(checkpoint.config().vocabulary);
            if (sink)
                sink(static_cast<int>(begin) + first, rows, {logits.data(), static_cast<std::size_t>(rows) * width});
            last = {logits.data() + static_cast<std::size_t>(rows - 1) * width, width};
        }
    }
    return last;
}

std::span<float> Engine::Impl::decode(std::int32_t id, int position, const LogitsSink& sink) {
    runStep(Phase::Decode, {&id, 1}, position);
    const std::span<float> last{logits.data(), static_cast<std::size_t>(checkpoint.config().vocabulary)};
    SpanAnnotation head({.start = sessionNow(),
                         .end = {},
                         .amount = 1,
                         .step = StepIndex(nextStep.value() - 1),
                         .lane = LaneId(0),
                         .kind = SpanKind::Head});
    forward.logits(0, 1, last.data());
    head.end(sessionNow(), spanObserver());
    if (sink) sink(position, 1, last);
    return last;
}

void Engine::Impl::runStep(Phase phase, std::span<const std::int32_t> ids, int position) {
    const StepInput input{
        .step = nextStep, .phase = phase, .firstToken = stepToken, .firstPosition = position, .ids = ids};
    SpanAnnotation step({.start = sessionNow(),
                         .end = {},
                         .amount = static_cast<std::int64_t>(ids.size()),
                         .step = nextStep,
                         .lane = LaneId(0),
                         .kind = SpanKind::Step},
                        stepToken);
    forward.run(input);
    step.end(sessionNow(), spanObserver());
    if (deep) deep->stepEnded();
    ++nextStep;
    stepToken = TokenIndex(stepToken.value() + static_cast<std::int32_t>(ids.size()));
}

void Engine::Impl::tellToken(std::int32_t id, int position, Phase phase, float logProb) {
    TokenRecord record;
    record.token = nextToken;
    record.request = request;
    record.position = position;
    record.id = id;
    record.phase = phase;
    record.step = phase == Phase::Prefill ? nextStep : StepIndex(nextStep.value() - 1);
    record.time = sessionNow();
    record.logProbability = logProb;
    record.bytes = tokenizer ? std::string(tokenizer->bytes(id)) : fmt::format("[{}]", id);
    observer.onToken(record);
    ++nextToken;
}

}  // namespace expertscope
