// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/cache/cache_data.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/replay/lru_curve.h"
#include "views/base/background_job.h"
#include "views/base/run_analyses.h"

namespace expertscope {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr int kCurvePoints = 200;
constexpr const char* kCurveText = "lru-curve:points=100";

double part(std::int64_t of, std::int64_t whole) {
    return whole > 0 ? static_cast<double>(of) / static_cast<double>(whole) : kNone;
}

/// One pass over the run's records for all that is made of them.
class RunPass {
public:
    RunPass(const SessionReader& reader, RunId run)
        : m_reader(reader), m_run(reader.run(run)), m_routing(m_run.description.model) {
        try {
            m_trace.emplace(m_run.description.model, reader.requests(run));
        } catch (const BadInputError& error) { m_noTrace = QString::fromUtf8(error.what()); }
    }

    std::shared_ptr<CacheRun> read(const JobControl& control) {
        readRecords(m_reader, m_run, control, [this](const RecordBatch& batch) {
            m_routing.add(std::span<const SelectionRecord>(batch.selections));
            m_routing.add(std::span<const TokenRecord>(batch.tokens));
            m_residency.insert(m_residency.end(), batch.residency.begin(), batch.residency.end());
            addToTrace(batch);
        });
        auto made = std::make_shared<CacheRun>();
        made->run = m_run;
        made->routing = std::make_shared<const RunRouting>(m_routing.finish(m_reader.requests(m_run.id)));
        findSteps(*made);
        findResidency(*made);
        return made;
    }
    /// Absent where the choices form no replayable trace; noTrace() says why.
    std::optional<RoutingTrace> trace() { return m_trace ? std::optional(m_trace->finish()) : std::nullopt; }
    const QString& noTrace() const { return m_noTrace; }

private:
    void addToTrace(const RecordBatch& batch) {
        if (!m_trace) return;
        try {
            m_trace->add(std::span<const SelectionRecord>(batch.selections));
        } catch (const BadInputError& error) {
            m_noTrace = QString::fromUtf8(error.what());
            m_trace.reset();
        }
    }

    /// A step's first token is the smallest that any layer routed in it.
    static void findSteps(CacheRun& made) {
        const RunRouting& routing = *made.routing;
        made.firstTokens = {routing.tokenCount()};
        for (std::int32_t l = 0; l < routing.layers(); ++l) {
            const LayerChoices& layer = routing.layer(l);
            for (std::size_t row = 0; row < layer.rows(); ++row) {
                const auto step = static_cast<std::size_t>(std::max(layer.steps[row], 0));
                if (step + 2 > made.firstTokens.size()) made.firstTokens.resize(step + 2, routing.tokenCount());
                made.firstTokens[step] = std::min(made.firstTokens[step], layer.tokens[row]);
            }
        }
        // A step that nothing was recorded of begins where the next one does.
        for (std::size_t step = made.firstTokens.size() - 1; step-- > 0;)
            made.firstTokens[step] = std::min(made.firstTokens[step], made.firstTokens[step + 1]);
    }
    void findResidency(CacheRun& made) const {
        if (m_residency.empty()) return;
        const ModelFacts& model = made.model();
        made.residency = ResidencyTimeline(model.layers, model.experts);
        made.residency.update({.selections = {}, .residency = m_residency, .tokens = {}, .spans = {}, .requests = {}});
        for (std::int32_t layer = 0; layer < model.layers; ++layer)
            made.residents.push_back(made.residency.residentCounts(LayerIndex(layer), made.steps()));
    }

