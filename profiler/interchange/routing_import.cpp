// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/routing_import.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/import_pulse.h"
#include "profiler/interchange/model_options.h"
#include "profiler/interchange/route_step.h"
#include "profiler/interchange/warm_up.h"
#include "storage/session_writer.h"

namespace expertscope {
namespace {

// Far above any model there is; a file that tells more is damaged, and nothing is allocated for it.
constexpr std::int32_t kMostLayers = 4096;
constexpr std::int32_t kMostExperts = 65'536;
constexpr std::int64_t kRowsPerCommit = 500'000;

/// What the first reading finds out.
struct Survey : ModelCounts {
    std::int64_t rows = 0;
    std::vector<TokenInterval> warmUp;
};

/// Turns rows into records, step by step. With no writer it only checks and surveys.
class RunBuilder {
public:
    RunBuilder(const RouteRowSource& rows, SessionWriter* writer, const Survey* known, ImportedRun& result)
        : m_rows(&rows), m_writer(writer), m_known(known), m_result(&result), m_step(rows) {}

    void take(const RouteRow& row) {
        if (m_step.empty() || !m_step.takes(row)) {
            finishStep();
            begin(row);
        }
        m_step.add(row);
    }
    Survey finish() {
        finishStep();
        finishRequest();
        m_survey.warmUp = m_warmUp.finish();
        return m_survey;
    }

private:
    void begin(const RouteRow& row);
    void finishStep();
    void excludeWarmUp();
    void beginRequest();
    void finishRequest();
    void tellTokens();
    void tellSelections();

