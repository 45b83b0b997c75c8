// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QStringList>
#include <memory>
#include <optional>
#include <vector>

#include "views/base/draw_list.h"
#include "views/base/legend_strip.h"
#include "views/base/matrix_map.h"
#include "views/base/selection.h"
#include "views/base/table_model.h"
#include "views/norms/norms_data.h"

namespace expertscope {

class Theme;

/// Output norms of a run's experts, headless: a measure of importance over layers × experts, one token's norms beside
/// the scores that chose them, rank against rank, and the importance of a layer's experts. Of the experts that tokens
/// chose; of all experts where a deep capture ran them.
class NormsModel {
public:
    /// The literature's scores of importance; see SelectedNorms.
    enum class Measure { MeanNorm, Reap, ExpertActivationNorm, LargestNorm, WeightedFrequency, Frequency };
    static constexpr int kMeasures = 6;
    static QString measureName(Measure measure);
    static QString measureDefinition(Measure measure);

    void setRun(std::shared_ptr<const NormsRun> run);
    void setToken(std::shared_ptr<const NormsOfToken> token) { m_token = std::move(token); }
    void setMeasure(Measure measure);
    /// Whose token and importance are shown.
    void setLayer(int layer);
    /// Ranks of all layers together, or of the layer.
    void setAllRanks(bool all);
    const std::shared_ptr<const NormsRun>& run() const { return m_run; }
    const std::shared_ptr<const NormsOfToken>& token() const { return m_token; }
    Measure measure() const { return m_measure; }
    int layer() const { return m_layer; }
    bool allRanks() const { return m_allRanks; }

    /// Layers × experts.
    const MatrixMap& map() const { return m_map; }
    QString mapHeading() const;
    QString mapMissing() const;
    QString describe(MatrixMap::Cell cell) const;
    QString measureText(double value) const;

    /// Ranks, 1 (smallest) at row and column 0: of the score, then of the norm. A cell is the part of the tokens.
    const MatrixMap& ranks() const { return m_ranks; }
    bool ranksOfAll() const { return m_rankTable.ofAll; }  ///< experts, not of the chosen alone
    QString ranksHeading() const;
    QString ranksMissing() const;
    QString describeRank(MatrixMap::Cell cell) const;

    /// One token in the layer: a pair of bars an expert, expert i of bars() centred at i on the key axis.
    std::vector<NormOfExpert> bars() const;
    bool barsOfAll() const;  ///< not of the chosen alone
    QString tokenHeading() const;
    QString tokenMissing() const;
    /// Ends of the axes of norms and of scores.
    std::pair<double, double> barEnds() const;
    DrawList tokenChart(const Viewport& viewport, const Theme& theme, const Selection& selected,
                        const Selection& hovered) const;
    std::vector<LegendEntry> tokenLegend(const Theme& theme) const;
    QString describeBar(int bar) const;

    /// The layer's experts, the most important first; a column of each score.
    QString importanceHeading() const;
    QStringList importanceColumns() const;
    std::vector<std::vector<TableCell>> importance() const;

    QString counted() const;
    QStringList columns() const;
    int rowCount() const;
    std::vector<TableCell> row(int row) const;

private:
    struct RankTable {
        std::int64_t tokens = 0;
        std::size_t size = 0;
        std::vector<double> counts;  ///< [size, size]
        double correlation = 0;
        bool ofAll = false;  ///< not of the chosen alone
    };
    double value(Measure measure, int layer, int expert) const;
    RankTable rankTable() const;
    std::vector<TableCell> importanceRow(int layer, int expert) const;
    bool hasNorms() const { return m_run && m_run->norms.withNorm() > 0; }
    QString noNorms() const;
    void fillMap();
    void fillRanks();

    std::shared_ptr<const NormsRun> m_run;
    std::shared_ptr<const NormsOfToken> m_token;
    Measure m_measure = Measure::MeanNorm;
    int m_layer = 0;
    bool m_allRanks = false;
    MatrixMap m_map, m_ranks;
    RankTable m_rankTable;
};

}  // namespace expertscope
