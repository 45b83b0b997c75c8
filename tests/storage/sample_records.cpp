// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/storage/sample_records.h"

#include <bit>
#include <limits>
#include <random>
#include <stdexcept>

#include <fmt/format.h>
#include <stdlib.h>

namespace expertscope {
namespace {

/// Values of a field's whole range, the smallest and largest and -1 among them.
class Values {
public:
    explicit Values(std::uint32_t seed) : m_engine(seed) {}

    template <class Int>
    Int any() {
        switch (m_engine() % 16) {
            case 0:
                return std::numeric_limits<Int>::min();
            case 1:
                return std::numeric_limits<Int>::max();
            case 2:
                return static_cast<Int>(-1);
            default:
                return static_cast<Int>(m_engine() % 100'000);
        }
    }
    /// Times as a run has them, seldom far off.
    std::int64_t time() { return m_time += static_cast<std::int64_t>(m_engine() % 5000); }
    int below(int limit) { return static_cast<int>(m_engine() % static_cast<unsigned>(limit)); }
    float real() {
        if (below(10) == 0) return std::numeric_limits<float>::quiet_NaN();
        return std::uniform_real_distribution<float>(-5, 5)(m_engine);
    }

private:
    std::mt19937 m_engine;
    std::int64_t m_time = 1'000'000'000'000;
};

ExpertRef anyExpert(Values& v) { return {LayerIndex(v.any<std::int32_t>()), ExpertId(v.any<std::int32_t>())}; }

std::string number(double value) {
    return value != value ? std::string("nan") : fmt::format("{:x}", std::bit_cast<std::uint64_t>(value));
}

/// Joins values with bars.
template <class... T>
std::string join(const T&... values) {
    std::string out;
    const auto add = [&](const auto& value) {
        using V = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_enum_v<V>) {
            out += std::to_string(static_cast<int>(value));
        } else if constexpr (std::is_floating_point_v<V>) {
            out += number(static_cast<double>(value));
        } else if constexpr (requires { value.count(); }) {
            out += std::to_string(value.count());
        } else if constexpr (requires { value.value(); }) {
            out += std::to_string(value.value());
        } else if constexpr (std::is_same_v<V, std::string>) {
            out += value;
        } else {
            out += std::to_string(value);
        }
        out += '|';
    };
    (add(values), ...);
    return out;
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "expertscope-test-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    m_path = pattern;
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(m_path, ignored);
}

RunDescription sampleDescription(int seed) {
    RunDescription run;
    run.model.name = fmt::format("demo \"{}\"", seed);
    run.model.family = "qwen3_moe";
    run.model.path = "/some/where/ünïcode";
    run.model.fingerprint = fmt::format("{:016x}", seed * 7919);
    run.model.layers = 8 + seed;
    run.model.experts = 32 + seed;
    run.model.topK = 4 + seed;
    run.model.hidden = 192 + seed;
    run.model.vocabulary = 4096 + seed;
    run.model.context = 2048 + seed;
    run.model.expertBytes = Bytes(110592 + seed);
    run.model.totalExpertBytes = Bytes(28311552 + seed);
    run.model.hasPreGates = seed % 2 == 1;
    if (seed % 3 == 1) run.model.layerExpertBytes = {Bytes(1000 + seed), Bytes(2), Bytes(std::int64_t{1} << 40)};
    run.model.gateDiversity = {0.25f, 0.1f * static_cast<float>(seed), 0.75f};
    run.policy = "on-demand";
    if (seed % 2 == 0)
        run.costs = {.transfer = Nanoseconds(5000 + seed),
                     .compute = Nanoseconds(700 + seed),
                     .computeToken = Nanoseconds(60 + seed),
                     .inPlace = Nanoseconds(1900 + seed),
                     .inPlaceToken = Nanoseconds(80 + seed)};
    run.eviction = "lru";
    run.exact = seed % 2 == 0;
    run.device = "cpu";
    run.budget = Bytes(1'000'000'007LL * seed);
    run.slots = 9 + seed;
    run.threads = 2 + seed;
    run.link = "25GB/s@10us";
    run.io = "direct";
    run.reference = seed % 2 == 1;
    run.record = {seed % 2 == 0, true, seed % 3 == 0, seed % 5 != 0};
    run.command = "expertscope run --prompt 'a; b'";
    run.machineJson = R"({"cpu": "x"})";
    run.startedUtc = "2026-01-02T03:04:05Z";
    run.start = Nanoseconds(123456789012345 + seed);
    run.group = "group";
    run.repeat = 3 + seed;
    run.plannedTokens = 160 + seed;
    return run;
}

RunSummary sampleSummary(int seed) {
    RunSummary s;
    std::int64_t next = 100 * seed;
    for (std::int64_t* field : {&s.promptTokens, &s.generatedTokens, &s.accesses, &s.hits, &s.hitsInFlight, &s.misses,
                                &s.spans, &s.selections, &s.dropped}) {
        *field = ++next;
    }
    for (double* field : {&s.prefillTokensPerSecond, &s.decodeTokensPerSecond, &s.ttftMs, &s.tpotP50Ms, &s.tpotP90Ms,
                          &s.tpotP99Ms, &s.totalMs, &s.computeMs, &s.waitMs, &s.otherMs}) {
        *field = static_cast<double>(++next) / 7;
    }
    for (Bytes* field :
         {&s.demand, &s.prefetch, &s.moved, &s.useful, &s.late, &s.wasted, &s.cancelled, &s.peakDevice}) {
        *field = Bytes(++next << 33);
    }
    s.stopped = "eos";
    s.fidelityJson = R"({"kl": 0})";
    return s;
}

RequestRecord sampleRequest(int i) {
    RequestRecord r;
    r.request = RequestIndex(i);
    r.label = fmt::format("label,{}", i);
    r.prompt = "line\n\"quoted\"";
    r.promptTokens = 10 + i;
    r.generatedTokens = 20 + i;
    r.firstToken = TokenIndex(30 + i);
    r.start = Nanoseconds(40 + i);
    r.firstTokenTime = Nanoseconds(50 + i);
    r.end = Nanoseconds(60 + i);
    r.stopped = "tokens";
    return r;
}

LaneInfo sampleLane(int i) { return {LaneId(i), static_cast<LaneRole>(i % 4), fmt::format("lane {}", i)}; }

DiagnosticRecord sampleDiagnostic(int i) {
    return {Nanoseconds(70 + i),         fmt::format("name_{}", i), static_cast<Severity>(i % 4), 80 + i,
            "A sentence, with a comma.", Nanoseconds(90 * (i % 2))};
}

RecordBatch sampleRecords(std::size_t count, std::uint32_t seed) {
    Values v(seed);
    RecordBatch batch;
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t start = v.time();
        batch.spans.push_back({Nanoseconds(start), Nanoseconds(start + v.below(1000)), v.any<std::int64_t>(),
                               StepIndex(v.any<std::int32_t>()), LayerIndex(v.below(9) - 1),
                               ExpertId(v.any<std::int32_t>()), LaneId(v.below(200)),
                               static_cast<SpanKind>(v.below(14))});
        batch.selections.push_back({StepIndex(v.any<std::int32_t>()), TokenIndex(static_cast<std::int32_t>(i / 32)),
                                    LayerIndex(v.below(8)), v.below(4), ExpertId(v.below(300)), v.real(), v.real(),
                                    static_cast<Outcome>(v.below(3)), v.below(2) == 1,
                                    static_cast<SelectionAction>(v.below(5))});
        batch.predictions.push_back({StepIndex(v.any<std::int32_t>()), TokenIndex(v.any<std::int32_t>()),
                                     LayerIndex(v.any<std::int32_t>()), LayerIndex(v.any<std::int32_t>()),
                                     ExpertId(v.any<std::int32_t>()), v.any<std::int32_t>(), v.real(),
                                     static_cast<PredictorKind>(v.below(4))});
        batch.residency.push_back({Nanoseconds(v.time()), StepIndex(v.any<std::int32_t>()), LayerIndex(v.below(8)),
                                   anyExpert(v), anyExpert(v), SlotIndex(v.any<std::int32_t>()),
                                   static_cast<ResidencyChange>(v.below(3)), static_cast<ResidencyReason>(v.below(5)),
                                   static_cast<double>(v.real()) / 3});
        batch.transfers.push_back({v.any<std::int64_t>(), anyExpert(v), SlotIndex(v.any<std::int32_t>()),
                                   Bytes(v.any<std::int64_t>()), Bytes(v.below(100)), Nanoseconds(v.time()),
                                   Nanoseconds(v.below(2) * v.time()), Nanoseconds(v.below(2) * v.time()),
                                   StepIndex(v.any<std::int32_t>()), LayerIndex(v.any<std::int32_t>()),
                                   StepIndex(v.any<std::int32_t>()), static_cast<TransferPurpose>(v.below(3)),
                                   static_cast<TransferFate>(v.below(5))});
        if (i % 30 == 0) {
            const auto token = static_cast<std::int32_t>(i / 30);
            batch.tokens.push_back({TokenIndex(token), RequestIndex(v.below(3)), v.any<std::int32_t>(),
                                    v.any<std::int32_t>(), static_cast<Phase>(v.below(2)),
                                    StepIndex(v.any<std::int32_t>()), Nanoseconds(v.time()), v.real(),
                                    i % 60 == 0 ? std::string("\xC3\x00\xFFz", 4) : std::string(" wörd")});
        }
    }
    return batch;
}

std::string text(const ModelFacts& m) {
    std::string out = join(m.name, m.family, m.path, m.fingerprint, m.layers, m.experts, m.topK, m.hidden, m.vocabulary,
                           m.context, m.expertBytes, m.totalExpertBytes, m.hasPreGates);
    for (const float value : m.gateDiversity) {
        out += join(value);
    }
    for (const Bytes size : m.layerExpertBytes) {
        out += join(size);
    }
    return out;
}

std::string text(const RunDescription& r) {
    return text(r.model) + join(r.policy, r.eviction, r.exact, r.device, r.budget, r.slots, r.threads, r.link, r.io,
                                r.reference, r.record.routing, r.record.spans, r.record.norms, r.record.predictions,
                                r.command, r.machineJson, r.startedUtc, r.start, r.group, r.repeat, r.plannedTokens,
                                r.costs.transfer, r.costs.compute, r.costs.computeToken, r.costs.inPlace,
                                r.costs.inPlaceToken);
}

std::string text(const RunSummary& s) {
    return join(s.promptTokens, s.generatedTokens, s.stopped, s.prefillTokensPerSecond, s.decodeTokensPerSecond,
                s.ttftMs, s.tpotP50Ms, s.tpotP90Ms, s.tpotP99Ms, s.accesses, s.hits, s.hitsInFlight, s.misses, s.demand,
                s.prefetch, s.moved, s.useful, s.late, s.wasted, s.cancelled, s.totalMs, s.computeMs, s.waitMs,
                s.otherMs, s.peakDevice, s.spans, s.selections, s.dropped, s.fidelityJson);
}

std::string text(const RequestRecord& r) {
    return join(r.request, r.label, r.prompt, r.promptTokens, r.generatedTokens, r.firstToken, r.start,
                r.firstTokenTime, r.end, r.stopped);
}

std::string text(const LaneInfo& r) { return join(r.lane, r.role, r.name); }

std::string text(const DiagnosticRecord& r) { return join(r.time, r.name, r.severity, r.count, r.sentence, r.end); }

std::string text(const SpanRecord& r) {
    return join(r.start, r.end, r.amount, r.step, r.layer, r.expert, r.lane, r.kind);
}

std::string text(const SelectionRecord& r) {
    return join(r.step, r.token, r.layer, r.slot, r.expert, r.weight, r.norm, r.outcome, r.firstUse, r.action);
}

std::string text(const PredictionRecord& r) {
    return join(r.step, r.token, r.fromLayer, r.targetLayer, r.expert, r.rank, r.score, r.predictor);
}

std::string text(const ResidencyRecord& r) {
    return join(r.time, r.step, r.layer, r.subject.layer, r.subject.expert, r.cause.layer, r.cause.expert, r.slot,
                r.change, r.reason, r.score);
}

std::string text(const TransferRecord& r) {
    return join(r.id, r.expert.layer, r.expert.expert, r.slot, r.bytes, r.moved, r.issued, r.started, r.finished,
                r.issuedStep, r.issuedLayer, r.usedStep, r.purpose, r.fate);
}

std::string text(const TokenRecord& r) {
    return join(r.token, r.request, r.position, r.id, r.phase, r.step, r.time, r.logProbability, r.bytes);
}

void addTo(RecordBatch& batch, const RecordBatch& more) {
    const auto add = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    add(batch.spans, more.spans);
    add(batch.selections, more.selections);
    add(batch.predictions, more.predictions);
    add(batch.residency, more.residency);
    add(batch.transfers, more.transfers);
    add(batch.tokens, more.tokens);
}

}  // namespace expertscope