    const RouteRowSource* m_rows;
    SessionWriter* m_writer;
    const Survey* m_known;
    ImportedRun* m_result;
    RouteStep m_step;
    Survey m_survey;
    WarmUpFinder m_warmUp;
    std::size_t m_nextInterval = 0;
    std::int64_t m_tokensRead = 0;  ///< before what is excluded
    std::vector<SelectionRecord> m_selections;
    std::vector<std::int64_t> m_usedIn;  ///< [experts] the layer pass that last used the expert
    std::int64_t m_pass = 0;
    RequestRecord m_request;
    bool m_inRequest = false;
    Phase m_phase = Phase::Prefill;
    std::int32_t m_lastTurn = -1, m_lastPosition = -1, m_requests = 0, m_nextToken = 0, m_nextStep = 0;
};

void RunBuilder::begin(const RouteRow& row) {
    if (row.turn == m_lastTurn) {
        if (m_phase == Phase::Decode && row.phase == Phase::Prefill)
            m_rows->refuse(row.line, fmt::format("goes back to the prompt of turn {}", row.turn));
        if (row.position <= m_lastPosition)
            m_rows->refuse(row.line, fmt::format("goes back to step {} of turn {}", row.position, row.turn));
    } else {
        if (row.turn < m_lastTurn) m_rows->refuse(row.line, fmt::format("goes back to turn {}", row.turn));
        finishRequest();
    }
    m_lastTurn = row.turn;
    m_phase = row.phase;
}

void RunBuilder::beginRequest() {
    m_inRequest = true;
    m_request = {};
    m_request.request = RequestIndex(m_requests++);
    m_request.label = fmt::format("turn {}", m_lastTurn);
    m_request.firstToken = TokenIndex(m_nextToken);
}

void RunBuilder::finishStep() {
    if (m_step.empty()) return;
    m_step.order();
    m_lastPosition = m_step.positions().back();
    excludeWarmUp();
    if (!m_step.rows().empty()) {
        if (!m_inRequest) beginRequest();
        tellTokens();
        tellSelections();
        m_nextToken += static_cast<std::int32_t>(m_step.positions().size());
        ++m_nextStep;
        ++m_result->steps;
    }
    m_step.clear();
}

void RunBuilder::excludeWarmUp() {
    const auto tokens = static_cast<std::int64_t>(m_step.positions().size());
    const std::int64_t first = m_tokensRead;
    m_tokensRead += tokens;
    if (!m_known) {
        for (const std::uint64_t signature : m_step.signatures())
            m_warmUp.add(signature);
        return;
    }
    const auto& intervals = m_known->warmUp;
    while (m_nextInterval < intervals.size() && intervals[m_nextInterval].last <= first)
        ++m_nextInterval;
    if (m_nextInterval == intervals.size() || intervals[m_nextInterval].first >= m_tokensRead) return;
    std::vector<bool> excluded(static_cast<std::size_t>(tokens), false);
    for (std::size_t i = m_nextInterval; i < intervals.size() && intervals[i].first < m_tokensRead; ++i)
        for (std::int64_t t = std::max(intervals[i].first, first); t < std::min(intervals[i].last, m_tokensRead); ++t)
            excluded[static_cast<std::size_t>(t - first)] = true;
    m_result->excludedTokens += std::ranges::count(excluded, true);
    m_result->excludedRows += m_step.drop(excluded);
}

void RunBuilder::tellTokens() {
    const std::vector<std::int32_t>& positions = m_step.positions();
    (m_phase == Phase::Prefill ? m_request.promptTokens : m_request.generatedTokens) +=
        static_cast<std::int32_t>(positions.size());
    std::vector<TokenRecord> tokens(positions.size());
    for (std::size_t i = 0; i < positions.size(); ++i) {
        TokenRecord& token = tokens[i];
        token.token = TokenIndex(m_nextToken + static_cast<std::int32_t>(i));
        token.request = m_request.request;
        token.position = positions[i];
        token.id = -1;
        token.phase = m_phase;
        token.step = StepIndex(m_nextStep);
        token.logProbability = std::numeric_limits<float>::quiet_NaN();
    }
    for (const RouteRow& row : m_step.rows())
        tokens[m_step.tokenOf(row)].id = row.tokenId;
    if (m_writer) m_writer->append(std::span<const TokenRecord>(tokens));
}

void RunBuilder::tellSelections() {
    m_selections.clear();
    LayerIndex layer(-1);
    RunSummary& sums = m_result->summary;
    for (const RouteRow& row : m_step.rows()) {
        m_survey.layers = std::max(m_survey.layers, row.layer.value() + 1);
        m_survey.experts = std::max(m_survey.experts, row.expert.value() + 1);
        m_survey.topK = std::max(m_survey.topK, row.slot + 1);
        if (m_survey.layers > kMostLayers || m_survey.experts > kMostExperts)
            m_rows->refuse(row.line, fmt::format("names expert {} of layer {}, which no model has", row.expert.value(),
                                                 row.layer.value()));
        if (row.layer != layer) {
            layer = row.layer;
            ++m_pass;
        }
        if (row.dropped) {
            ++m_result->dropped;
            continue;
        }
        if (m_usedIn.size() <= row.expert.index()) m_usedIn.resize(row.expert.index() + 1, 0);
        SelectionRecord& selection = m_selections.emplace_back();
        selection.step = StepIndex(m_nextStep);
        selection.token = TokenIndex(m_nextToken + static_cast<std::int32_t>(m_step.tokenOf(row)));
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

void RunBuilder::finishRequest() {
    if (!m_inRequest) return;
    m_inRequest = false;
    m_request.stopped = "tokens";
    m_result->summary.promptTokens += m_request.promptTokens;
    m_result->summary.generatedTokens += m_request.generatedTokens;
    m_result->summary.stopped = m_request.stopped;
    if (m_writer) m_writer->append(m_request);
}

/// One reading of all rows; `known` is what the first one found.
Survey readThrough(RouteRowSource& rows, SessionWriter* writer, const Survey* known, ImportedRun& result,
                   ImportPulse pulse) {
    RunBuilder builder(rows, writer, known, result);
    RouteRow row;
    while (rows.next(row)) {
        builder.take(row);
        pulse.beat();
        if (writer && pulse.rows() % kRowsPerCommit == 0) writer->commit();
    }
    Survey survey = builder.finish();
    survey.rows = pulse.rows();
    if (result.rows == 0 && result.excludedRows == 0) rows.refuse(row.line, "is the last, and no selection was found");
    result.summary.moved = result.summary.demand;
    return survey;
}

void tellNotes(SessionWriter& writer, const ImportedRun& result) {
    DiagnosticRecord diagnostic;
    if (result.excludedRows > 0) {
        diagnostic.name = "warm_up_excluded";
        diagnostic.severity = Severity::Warning;
        diagnostic.count = result.excludedRows;
        diagnostic.sentence = fmt::format(
            "{} rows excluded: {} tokens in runs of {} or more with the same routing, as engines warm up "
            "(import --keep-warmup keeps them).",
            result.excludedRows, result.excludedTokens, WarmUpFinder::kShortestRun);
        writer.append(diagnostic);
    }
    diagnostic.name = "imported";
    diagnostic.severity = Severity::Info;
    diagnostic.count = 1;
    for (const std::string& note : result.notes) {
        diagnostic.sentence = note;
        writer.append(diagnostic);
    }
}

}  // namespace

ImportedRun checkRouting(RouteRowSource& rows, const ImportOptions& options) {
    ImportedRun result;
    const Survey survey =
        readThrough(rows, nullptr, nullptr, result, ImportPulse(options, ImportProgress::Stage::Reading));
    result.model = completeModel(rows.model(), survey, options, result.notes);
    return result;
}

ImportedRun importRouting(const OpenRoutes& open, const std::filesystem::path& session, const ImportOptions& options) {
    ImportedRun result, surveyed;
    Survey survey;
    {
        const std::unique_ptr<RouteRowSource> rows = open();
        survey = readThrough(*rows, nullptr, nullptr, surveyed, ImportPulse(options, ImportProgress::Stage::Reading));
        result.model = completeModel(rows->model(), survey, options, result.notes);
        if (options.keepWarmUp) survey.warmUp.clear();
        std::int64_t warm = 0;
        for (const TokenInterval& interval : survey.warmUp)
            warm += interval.last - interval.first;
        if (warm == surveyed.summary.promptTokens + surveyed.summary.generatedTokens)
            rows->refuse(1, "begins a file of nothing but warm-up (--keep-warmup takes it as it is)");
    }
    const std::unique_ptr<RouteRowSource> rows = open();
    const ImportPulse pulse(options, ImportProgress::Stage::Writing, survey.rows);
    SessionWriter writer(session);
    RunDescription run;
    run.model = result.model;
    run.policy = "imported";
    run.record = {.routing = true, .spans = false, .norms = false, .predictions = false};
    result.run = writer.beginRun(run);
    readThrough(*rows, &writer, &survey, result, pulse);
    for (std::string& note : rows->notes())
        result.notes.push_back(std::move(note));
    tellNotes(writer, result);
    writer.endRun(result.summary, RunState::Complete);
    writer.close();
    return result;
}

}  // namespace expertscope
