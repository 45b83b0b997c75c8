// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/direct_recorder.h"

#include "storage/session_writer.h"

namespace expertscope {
namespace {

constexpr Nanoseconds kCommitEvery(95'000'000);
constexpr std::size_t kSpansAtOnce = 4096;

}  // namespace

void DirectRecorder::onLane(const LaneInfo& lane) { m_writer->append(lane); }
void DirectRecorder::onRangeName(const RangeName& name) { m_writer->append(name); }
void DirectRecorder::onModel(const ModelFacts& model) { m_writer->setModel(model); }
void DirectRecorder::onSelections(std::span<const SelectionRecord> selections) { m_writer->append(selections); }
void DirectRecorder::onToken(const TokenRecord& token) { m_writer->append(std::span<const TokenRecord>(&token, 1)); }
void DirectRecorder::onRequest(const RequestRecord& request) { m_writer->append(request); }
void DirectRecorder::onDiagnostic(const DiagnosticRecord& diagnostic) { m_writer->append(diagnostic); }

void DirectRecorder::onSpan(const SpanRecord& span) {
    m_spans.push_back(span);
    if (m_spans.size() >= kSpansAtOnce) flush();
}

void DirectRecorder::flush() {
    m_writer->append(m_spans);
    m_spans.clear();
}

void DirectRecorder::commit(bool now) {
    const Nanoseconds time = sessionNow();
    if (!now && time - m_committed < kCommitEvery) return;
    flush();
    m_writer->commit();
    m_committed = time;
}

}  // namespace expertscope
