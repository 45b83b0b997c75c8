// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/norms/norms_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "profiler/analysis/deep/expert_importance.h"
#include "profiler/analysis/deep/norm_score.h"
#include "views/base/number_format.h"

namespace expertscope {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// Those that count experts which were not chosen, too.
constexpr const char* kDeepScores[]{"soft_count", "max_activation"};

bool needsNorms(NormsModel::Measure measure) {
    return measure != NormsModel::Measure::Frequency && measure != NormsModel::Measure::WeightedFrequency;
}

/// Three characters or so, for a small cell.
QString shortText(double value) {
    if (value >= 999.5) return QString::number(std::lround(value / 1000)) + QLatin1Char('k');
    if (value >= 9.95 || value == std::floor(value)) return QString::number(std::lround(value));
    return QString::number(value, 'f', value >= 0.995 ? 1 : 2);
}

}  // namespace

QString NormsModel::measureName(Measure measure) {
    switch (measure) {
        case Measure::MeanNorm:
            return QStringLiteral("mean output norm");
        case Measure::Reap:
            return QStringLiteral("REAP");
        case Measure::ExpertActivationNorm:
            return QStringLiteral("EAN (sum of norms)");
        case Measure::LargestNorm:
            return QStringLiteral("largest norm");
        case Measure::WeightedFrequency:
            return QStringLiteral("weighted frequency");
        case Measure::Frequency:
            return QStringLiteral("frequency");
    }
    return {};
}

QString NormsModel::measureDefinition(Measure measure) {
    switch (measure) {
        case Measure::MeanNorm:
            return QStringLiteral("Mean L2 norm of the expert's unweighted output over the tokens that chose it.");
        case Measure::Reap:
            return QStringLiteral("Mean of weight × output norm over the tokens that chose the expert.");
        case Measure::ExpertActivationNorm:
            return QStringLiteral("Sum of the output norms over the tokens that chose the expert.");
        case Measure::LargestNorm:
            return QStringLiteral("The largest output norm of any token that chose the expert.");
        case Measure::WeightedFrequency:
            return QStringLiteral("Sum of the weights with which tokens chose the expert.");
        case Measure::Frequency:
            return QStringLiteral("Tokens that chose the expert.");
    }
    return {};
}

void NormsModel::setRun(std::shared_ptr<const NormsRun> run) {
    m_run = std::move(run);
    m_token = nullptr;
    fillMap();
    fillRanks();
}

void NormsModel::setMeasure(Measure measure) {
    m_measure = measure;
    fillMap();
}

void NormsModel::setLayer(int layer) {
    if (layer == m_layer) return;
    m_layer = layer;
    fillRanks();
}

void NormsModel::setAllRanks(bool all) {
    m_allRanks = all;
    fillRanks();
}

double NormsModel::value(Measure measure, int layer, int expert) const {
    const SelectedNorms::Expert& at = m_run->norms.at(LayerIndex(layer), ExpertId(expert));
    switch (measure) {
        case Measure::MeanNorm:
            return at.meanNorm();
        case Measure::Reap:
            return at.reap();
        case Measure::ExpertActivationNorm:
            return at.withNorm > 0 ? at.norms : kNone;
        case Measure::LargestNorm:
            return at.largest();
        case Measure::WeightedFrequency:
            return at.weights;
        case Measure::Frequency:
            return static_cast<double>(at.tokens);
    }
    return kNone;
}

void NormsModel::fillMap() {
    m_map = {};
    if (!m_run || !mapMissing().isEmpty()) return;
    m_map.rows = m_run->model().layers;
    m_map.columns = m_run->model().experts;
    m_map.high = 0;
    for (int layer = 0; layer < m_map.rows; ++layer) {
        for (int expert = 0; expert < m_map.columns; ++expert) {
            m_map.values.push_back(value(m_measure, layer, expert));
            m_map.high = std::fmax(m_map.high, m_map.values.back());
        }
    }
    if (m_map.high <= 0) m_map.high = 1;
    m_map.text = shortText;
}

QString NormsModel::noNorms() const {
    return m_run->run.description.record.norms ? QStringLiteral("No output norm was recorded")
                                               : QStringLiteral("This run recorded no output norms");
}

QString NormsModel::mapHeading() const { return QStringLiteral("Layers × experts · %1").arg(measureName(m_measure)); }

QString NormsModel::mapMissing() const { return m_run && needsNorms(m_measure) && !hasNorms() ? noNorms() : QString(); }

