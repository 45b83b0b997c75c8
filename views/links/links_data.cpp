// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/links/links_data.h"

#include "profiler/analysis/run_routing.h"
#include "views/base/background_job.h"
#include "views/base/run_analyses.h"

namespace expertscope {
namespace {

std::shared_ptr<const RunRouting> readRouting(const SessionReader& reader, const RunEntry& run,
                                              const JobControl& control) {
    RunRoutingBuilder builder(run.description.model);
    readRecords(reader, run, control, [&](const RecordBatch& batch) {
        builder.add(std::span<const SelectionRecord>(batch.selections));
        builder.add(std::span<const TokenRecord>(batch.tokens));
    });
    return std::make_shared<const RunRouting>(builder.finish(reader.requests(run.id)));
}

std::string pairsParameter(TransitionPairs pairs) {
    switch (pairs) {
        case TransitionPairs::First:
            return "pairs=first";
        case TransitionPairs::SameRank:
            return "pairs=rank";
        case TransitionPairs::All:
            return "pairs=all";
    }
    return {};
}

}  // namespace

QString transitionPairsName(TransitionPairs pairs) {
    switch (pairs) {
        case TransitionPairs::First:
            return QStringLiteral("first choices");
        case TransitionPairs::SameRank:
            return QStringLiteral("choices of the same rank");
        case TransitionPairs::All:
            return QStringLiteral("every choice with every choice");
    }
    return {};
}

std::shared_ptr<const LinksRun> readLinksRun(const std::filesystem::path& session, RunId run,
                                             const JobControl& control) {
    const SessionReader reader(session);
    auto made = std::make_shared<LinksRun>();
    made->run = reader.run(run);
    made->session = session;
    made->routing = readRouting(reader, made->run, control);
    made->counted = QString::fromStdString(made->routing->counted());
    control.at(QStringLiteral("Comparing layers…"));
    const AnalysisTable table = RunAnalyses(session, made->run, made->routing).table("layer-similarity");
    const AnalysisColumns columns(table);
    for (std::size_t row = 0; row < columns.rows(); ++row)
        made->similarities.push_back({.layer = LayerIndex(static_cast<std::int32_t>(columns.whole(row, "layer"))),
                                      .other = LayerIndex(static_cast<std::int32_t>(columns.whole(row, "other_layer"))),
                                      .cosine = columns.real(row, "cosine"),
                                      .spearman = columns.real(row, "spearman"),
                                      .randomCosine = columns.real(row, "random_cosine")});
    return made;
}

std::shared_ptr<const LinksLayer> countLinks(const LinksRun& run, std::int32_t layer, TransitionPairs pairs,
                                             const JobControl& control) {
    auto made = std::make_shared<LinksLayer>();
    made->layer = layer;
    made->pairs = pairs;
    control.at(QStringLiteral("Counting pairs of experts…"), 0);
    made->together = coActivationOf(*run.routing, layer);
    control.at(QStringLiteral("Counting transitions…"), 0.5);
    if (layer + 1 < run.model().layers)
        made->next = transitionsFrom(*run.routing, layer, {.layers = 1, .pairs = pairs});
    return made;
}

std::shared_ptr<const LinksInformation> findInformation(const LinksRun& run, TransitionPairs pairs,
                                                        const JobControl& control) {
    control.at(QStringLiteral("Finding what each layer says about the next…"));
    auto made = std::make_shared<LinksInformation>();
    made->pairs = pairs;
    const AnalysisTable table =
        RunAnalyses(run.session, run.run, run.routing).table("transition-information:" + pairsParameter(pairs));
    const AnalysisColumns columns(table);
    for (std::size_t row = 0; row < columns.rows(); ++row)
        made->rows.push_back({.from = static_cast<std::int32_t>(columns.whole(row, "layer")),
                              .to = static_cast<std::int32_t>(columns.whole(row, "next_layer")),
                              .tokens = columns.whole(row, "tokens"),
                              .bits = columns.real(row, "mi_corrected_bits"),
                              .shuffledBits = columns.real(row, "shuffled_mi_corrected_bits"),
                              .normalised = columns.real(row, "mi_normalised"),
                              .top = columns.real(row, "top_successors"),
                              .shuffledTop = columns.real(row, "shuffled_top_successors")});
    return made;
}

}  // namespace expertscope