    const SessionReader& m_reader;
    RunEntry m_run;
    RunRoutingBuilder m_routing;
    std::optional<RoutingTraceBuilder> m_trace;
    QString m_noTrace;
    std::vector<ResidencyRecord> m_residency;
};

std::int64_t allExpertBytes(const RoutingTrace& trace) {
    std::int64_t all = 0;
    for (std::int32_t layer = 0; layer < trace.layers(); ++layer)
        all += trace.expertBytes(LayerIndex(layer)) * trace.experts();
    return all;
}

/// In bytes, as the run's budget was.
void curveOfBytes(const RoutingTrace& trace, std::int64_t all, CacheCurve& curve) {
    const LruCurve lru(trace);
    curve.accesses = lru.accesses();
    curve.firstUses = part(lru.compulsory(), lru.accesses());
    for (int i = 0; i <= kCurvePoints; ++i) {
        const double share = static_cast<double>(i) / kCurvePoints;
        const LruCurve::Counts counts = lru.at(static_cast<std::int64_t>(share * static_cast<double>(all)));
        curve.points.push_back(
            {share, part(counts.hits, lru.accesses()), part(counts.decodeHits, lru.decodeAccesses())});
    }
    const std::int64_t demand = tokenDemandBytes(trace);
    curve.cliff = demand > 0 ? part(demand, all) : kNone;
}

CacheCurve curveOf(const RunAnalyses& analyses, RunPass& pass, const JobControl& control) {
    CacheCurve curve;
    control.at(QStringLiteral("Finding what an LRU cache hits at every budget…"));
    const std::optional<RoutingTrace> trace = pass.trace();
    const std::int64_t all = trace ? allExpertBytes(*trace) : 0;
    if (!trace) {
        curve.missing = pass.noTrace();
        return curve;
    }
    if (trace->accesses().empty()) {
        curve.missing = QStringLiteral("No layer's choices are complete.");
        return curve;
    }
    curve.inBytes = all > 0;
    if (curve.inBytes) curveOfBytes(*trace, all, curve);
    control.at(QStringLiteral("Finding what random choices would hit…"));
    const AnalysisTable table = analyses.table(kCurveText);
    const AnalysisColumns columns(table);
    for (std::size_t row = 0; row < columns.rows(); ++row) {
        const double share = columns.real(row, "part_of_all");
        curve.baselines.push_back(
            {share, columns.real(row, "shuffled_hit_rate"), columns.real(row, "uniform_hit_rate")});
        if (!curve.inBytes)
            curve.points.push_back({share, columns.real(row, "hit_rate"), columns.real(row, "decode_hit_rate")});
    }
    if (!curve.inBytes) {
        curve.cliff = curve.firstUses = kNone;
        curve.accesses = static_cast<std::int64_t>(trace->accesses().size());
    }
    return curve;
}

std::string phaseParameter(CountedTokens tokens) {
    if (tokens == CountedTokens::All) return "";
    return tokens == CountedTokens::Prompt ? ":phase=prefill" : ":phase=decode";
}

std::vector<ReuseBin> binsOf(const AnalysisTable& table) {
    const AnalysisColumns columns(table);
    std::vector<ReuseBin> bins;
    for (std::size_t row = 0; row < columns.rows(); ++row)
        bins.push_back({.from = columns.whole(row, "from"),
                        .to = columns.whole(row, "to"),
                        .count = columns.whole(row, "count"),
                        .share = columns.real(row, "share"),
                        .randomShare = columns.real(row, "random_share")});
    return bins;
}

std::vector<LayerOverlap> overlapsOf(const AnalysisTable& table) {
    const AnalysisColumns columns(table);
    std::vector<LayerOverlap> rows;
    for (std::size_t row = 0; row < columns.rows(); ++row)
        rows.push_back({.layer = LayerIndex(static_cast<std::int32_t>(columns.whole(row, "layer"))),
                        .lag = static_cast<std::int32_t>(columns.whole(row, "lag")),
                        .pairs = columns.whole(row, "pairs"),
                        .overlap = columns.real(row, "overlap"),
                        .random = columns.real(row, "random"),
                        .popularityOnly = columns.real(row, "popularity_only")});
    return rows;
}

}  // namespace

std::shared_ptr<const CacheRun> readCacheRun(const std::filesystem::path& session, RunId run,
                                             const JobControl& control) {
    control.at(QStringLiteral("Reading the run…"));
    const SessionReader reader(session);
    RunPass pass(reader, run);
    const std::shared_ptr<CacheRun> made = pass.read(control);
    made->session = session;
    made->curve = curveOf(RunAnalyses(session, made->run, made->routing), pass, control);
    return made;
}

QString countedTokensName(CountedTokens tokens) {
    switch (tokens) {
        case CountedTokens::All:
            return QStringLiteral("all tokens");
        case CountedTokens::Prompt:
            return QStringLiteral("prompt tokens");
        case CountedTokens::Generated:
            return QStringLiteral("generated tokens");
    }
    return {};
}

std::shared_ptr<const CacheReuse> countReuse(const CacheRun& run, CountedTokens tokens, const JobControl& control) {
    const RunAnalyses analyses(run.session, run.run, run.routing);
    const std::string phase = phaseParameter(tokens);
    auto made = std::make_shared<CacheReuse>();
    made->tokens = tokens;
    const std::int32_t layers = run.model().layers;
    for (std::int32_t layer = -1; layer < layers; ++layer) {
        control.at(QStringLiteral("Counting reuse distances…"), (layer + 1.0) / (layers + 2));
        std::string text = "reuse-histogram";
        if (layer >= 0) text += fmt::format(":layer={}", layer);
        made->histograms.push_back(binsOf(analyses.table(text + phase)));
    }
    control.at(QStringLiteral("Counting overlaps…"), (layers + 1.0) / (layers + 2));
    const AnalysisTable overlaps = analyses.table("overlap" + phase);
    made->counted = QString::fromStdString(overlaps.counted);
    made->overlaps = overlapsOf(overlaps);
    return made;
}

}  // namespace expertscope
