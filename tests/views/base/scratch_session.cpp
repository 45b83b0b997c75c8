// SPDX-License-Identifier: GPL-3.0-or-later
#include "scratch_session.h"

#include <algorithm>
#include <map>

namespace expertscope {

RunDescription ScratchSession::description() {
    RunDescription run;
    run.model.name = "tiny";
    run.model.family = "qwen3_moe";
    run.model.layers = 2;
    run.model.experts = 4;
    run.model.topK = 2;
    run.model.expertBytes = Bytes(1000);
    run.model.totalExpertBytes = Bytes(8000);
    run.policy = "on-demand";
    run.eviction = "lru";
    run.io = "direct";
    run.budget = Bytes(2000);
    run.slots = 2;
    run.threads = 2;
    run.start = kStart;
    return run;
}

ScratchSession::ScratchSession(Empty) : m_writer(std::make_unique<SessionWriter>(file().toStdString())) {}

ScratchSession::ScratchSession() : ScratchSession(Empty{}) {
    m_run = m_writer->beginRun(description());
    m_writer->append(LaneInfo{LaneId(0), LaneRole::Compute, "compute"});
    m_writer->append(LaneInfo{LaneId(1), LaneRole::Worker, "worker 1"});
    m_writer->append(LaneInfo{LaneId(100), LaneRole::Transfer, "transfer"});
    m_writer->commit();
}

QString ScratchSession::picture(const QString& name) const {
    const QString kept = qEnvironmentVariable("EXPERTSCOPE_TEST_PICTURES");
    return kept.isEmpty() ? m_folder.filePath(name) : kept + QChar('/') + name;
}

void ScratchSession::beginWideRun() {
    RunDescription run = description();
    run.model.name = "made-up";
    run.model.layers = 8;
    run.model.experts = 32;
    run.model.topK = 4;
    run.model.gateDiversity = {0.91F, 0.88F, 0.95F, 0.97F, 0.93F, 0.99F, 1.01F, 0.84F};
    m_writer->endRun({}, RunState::Complete);
    m_run = m_writer->beginRun(run);
}

RunTrace& ScratchSession::trace() {
    if (!m_trace) {
        m_reader = std::make_unique<SessionReader>(file().toStdString());
        m_trace = std::make_unique<RunTrace>(*m_reader, m_run);
    }
    while (m_trace->refresh()) {}
    return *m_trace;
}

SpanRecord ScratchSession::span(SpanKind kind, std::int64_t from, std::int64_t to, int step, int layer, int expert,
                                int lane, std::int64_t amount) {
    SpanRecord record;
    record.start = kStart + Nanoseconds(from);
    record.end = kStart + Nanoseconds(to);
    record.amount = amount;
    record.step = StepIndex(step);
    record.layer = LayerIndex(layer);
    record.expert = ExpertId(expert);
    record.lane = LaneId(lane);
    record.kind = kind;
    return record;
}

TransferRecord ScratchSession::transfer(std::int64_t id, TransferPurpose purpose, TransferFate fate, int layer,
                                        int expert, std::int64_t from, std::int64_t to, std::int64_t bytes) {
    TransferRecord record;
    record.id = id;
    record.expert = {LayerIndex(layer), ExpertId(expert)};
    record.bytes = Bytes(bytes);
    record.moved = Bytes(bytes);
    record.issued = kStart + Nanoseconds(from);
    record.started = kStart + Nanoseconds(from);
    record.finished = kStart + Nanoseconds(to);
    record.issuedStep = StepIndex(0);
    record.issuedLayer = LayerIndex(layer);
    record.purpose = purpose;
    record.fate = fate;
    return record;
}

TokenRecord ScratchSession::token(int index, int step, Phase phase, std::int64_t time, const char* text, int request) {
    TokenRecord record;
    record.token = TokenIndex(index);
    record.request = RequestIndex(request);
    record.position = index;
    record.phase = phase;
    record.step = StepIndex(step);
    record.time = kStart + Nanoseconds(time);
    record.bytes = text;
    return record;
}

namespace {

constexpr int kLayers = 8, kExperts = 32, kTopK = 4, kSlots = 96;
constexpr std::int64_t kExpertBytes = 110'592;
constexpr std::int64_t kTransferNs = 700'000;

/// The simulated engine's clock, cache and records.
class Simulation {
public:
    Simulation(SessionWriter& writer, const SimulatedRun& options) : m_writer(writer), m_options(options) {}
    void run();

private:
    struct Resident {
        std::int64_t readyAt = 0, lastUse = 0;
        std::int64_t transfer = -1;
        bool used = false;
    };
    using Key = std::pair<int, int>;

