// SPDX-License-Identifier: GPL-3.0-or-later
#include "session_fixture.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QThread>

#include "storage/session_writer.h"

namespace expertscope::test {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr Nanoseconds kStart{1'000 * kMs};

Nanoseconds at(double ms) { return kStart + Nanoseconds(static_cast<std::int64_t>(ms * static_cast<double>(kMs))); }

SpanRecord span(SpanKind kind, int step, double fromMs, double toMs) {
    SpanRecord record;
    record.kind = kind;
    record.step = StepIndex(step);
    record.start = at(fromMs);
    record.end = at(toMs);
    return record;
}

TokenRecord token(int index, int step, Phase phase) {
    TokenRecord record;
    record.token = TokenIndex(index);
    record.request = RequestIndex(index / 3);
    record.position = index % 3;
    record.step = StepIndex(step);
    record.phase = phase;
    record.time = at(6.0 * record.request.value() + 2.0 * record.position);
    record.logProbability = phase == Phase::Prefill ? std::numeric_limits<float>::quiet_NaN() : -0.5F;
    record.bytes = std::string(1, static_cast<char>('a' + index));
    return record;
}

RequestRecord request(int index, const char* label) {
    RequestRecord record;
    record.request = RequestIndex(index);
    record.label = label;
    record.prompt = "p";
    record.promptTokens = 1;
    record.generatedTokens = 2;
    record.firstToken = TokenIndex(3 * index);
    record.start = at(6.0 * index);
    record.firstTokenTime = at(6.0 * index + 4);
    record.end = at(6.0 * index + 6);
    record.stopped = "tokens";
    return record;
}

std::vector<SelectionRecord> selectionsOf(int tokenIndex, int step, Outcome outcome) {
    std::vector<SelectionRecord> records;
    for (int layer = 0; layer < 2; ++layer) {
        SelectionRecord record;
        record.step = StepIndex(step);
        record.token = TokenIndex(tokenIndex);
        record.layer = LayerIndex(layer);
        record.expert = ExpertId(tokenIndex % 4);
        record.weight = 1;
        record.norm = 2;
        record.outcome = outcome;
        record.firstUse = true;
        records.push_back(record);
    }
    return records;
}

}  // namespace

ModelFacts smallModel() {
    ModelFacts model;
    model.name = "small";
    model.family = "qwen3_moe";
    model.layers = 2;
    model.experts = 4;
    model.topK = 1;
    model.expertBytes = Bytes(1 << 20);
    model.totalExpertBytes = Bytes(8 << 20);
    return model;
}

void writeSession(const QString& file, const std::string& policy) {
    SessionWriter writer(file.toStdString());
    RunDescription run;
    run.model = smallModel();
    run.policy = policy;
    run.eviction = "lru";
    run.budget = Bytes(2 << 20);
    run.slots = 2;
    run.start = kStart;
    writer.beginRun(run);
    for (int r = 0; r < 2; ++r) {
        const double from = 6.0 * r;
        const int first = 3 * r, step = 2 * r;
        writer.append(request(r, r == 0 ? "cpp" : "poem"));
        const SpanRecord spans[] = {span(SpanKind::Wait, step, from + 1, from + 2),
                                    span(SpanKind::Step, step, from, from + 4),
                                    span(SpanKind::Step, step + 1, from + 4, from + 6)};
        writer.append(std::span<const SpanRecord>(spans));
        const TokenRecord tokens[] = {token(first, step, Phase::Prefill), token(first + 1, step, Phase::Decode),
                                      token(first + 2, step + 1, Phase::Decode)};
        writer.append(std::span<const TokenRecord>(tokens));
        for (int t = 0; t < 3; ++t) {
            const auto selections =
                selectionsOf(first + t, step + (t == 2 ? 1 : 0), t == 2 ? Outcome::Hit : Outcome::Miss);
            writer.append(std::span<const SelectionRecord>(selections));
        }
    }
    RunSummary summary;
    summary.generatedTokens = 4;
    summary.decodeTokensPerSecond = 500;
    summary.accesses = 12;
    summary.hits = 4;
    summary.misses = 8;
    writer.endRun(summary, RunState::Complete);
    writer.close();
}

void writeLongSession(const QString& file, int records, const std::string& policy) {
    SessionWriter writer(file.toStdString());
    RunDescription run;
    run.model = smallModel();
    run.policy = policy;
    run.start = kStart;
    writer.beginRun(run);
    std::vector<SpanRecord> spans;
    std::vector<SelectionRecord> selections;
    for (int i = 0; i < records; ++i) {
        const double from = 0.001 * i;
        spans.push_back(span(SpanKind::Step, i / 2, from, from + 0.001));
        SelectionRecord& selection = selections.emplace_back();
        selection.step = StepIndex(i / 2);
        selection.token = TokenIndex(i / 2);
        selection.layer = LayerIndex(i % 2);
        selection.expert = ExpertId(i % 4);
    }
    writer.append(std::span<const SpanRecord>(spans));
    writer.append(std::span<const SelectionRecord>(selections));
    writer.endRun({}, RunState::Complete);
    writer.close();
}

bool waitUntil(const std::function<bool()>& done, int milliseconds) {
    QElapsedTimer clock;
    clock.start();
    while (!done()) {
        if (clock.elapsed() > milliseconds) return false;
        QCoreApplication::processEvents(QEventLoop::AllEvents, 20);
        QThread::msleep(2);
    }
    return true;
}

}  // namespace expertscope::test
