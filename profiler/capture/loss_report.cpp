// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/loss_report.h"

#include <algorithm>

#include <fmt/format.h>

namespace expertscope {
namespace {

constexpr Nanoseconds kQuiet(500'000'000);

}  // namespace

void LossReport::add(const Loss& loss) {
    m_total += loss.count;
    if (!m_open) {
        m_open = loss;
        return;
    }
    m_open->count += loss.count;
    m_open->from = std::min(m_open->from, loss.from);
    m_open->to = std::max(m_open->to, loss.to);
}

std::optional<DiagnosticRecord> LossReport::finished(Nanoseconds now, bool evenIfOpen) {
    if (!m_open || (!evenIfOpen && now - m_open->to < kQuiet)) return std::nullopt;
    DiagnosticRecord record;
    record.time = m_open->from;
    record.end = m_open->to;
    record.name = m_plural + "_dropped";
    record.severity = Severity::DataLoss;
    record.count = m_open->count;
    record.sentence = fmt::format(
        "{} {} of an interval of {} were not recorded because they came faster than the session file could be written; "
        "close other programs, or record less with --record.",
        m_open->count, m_plural, formatDuration(m_open->to - m_open->from));
    m_open.reset();
    return record;
}

}  // namespace expertscope