QString NormsModel::measureText(double value) const {
    return m_measure == Measure::Frequency ? numberText(value, QStringLiteral("tokens")) : numberText(value);
}

QString NormsModel::describe(MatrixMap::Cell cell) const {
    const SelectedNorms::Expert& at = m_run->norms.at(LayerIndex(cell.row), ExpertId(cell.column));
    const QString who = QStringLiteral("Layer %1 · expert %2: ").arg(cell.row).arg(cell.column);
    if (at.tokens == 0) return who + QStringLiteral("chosen by no token");
    return who +
           QStringLiteral("chosen by %1 tokens, weights sum to %2\nnorm %3 on average, at most %4\nREAP %5, EAN %6")
               .arg(countText(at.tokens), numberText(at.weights), numberText(at.meanNorm()), numberText(at.largest()),
                    numberText(at.reap()), numberText(value(Measure::ExpertActivationNorm, cell.row, cell.column)));
}

NormsModel::RankTable NormsModel::rankTable() const {
    RankTable table;
    const auto take = [&](const NormScore& from) {
        table.tokens = from.tokens;
        table.counts = from.rankCounts;
        table.correlation = from.spearman;
        table.size = static_cast<std::size_t>(m_run->model().experts);
        table.ofAll = true;
    };
    if (m_allRanks && !m_run->deep.empty()) {
        take(pooledNormScore(m_run->deep, m_run->model().topK));
        return table;
    }
    if (!m_allRanks && m_run->deepLayer(m_layer)) {
        take(normScore(*m_run->deepLayer(m_layer), m_run->model().topK));
        return table;
    }
    const SelectedNorms::Ranks ranks = m_allRanks ? m_run->norms.allRanks() : m_run->norms.ranks(LayerIndex(m_layer));
    table.tokens = ranks.tokens;
    table.counts.assign(ranks.counts.begin(), ranks.counts.end());
    table.correlation = ranks.correlation;
    table.size = static_cast<std::size_t>(m_run->model().topK);
    return table;
}

void NormsModel::fillRanks() {
    m_ranks = {};
    m_rankTable = {};
    if (!m_run || m_layer >= m_run->model().layers) return;
    m_rankTable = rankTable();
    if (!ranksMissing().isEmpty()) return;
    m_ranks.rows = m_ranks.columns = static_cast<int>(m_rankTable.size);
    m_ranks.high = 0;
    for (const double count : m_rankTable.counts) {
        m_ranks.values.push_back(count / static_cast<double>(m_rankTable.tokens));
        m_ranks.high = std::max(m_ranks.high, m_ranks.values.back());
    }
    m_ranks.text = [](double share) { return QString::number(std::lround(100 * share)); };
}

QString NormsModel::ranksHeading() const {
    if (!m_run) return QStringLiteral("Rank of the norm against rank of the weight");
    const RankTable& table = m_rankTable;
    const QString what = table.ofAll ? QStringLiteral("norm against score, all experts")
                                     : QStringLiteral("norm against weight, chosen experts");
    const QString where = m_allRanks ? QStringLiteral("All layers") : QStringLiteral("Layer %1").arg(m_layer);
    return QStringLiteral("%1 · ranks of %2 · Spearman's ρ %3 (if random 0) · %4 %5")
        .arg(where, what, numberText(table.correlation), countText(table.tokens),
             m_allRanks ? QStringLiteral("tokens × layers") : QStringLiteral("tokens"));
}

QString NormsModel::ranksMissing() const {
    if (!m_run) return {};
    if (m_rankTable.size < 2) return QStringLiteral("This model chooses one expert a token");
    if (!hasNorms() && !m_rankTable.ofAll) return noNorms();
    if (m_rankTable.tokens == 0)
        return QStringLiteral("No token of layer %1 has norms of all its experts").arg(m_layer);
    return {};
}

QString NormsModel::describeRank(MatrixMap::Cell cell) const {
    const auto size = m_rankTable.size;
    const auto at = static_cast<std::size_t>(cell.row) * size + static_cast<std::size_t>(cell.column);
    return QStringLiteral(
               "Rank %1 of %2 by %3 and rank %4 by norm (1: the smallest): %5 of %6 cases, %7 (if random %8)")
        .arg(QString::number(cell.row + 1), QString::number(size),
             m_rankTable.ofAll ? QStringLiteral("score") : QStringLiteral("weight"), QString::number(cell.column + 1),
             countText(std::llround(m_rankTable.counts[at])), countText(m_rankTable.tokens),
             percentText(m_ranks.values[at]), percentText(1 / static_cast<double>(size)));
}

