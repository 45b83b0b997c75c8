// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/run_analyses.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "engine/base/error.h"
#include "profiler/analysis/kept_tables.h"
#include "profiler/analysis/run_trace.h"
#include "views/base/empty_state.h"

namespace expertscope {

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

RunAnalyses::RunAnalyses(std::filesystem::path session, RunEntry run, std::shared_ptr<const RunRouting> routing)
    : m_session(std::move(session)), m_run(std::move(run)), m_routing(std::move(routing)) {}

AnalysisTable RunAnalyses::table(const std::string& text) const {
    const AnalysisInfo& info = analysisInfo(analysisCatalogue(), text);
    const bool ended = m_run.state != RunState::Running;
    const std::string subject = subjectOf(m_run.id);
    if (ended)
        if (auto kept = keptTable(m_session, subject, info, text)) return std::move(*kept);
    AnalysisInput input;
    input.routing = m_routing.get();
    AnalysisTable made = runAnalysis(info, text, input);
    if (!ended) return made;
    try {
        keepTable(m_session, subject, info, text, made);
    } catch (const FailedError&) {
        // Who may not write the session still may look at it: the result is made again next time.
    }
    return made;
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

}  // namespace expertscope
