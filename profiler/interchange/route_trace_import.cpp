// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/route_trace_import.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "storage/session_writer.h"

namespace expertscope {
namespace {

/// Collects the rows of one forward step, which may come layer by layer or token by token, puts them in order of layer,
/// token and slot, and hands the records on. With no writer it only checks.
class StepCollector {
public:
    StepCollector(const RouteTraceRows& rows, SessionWriter* writer, ImportedRun& result)
        : m_rows(&rows), m_writer(writer), m_result(&result), m_model(rows.model()) {}

    void take(const RouteRow& row) {
        if (m_step.empty() || !sameStep(row, m_step.front())) {
            finishStep();
            begin(row);
        }
        m_step.push_back(row);
    }
    void finish() {
        finishStep();
        finishRequest();
    }

private:
    static bool sameStep(const RouteRow& a, const RouteRow& b) {
        return a.turn == b.turn && a.phase == b.phase && (a.phase == Phase::Prefill || a.position == b.position);
    }
    void begin(const RouteRow& row);
    void finishStep();
    void finishRequest();
    void tellTokens(const std::vector<std::int32_t>& positions);
    void tellSelections(const std::vector<std::int32_t>& positions);
    void checkDuplicates(std::size_t first, std::size_t last);

    const RouteTraceRows* m_rows;
    SessionWriter* m_writer;
    ImportedRun* m_result;
    ModelFacts m_model;
    std::vector<RouteRow> m_step;
    std::vector<SelectionRecord> m_selections;
    std::vector<std::int64_t> m_usedIn;  ///< [experts] the layer pass that last used the expert
    std::int64_t m_pass = 0;
    RequestRecord m_request;
    bool m_inRequest = false;
    Phase m_phase = Phase::Prefill;
    std::int32_t m_lastTurn = -1, m_lastPosition = -1, m_requests = 0, m_nextToken = 0, m_nextStep = 0;
};

void StepCollector::begin(const RouteRow& row) {
    if (row.turn == m_lastTurn) {
        if (m_phase == Phase::Decode && row.phase == Phase::Prefill)
            m_rows->refuse(row.line, fmt::format("goes back to the prompt of turn {}", row.turn));
        if (row.position <= m_lastPosition)
            m_rows->refuse(row.line, fmt::format("goes back to step {} of turn {}", row.position, row.turn));
    } else {
        if (row.turn < m_lastTurn) m_rows->refuse(row.line, fmt::format("goes back to turn {}", row.turn));
        finishRequest();
        m_inRequest = true;
        m_request = {};
        m_request.request = RequestIndex(m_requests++);
        m_request.label = fmt::format("turn {}", row.turn);
        m_request.firstToken = TokenIndex(m_nextToken);
    }
    m_lastTurn = row.turn;
    m_phase = row.phase;
}

void StepCollector::finishStep() {
    if (m_step.empty()) return;
    std::ranges::sort(m_step, {}, [](const RouteRow& row) { return std::tuple(row.layer, row.position, row.slot); });
    std::vector<std::int32_t> positions;
    for (const RouteRow& row : m_step)
        positions.push_back(row.position);
    std::ranges::sort(positions);
    positions.erase(std::ranges::unique(positions).begin(), positions.end());
    tellTokens(positions);
    tellSelections(positions);
    m_lastPosition = positions.back();
    m_nextToken += static_cast<std::int32_t>(positions.size());
    ++m_nextStep;
    ++m_result->steps;
    m_step.clear();
}

void StepCollector::tellTokens(const std::vector<std::int32_t>& positions) {
    (m_phase == Phase::Prefill ? m_request.promptTokens : m_request.generatedTokens) +=
        static_cast<std::int32_t>(positions.size());
    std::vector<TokenRecord> tokens;
    for (std::size_t i = 0; i < positions.size(); ++i) {
        TokenRecord& token = tokens.emplace_back();
        token.token = TokenIndex(m_nextToken + static_cast<std::int32_t>(i));
        token.request = m_request.request;
        token.position = positions[i];
        token.id = -1;
        token.phase = m_phase;
        token.step = StepIndex(m_nextStep);
        token.logProbability = std::numeric_limits<float>::quiet_NaN();
    }
    if (m_writer) m_writer->append(std::span<const TokenRecord>(tokens));
}

/// Rows [first, last) are one token's in one layer.
void StepCollector::checkDuplicates(std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) {
        for (std::size_t j = first; j < i; ++j) {
            const RouteRow& late = m_step[i].line > m_step[j].line ? m_step[i] : m_step[j];
            if (m_step[i].slot == m_step[j].slot)
                m_rows->refuse(late.line, fmt::format("repeats slot {} of its token and layer", late.slot));
            if (m_step[i].expert == m_step[j].expert)
                m_rows->refuse(late.line, fmt::format("chooses expert {} again for its token", late.expert.value()));
        }
    }
}

void StepCollector::tellSelections(const std::vector<std::int32_t>& positions) {
    m_usedIn.resize(static_cast<std::size_t>(m_model.experts), 0);
    m_selections.clear();
    LayerIndex layer(-1);
    RunSummary& sums = m_result->summary;
    for (std::size_t i = 0, tokenBegin = 0; i < m_step.size(); ++i) {
        const RouteRow& row = m_step[i];
        if (row.layer != layer) {
            layer = row.layer;
            ++m_pass;
        }
        if (row.layer != m_step[tokenBegin].layer || row.position != m_step[tokenBegin].position) {
            checkDuplicates(tokenBegin, i);
            tokenBegin = i;
        }
        if (i + 1 == m_step.size()) checkDuplicates(tokenBegin, i + 1);
        if (row.dropped) {
            ++m_result->dropped;
            continue;
        }
        SelectionRecord& selection = m_selections.emplace_back();
        selection.step = StepIndex(m_nextStep);
        selection.token =
            TokenIndex(m_nextToken + static_cast<std::int32_t>(std::ranges::lower_bound(positions, row.position) -
                                                               positions.begin()));
        selection.layer = row.layer;
        selection.slot = row.slot;
        selection.expert = row.expert;
        selection.weight = row.weight;
        selection.norm = std::numeric_limits<float>::quiet_NaN();
        selection.outcome = row.residency == 0 ? Outcome::Miss : Outcome::Hit;
        selection.firstUse = m_usedIn[row.expert.index()] != m_pass;
        m_usedIn[row.expert.index()] = m_pass;
        sums.demand += row.moved;
        if (!selection.firstUse) continue;
        ++sums.accesses;
        ++(row.residency == 0 ? sums.misses : sums.hits);
    }
    sums.selections += static_cast<std::int64_t>(m_selections.size());
    m_result->rows += static_cast<std::int64_t>(m_selections.size());
    if (m_writer) m_writer->append(std::span<const SelectionRecord>(m_selections));
}

void StepCollector::finishRequest() {
    if (!m_inRequest) return;
    m_inRequest = false;
    m_request.stopped = "tokens";
    m_result->summary.promptTokens += m_request.promptTokens;
    m_result->summary.generatedTokens += m_request.generatedTokens;
    m_result->summary.stopped = m_request.stopped;
    if (m_writer) m_writer->append(m_request);
}

ImportedRun readThrough(RouteTraceRows& rows, SessionWriter* writer) {
    ImportedRun result;
    result.model = rows.model();
    if (writer) {
        RunDescription run;
        run.model = rows.model();
        run.policy = "imported";
        run.record = {.routing = true, .spans = false, .norms = false, .predictions = false};
        result.run = writer->beginRun(run);
    }
    StepCollector steps(rows, writer, result);
    RouteRow row;
    std::int64_t taken = 0;
    while (rows.next(row)) {
        steps.take(row);
        if (writer && ++taken % 500'000 == 0) writer->commit();
    }
    steps.finish();
    if (result.rows == 0) rows.refuse(row.line, "is the last, and no selection was found");
    result.summary.moved = result.summary.demand;
    if (writer) writer->endRun(result.summary, RunState::Complete);
    return result;
}

}  // namespace

ImportedRun checkRouteTrace(RouteTraceRows& rows) { return readThrough(rows, nullptr); }

ImportedRun importRouteTrace(const std::filesystem::path& file, const std::filesystem::path& session) {
    RouteTraceRows first(file);
    checkRouteTrace(first);
    RouteTraceRows rows(file);
    SessionWriter writer(session);
    ImportedRun result = readThrough(rows, &writer);
    writer.close();
    return result;
}

}  // namespace expertscope