std::vector<TableCell> NormsModel::importanceRow(int layer, int expert) const {
    const SelectedNorms::Expert& at = m_run->norms.at(LayerIndex(layer), ExpertId(expert));
    std::vector<TableCell> row{
        indexCell(expert),         countCell(at.tokens),
        numberCell(at.reap()),     numberCell(value(Measure::ExpertActivationNorm, layer, expert)),
        numberCell(at.meanNorm()), numberCell(at.largest()),
        numberCell(at.weights)};
    if (m_run->deep.empty()) return row;
    const DeepLayer* deep = m_run->deepLayer(layer);
    for (const char* score : kDeepScores)
        row.push_back(deep ? numberCell(importanceScore(score).of(*deep)[static_cast<std::size_t>(expert)])
                           : TableCell());
    return row;
}

QString NormsModel::importanceHeading() const {
    return m_run ? QStringLiteral("Importance of the experts of layer %1").arg(m_layer)
                 : QStringLiteral("Importance of the experts");
}

QStringList NormsModel::importanceColumns() const {
    QStringList names{"expert", "tokens", "REAP", "EAN", "mean norm", "max norm", "weights"};
    if (m_run && !m_run->deep.empty())
        names << "scores"
              << "largest output";
    return names;
}

std::vector<std::vector<TableCell>> NormsModel::importance() const {
    std::vector<std::vector<TableCell>> rows;
    if (!m_run || m_layer >= m_run->model().layers) return rows;
    std::vector<int> order(static_cast<std::size_t>(m_run->model().experts));
    std::iota(order.begin(), order.end(), 0);
    // By weights where there are no norms; who was never chosen comes last.
    const Measure by = hasNorms() ? Measure::Reap : Measure::WeightedFrequency;
    std::ranges::stable_sort(order, std::ranges::greater{}, [&](int expert) {
        const double value = this->value(by, m_layer, expert);
        return std::isnan(value) ? -1.0 : value;
    });
    for (const int expert : order)
        rows.push_back(importanceRow(m_layer, expert));
    return rows;
}

QString NormsModel::counted() const {
    if (!m_run) return {};
    const SelectedNorms& norms = m_run->norms;
    QString text = QStringLiteral("Counted: %1 choices of experts in %2 layers, %3 of them with an output norm.")
                       .arg(countText(norms.selections()), countText(norms.layers()),
                            percentText(norms.withNorm(), norms.selections()));
    if (norms.withoutRanks() > 0)
        text += QStringLiteral(" Without ranks: %1 tokens of a layer whose choice is not whole.")
                    .arg(countText(norms.withoutRanks()));
    if (m_run->deep.empty())
        return text + QStringLiteral(
                          " Norms and scores of the experts that were not chosen are known from a deep capture: record "
                          "the run with “--record deep”.");
    return text +
           QStringLiteral(" Deep capture: all experts of %1 layers ran on %2 tokens.")
               .arg(countText(static_cast<std::int64_t>(m_run->deep.size())), countText(m_run->deep.front().tokens));
}

QStringList NormsModel::columns() const {
    return QStringList{"figure", "layer"} + importanceColumns() +
           QStringList{"rank of the score", "rank of the norm", "share of the tokens"};
}

int NormsModel::rowCount() const {
    if (!m_run) return 0;
    return m_run->model().layers * m_run->model().experts + static_cast<int>(m_ranks.values.size());
}

std::vector<TableCell> NormsModel::row(int index) const {
    const int experts = m_run->model().experts, cells = m_run->model().layers * experts;
    std::vector<TableCell> row{TableCell(index < cells ? QStringLiteral("importance") : QStringLiteral("ranks")), {}};
    if (index < cells) {
        row[1] = indexCell(index / experts);
        const auto of = importanceRow(index / experts, index % experts);
        row.insert(row.end(), of.begin(), of.end());
        row.resize(static_cast<std::size_t>(columns().size()));
        return row;
    }
    const int size = m_ranks.columns, at = index - cells;
    if (!m_allRanks) row[1] = indexCell(m_layer);
    row.resize(2 + static_cast<std::size_t>(importanceColumns().size()));
    row.push_back(indexCell(at / size + 1));
    row.push_back(indexCell(at % size + 1));
    row.push_back(percentCell(m_ranks.values[static_cast<std::size_t>(at)]));
    return row;
}

}  // namespace expertscope
