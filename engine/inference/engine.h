// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/deep_sink.h"
#include "engine/base/events.h"
#include "engine/base/run_facts.h"
#include "engine/inference/routing_limits.h"
#include "engine/inference/sampler.h"
#include "engine/model/checkpoint.h"
#include "engine/model/tokenizer.h"
#include "engine/offload/io_mode.h"

namespace expertscope {

class PreparedData;

/// How a model is run. Names are checked by Engine's constructor (UsageError names what is known).
struct EngineOptions {
    std::string policy = "resident";
    std::string eviction = "lru";
    SizeSpec budget{.share = 1.0, .bytes = {}};  ///< expert bytes on the device
    int threads = 0;                             ///< 0 = all CPUs of the process
    bool reference = false;                      ///< plain float32 loops
    IoMode io = IoMode::Direct;
    std::optional<LinkSpec> link;  ///< paces transfers
    RecordSet record;
    /// What was collected beforehand for policies that need it; null: nothing.
    std::shared_ptr<const PreparedData> prepared;
    /// What a policy that decides by costs goes by; measured on construction where they are not known.
    OffloadCosts costs{};
    bool countRouting = false;  ///< RunSummary::routing, where the policy is approximate
    /// Every expert of layers runs on the true inputs of tokens, beside the normal step, whose logits and residency it
    /// leaves alone; the run's times are no measure then.
    std::optional<DeepCaptureOptions> deep{};
    RoutingLimits limits{};  ///< the model does with less
};

/// Gets a layer's normalised router inputs [tokens, H] and its router logits [tokens, E], of positions in order.
using RouterTap =
    std::function<void(LayerIndex layer, int tokens, std::span<const float> inputs, std::span<const float> logits)>;

struct GenerationRequest {
    std::vector<std::int32_t> promptIds;  ///< not empty
    std::string label, prompt;            ///< for the record only
    int tokens = 64;                      ///< to generate
    bool stopAtEos = false;
    SamplingOptions sampling;
};

struct GenerationResult {
    std::vector<std::int32_t> generated;
    std::string text;     ///< of the generated tokens; empty without a tokenizer
    std::string stopped;  ///< tokens | eos | context | interrupted
    int promptTokens = 0;
    double ttftMs = 0;
    double prefillTokensPerSecond = 0, decodeTokensPerSecond = 0;
};

/// Gets the logits of positions as they are computed: [count, vocabulary], row-major, of positions first …
/// first+count−1 of the request.
using LogitsSink = std::function<void(int first, int count, std::span<const float> logits)>;

/// A loaded model that generates under an offload policy: one run. Not thread-safe, but for requestStop().
class Engine {
public:
    /// Loads the dense weights and prepares the arena. `tokenizer` may be null (ids only) and, like `checkpoint` and
    /// `observer`, must outlive the engine.
    /// Throws UsageError for an unknown policy, eviction or an impossible budget, BadInputError for a bad checkpoint.
    Engine(const Checkpoint& checkpoint, const Tokenizer* tokenizer, const EngineOptions& options, Observer& observer);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// What describeRun() in the session needs: policy, exactness, budget, slots, io, threads. Machine and command are
    /// the caller's to fill.
    RunDescription describe() const;
    /// Announces lanes, and preloads experts where the policy keeps all resident. Called once, before the first
    /// request, when the observer is ready to record.
    void start();
    /// Runs one request: the KV cache is cleared, the expert cache kept. When `sink` is set, the logits of every
    /// position that is run are computed and given to it. Throws FailedError for non-finite logits (naming layer and
    /// expert) and BadInputError for a prompt longer than the context or ids outside the vocabulary.
    GenerationResult generate(const GenerationRequest& request, const LogitsSink& sink = {});
    /// Teacher-forced: runs `ids` as one prefill with a clear KV cache and gives all logits to `sink`.
    void score(std::span<const std::int32_t> ids, const LogitsSink& sink);
    /// From now on `tap` is called for every layer of every step, on the compute thread. The logits are those by which
    /// the layer chose: its own gate's under a policy that leaves the routing alone.
    void tapRouters(RouterTap tap);
    /// From now on `sink`, which outlives the engine, is told what the deep capture gives; where none was asked for,
    /// nothing.
    void tellDeep(DeepSink& sink);
    /// Ends the run: outstanding prefetches are cancelled, the last records told. Gives the run's counts and times.
    RunSummary finish();
    /// What the deep capture gave, once the run is finished; null where none was asked for.
    const DeepAggregates* deepCapture() const;
    /// From any thread or signal handler: generation stops after the current token.
    void requestStop() noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace expertscope