    std::uint32_t random() { return m_random = m_random * 1664525U + 1013904223U; }
    int pickExpert(int layer, int slot);
    void span(SpanKind kind, std::int64_t from, std::int64_t to, int layer = -1, int expert = -1, int lane = 0,
              std::int64_t amount = 0) {
        m_spans.push_back(ScratchSession::span(kind, from, to, m_step, layer, expert, lane, amount));
    }
    std::int64_t move(Key key, TransferPurpose purpose, std::int64_t earliest);
    void makeRoom();
    void layer(int layer, int tokens);
    void experts(int layer, const std::vector<int>& chosen, std::int64_t tokens);
    void step(int tokens, Phase phase, int request);
    void flush();
    RunSummary summary() const;

    SessionWriter& m_writer;
    const SimulatedRun& m_options;
    std::uint32_t m_random = 7;
    std::int64_t m_now = 0, m_linkFree = 0, m_use = 0;
    int m_step = 0, m_token = 0;
    std::map<Key, Resident> m_cache;
    std::vector<int> m_previous[kLayers];
    std::vector<SpanRecord> m_spans;
    std::vector<SelectionRecord> m_selections;
    std::vector<TransferRecord> m_transfers;
    std::vector<TokenRecord> m_tokens;
    RunSummary m_summary;
    std::int64_t m_wait = 0;
};

int Simulation::pickExpert(int layer, int slot) {
    if (!m_previous[layer].empty() && random() % 100 < 45) return m_previous[layer][static_cast<std::size_t>(slot)];
    const double u = static_cast<double>(random() % 10000) / 10000;
    return (static_cast<int>(u * u * kExperts) * 7 + layer * 5) % kExperts;
}

void Simulation::makeRoom() {
    while (static_cast<int>(m_cache.size()) >= kSlots) {
        auto victim = m_cache.begin();
        for (auto at = m_cache.begin(); at != m_cache.end(); ++at) {
            if (at->second.lastUse < victim->second.lastUse) victim = at;
        }
        if (!victim->second.used && victim->second.transfer >= 0) {
            m_transfers[static_cast<std::size_t>(victim->second.transfer)].fate = TransferFate::Wasted;
        }
        m_cache.erase(victim);
    }
}

std::int64_t Simulation::move(Key key, TransferPurpose purpose, std::int64_t earliest) {
    makeRoom();
    const std::int64_t start = std::max(earliest, m_linkFree);
    const std::int64_t end = start + kTransferNs + random() % 60'000;
    m_linkFree = end;
    const bool demand = purpose == TransferPurpose::Demand;
    span(demand ? SpanKind::TransferDemand : SpanKind::TransferPrefetch, start, end, key.first, key.second, 100,
         kExpertBytes);
    TransferRecord record = ScratchSession::transfer(static_cast<std::int64_t>(m_transfers.size()), purpose,
                                                     demand ? TransferFate::Used : TransferFate::Useful, key.first,
                                                     key.second, start, end, kExpertBytes);
    record.issued = ScratchSession::kStart + Nanoseconds(earliest);
    record.issuedStep = StepIndex(m_step);
    m_transfers.push_back(record);
    m_cache[key] = {end, m_use, record.id, demand};
    return end;
}

void Simulation::experts(int layer, const std::vector<int>& chosen, std::int64_t tokens) {
    const std::int64_t begin = m_now;
    std::vector<int> unique;
    for (const int expert : chosen) {
        if (std::ranges::find(unique, expert) == unique.end()) unique.push_back(expert);
    }
    for (std::size_t i = 0; i < unique.size(); ++i) {
        const Key key{layer, unique[i]};
        const auto found = m_cache.find(key);
        Outcome outcome = Outcome::Hit;
        std::int64_t ready = m_now;
        if (found == m_cache.end()) {
            outcome = Outcome::Miss;
            ready = move(key, TransferPurpose::Demand, begin);
            ++m_summary.misses;
        } else if (found->second.readyAt > m_now) {
            outcome = Outcome::InFlight;
            ready = found->second.readyAt;
            m_transfers[static_cast<std::size_t>(found->second.transfer)].fate = TransferFate::Late;
            ++m_summary.hitsInFlight;
        } else {
            ++m_summary.hits;
        }
        ++m_summary.accesses;
        Resident& resident = m_cache[key];
        resident.used = true;
        resident.lastUse = ++m_use;
        if (ready > m_now) {
            span(SpanKind::Wait, m_now, ready, layer, key.second);
            m_wait += ready - m_now;
            m_now = ready;
        }
        const std::int64_t took = 120'000 + tokens * 9'000 + random() % 20'000;
        span(SpanKind::ExpertCompute, m_now, m_now + took, layer, key.second, 1 + static_cast<int>(i % 2), tokens);
        m_now += took / 2 + 5'000;
        SelectionRecord selection;
        selection.step = StepIndex(m_step);
        selection.token = TokenIndex(m_token);
        selection.layer = LayerIndex(layer);
        selection.slot = static_cast<std::int32_t>(i % kTopK);
        selection.expert = ExpertId(key.second);
        selection.weight = 0.25F;
        selection.outcome = outcome;
        selection.firstUse = true;
        m_selections.push_back(selection);
    }
    m_now += 60'000;
    span(SpanKind::Experts, begin, m_now, layer, -1, 0, tokens);
}

void Simulation::layer(int layer, int tokens) {
    const std::int64_t begin = m_now;
    std::int64_t from = m_now;
    m_now += 180'000 + tokens * 12'000;
    span(SpanKind::Attention, from, m_now, layer, -1, 0, tokens);
    from = m_now;
    m_now += 25'000 + tokens * 1'500;
    span(SpanKind::Router, from, m_now, layer);
    std::vector<int> chosen;
    for (int token = 0; token < tokens; ++token) {
        for (int slot = 0; slot < kTopK; ++slot)
            chosen.push_back(pickExpert(layer, slot));
    }
    if (m_options.prefetch && layer + 1 < kLayers) {
        for (int slot = 0; slot < kTopK; ++slot) {
            const Key guess{layer + 1, pickExpert(layer + 1, slot)};
            if (!m_cache.contains(guess)) move(guess, TransferPurpose::Prefetch, m_now);
        }
    }
    m_previous[layer].assign(chosen.end() - kTopK, chosen.end());
    experts(layer, chosen, tokens);
    from = m_now;
    m_now += 18'000 + tokens * 2'000;
    span(SpanKind::Combine, from, m_now, layer);
    span(SpanKind::Layer, begin, m_now, layer, -1, 0, tokens);
}

void Simulation::step(int tokens, Phase phase, int request) {
    const std::int64_t begin = m_now;
    for (int l = 0; l < kLayers; ++l)
        layer(l, tokens);
    std::int64_t from = m_now;
    m_now += 400'000;
    span(SpanKind::Head, from, m_now);
    from = m_now;
    m_now += 30'000;
    span(SpanKind::Sample, from, m_now);
    span(SpanKind::Step, begin, m_now, -1, -1, 0, tokens);
    static const char* const kWords[] = {" the", " engine", " waits", " for", " its", " experts",
                                         ",",    " then",   " moves", " on",  "."};
    if (phase == Phase::Prefill) {
        for (int i = 0; i < tokens; ++i) {
            m_tokens.push_back(
                ScratchSession::token(m_token++, m_step, Phase::Prefill, m_now, kWords[random() % 11], request));
        }
        m_summary.promptTokens += tokens;
    }
    m_tokens.push_back(ScratchSession::token(m_token++, m_step, Phase::Decode, m_now, kWords[random() % 11], request));
    ++m_summary.generatedTokens;
    ++m_step;
    m_now += 15'000;
}

void Simulation::flush() {
    m_writer.append(std::span<const SpanRecord>(m_spans));
    m_writer.append(std::span<const SelectionRecord>(m_selections));
    m_writer.append(std::span<const TokenRecord>(m_tokens));
    m_summary.spans += static_cast<std::int64_t>(m_spans.size());
    m_summary.selections += static_cast<std::int64_t>(m_selections.size());
    m_spans.clear();
    m_selections.clear();
    m_tokens.clear();
}

RunSummary Simulation::summary() const {
    RunSummary s = m_summary;
    s.stopped = "tokens";
    for (const TransferRecord& transfer : m_transfers) {
        s.moved += transfer.moved;
        if (transfer.purpose == TransferPurpose::Demand) {
            s.demand += transfer.bytes;
            continue;
        }
        s.prefetch += transfer.bytes;
        (transfer.fate == TransferFate::Late     ? s.late
         : transfer.fate == TransferFate::Wasted ? s.wasted
                                                 : s.useful) += transfer.bytes;
    }
    s.totalMs = static_cast<double>(m_now) / 1e6;
    s.waitMs = static_cast<double>(m_wait) / 1e6;
    s.otherMs = s.totalMs * 0.02;
    s.computeMs = s.totalMs - s.waitMs - s.otherMs;
    s.decodeTokensPerSecond = static_cast<double>(s.generatedTokens) / s.totalMs * 1.1e3;
    s.prefillTokensPerSecond = static_cast<double>(s.promptTokens) / s.totalMs * 9e3;
    s.ttftMs = 41.3;
    s.tpotP50Ms = 1000 / s.decodeTokensPerSecond;
    s.tpotP90Ms = s.tpotP50Ms * 1.3;
    s.tpotP99Ms = s.tpotP50Ms * 2.1;
    return s;
}

void Simulation::run() {
    RunDescription description = ScratchSession::description();
    ModelFacts& model = description.model;
    model.name = "demo-moe-16m";
    model.path = "resources/demo_model";
    model.layers = kLayers;
    model.experts = kExperts;
    model.topK = kTopK;
    model.expertBytes = Bytes(kExpertBytes);
    model.totalExpertBytes = Bytes(kExpertBytes * kLayers * kExperts);
    description.policy = m_options.policy;
    description.exact = !m_options.prefetch;
    description.link = m_options.link;
    description.slots = kSlots;
    description.budget = Bytes(kExpertBytes * kSlots);
    description.startedUtc = "2026-05-04T12:30:00Z";
    description.plannedTokens = m_options.requests * m_options.generatedTokens;
    m_writer.beginRun(description);
    m_writer.append(LaneInfo{LaneId(0), LaneRole::Compute, "compute"});
    m_writer.append(LaneInfo{LaneId(1), LaneRole::Worker, "worker 1"});
    m_writer.append(LaneInfo{LaneId(2), LaneRole::Worker, "worker 2"});
    m_writer.append(LaneInfo{LaneId(100), LaneRole::Transfer, "transfer"});
    static const char* const kLabels[] = {"python", "german", "news"};
    for (int r = 0; r < m_options.requests; ++r) {
        RequestRecord request;
        request.request = RequestIndex(r);
        request.label = kLabels[r % 3];
        request.prompt = "Say how the engine of a profiler moves its experts:";
        request.promptTokens = m_options.promptTokens;
        request.firstToken = TokenIndex(m_token);
        request.start = ScratchSession::kStart + Nanoseconds(m_now);
        m_writer.append(request);
        step(m_options.promptTokens, Phase::Prefill, r);
        for (int i = 1; i < m_options.generatedTokens; ++i)
            step(1, Phase::Decode, r);
        flush();
        request.generatedTokens = m_options.generatedTokens;
        request.end = ScratchSession::kStart + Nanoseconds(m_now);
        request.stopped = "tokens";
        if (m_options.state == RunState::Complete || r + 1 < m_options.requests) m_writer.append(request);
    }
    m_writer.append(std::span<const TransferRecord>(m_transfers));
    DiagnosticRecord diagnostic;
    diagnostic.name = "direct_io_refused";
    diagnostic.severity = Severity::Warning;
    diagnostic.sentence =
        "The file system refused direct reads, so expert bytes were read buffered and dropped from the page cache.";
    m_writer.append(diagnostic);
    m_writer.commit();
    if (m_options.state != RunState::Running) m_writer.endRun(summary(), m_options.state);
}

}  // namespace

void writeSimulatedRun(SessionWriter& writer, const SimulatedRun& options) { Simulation(writer, options).run(); }

}  // namespace expertscope
