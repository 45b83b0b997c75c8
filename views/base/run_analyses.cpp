// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/run_analyses.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "profiler/analysis/deep/deep_session.h"
#include "profiler/analysis/deep/raw_capture.h"
#include "profiler/analysis/kept_tables.h"
#include "profiler/analysis/run_trace.h"
#include "views/base/background_job.h"
#include "views/base/empty_state.h"

namespace expertscope {
namespace {

/// Chunks that are decoded at once: between two of them the work can be cancelled.
constexpr int kChunksAtOnce = 16;

}  // namespace

std::optional<RunId> runToCount(EmptyState& empty, const RunTrace* run, const QString& what) {
    const bool chosen = run && !run->selections().empty();
    const bool running = run && run->entry().state == RunState::Running;
    empty.setVisible(!chosen || running);
    if (chosen && !running) return run->entry().id;
    if (chosen)
        empty.tell(QObject::tr("This run is still going on"),
                   QObject::tr("Its %1 are counted when it has ended.").arg(what));
    else
        tellWhyEmpty(empty, run, {what, QStringLiteral("routing"), !run || run->entry().description.record.routing});
    return {};
}

void readRecords(const SessionReader& reader, const RunEntry& run, const JobControl& control,
                 const std::function<void(const RecordBatch&)>& use) {
    const auto whole = run.summary ? static_cast<double>(run.summary->selections) : 0;
    double done = 0;
    control.at(QStringLiteral("Reading the run…"));
    ReadCursor cursor;
    for (RecordBatch batch = reader.readNew(run.id, cursor, kChunksAtOnce); !batch.empty();
         batch = reader.readNew(run.id, cursor, kChunksAtOnce)) {
        done += static_cast<double>(batch.selections.size());
        control.at(QStringLiteral("Reading the run…"), whole > 0 ? std::min(1.0, done / whole) : -1);
        use(batch);
    }
}

RunAnalyses::RunAnalyses(std::filesystem::path session, RunEntry run, std::shared_ptr<const RunRouting> routing)
    : m_session(std::move(session)), m_run(std::move(run)), m_routing(std::move(routing)) {}

AnalysisTable RunAnalyses::table(const std::string& text) const {
    const AnalysisInfo& info = analysisInfo(analysisCatalogue(), text);
    const auto make = [&] {
        AnalysisInput input;
        input.routing = m_routing.get();
        std::optional<DeepAggregates> deep;
        std::optional<RawCapture> raw;
        if (info.source == AnalysisSource::Deep) {
            deep = readDeepCapture(m_session, m_run.id);
            raw.emplace(m_session, m_run.id);
        }
        input.deep = deep ? &*deep : nullptr;
        input.raw = raw ? &*raw : nullptr;
        return runAnalysis(info, text, input);
    };
    // A deep capture's sums are in the session already.
    const bool keeps = m_run.state != RunState::Running && info.source == AnalysisSource::Routing;
    return !keeps ? make() : keptOrMade(m_session, subjectOf(m_run.id), info, text, make);
}

const AnalysisCell& AnalysisColumns::cell(std::size_t row, std::string_view column) const {
    const auto found = std::ranges::find(m_table.columns, column);
    return m_table.rows[row].at(static_cast<std::size_t>(found - m_table.columns.begin()));
}

double AnalysisColumns::real(std::size_t row, std::string_view column) const {
    const AnalysisCell& value = cell(row, column);
    if (const auto* number = std::get_if<double>(&value)) return *number;
    if (const auto* number = std::get_if<std::int64_t>(&value)) return static_cast<double>(*number);
    return std::numeric_limits<double>::quiet_NaN();
}

std::int64_t AnalysisColumns::whole(std::size_t row, std::string_view column) const {
    const auto* number = std::get_if<std::int64_t>(&cell(row, column));
    return number ? *number : 0;
}

QString AnalysisColumns::word(std::size_t row, std::string_view column) const {
    const AnalysisCell& value = cell(row, column);
    if (const auto* text = std::get_if<std::string>(&value)) return QString::fromStdString(*text);
    if (const auto* number = std::get_if<std::int64_t>(&value)) return QString::number(*number);
    return {};
}

}  // namespace expertscope
