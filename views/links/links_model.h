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
#include "views/links/links_data.h"

namespace expertscope {

class Theme;

/// Which experts and layers go together, headless: pairs and successors of one layer's experts, what each layer's
/// choice says about the next one's, and how alike the layers' loads are.
class LinksModel {
public:
    /// Share: of the row's expert, as a sequential map. Lift: against independent choices, as a signed map of its
    /// logarithm, so that ×2 and ×½ are equally far from ×1.
    enum class Measure { Share, Lift };
    enum class Likeness { AboveRandom, Cosine, RankCorrelation };

    void setRun(std::shared_ptr<const LinksRun> run);
    void setLayerLinks(std::shared_ptr<const LinksLayer> links);
    void setInformation(std::shared_ptr<const LinksInformation> information) { m_information = std::move(information); }
    void setMeasure(Measure measure);
    void setLikeness(Likeness likeness);
    const std::shared_ptr<const LinksRun>& run() const { return m_run; }
    const std::shared_ptr<const LinksLayer>& links() const { return m_links; }
    const std::shared_ptr<const LinksInformation>& information() const { return m_information; }
    Measure measure() const { return m_measure; }
    Likeness likeness() const { return m_likeness; }

    // One matrix of experts × experts, another with the next layer's experts as columns, one of layers × layers. Each
    // has a heading with what was counted, and a sentence where there is nothing to draw.
    const MatrixMap& together() const { return m_together; }
    const MatrixMap& next() const { return m_next; }
    const MatrixMap& likenesses() const { return m_likenesses; }
    QString togetherHeading() const;
    QString nextHeading() const;
    QString likenessHeading() const;
    QString togetherMissing() const;
    QString nextMissing() const;
    QString likenessMissing() const;
    QString describeTogether(MatrixMap::Cell cell) const;
    QString describeNext(MatrixMap::Cell cell) const;
    QString describeLikeness(MatrixMap::Cell cell) const;
    /// Of a colour bar of experts' matrices: "25 %", "×2".
    QString measureText(double value) const;
    QString measureCaption() const;
    QString likenessCaption() const;

    /// Mutual information: a bar a layer, centred at its index on the key axis, in bits, with the dashed line of
    /// choices paired at random.
    QString informationHeading() const;
    QString informationMissing() const;
    double informationEnd() const;
    DrawList informationChart(const Viewport& viewport, const Theme& theme, const Selection& selected) const;
    QString describeInformation(int row) const;

    /// What uniform choices would give: the share of a pair, its lift, the probability of a successor.
    double randomShare() const;
    double randomLift() const;
    double randomProbability() const;

    QString counted() const;
    QStringList columns() const;
    int rowCount() const;
    std::vector<TableCell> row(int row) const;

private:
    double togetherShare(std::size_t i, std::size_t j) const;
    double togetherLift(std::size_t i, std::size_t j) const;
    double nextShare(std::size_t i, std::size_t j) const;
    double nextLift(std::size_t i, std::size_t j) const;
    double likenessOf(const LayerSimilarity& pair) const;
    void fillMatrices();
    void fillLikenesses();
    template <class Share, class Lift>
    MatrixMap expertMatrix(const Share& share, const Lift& lift) const;
    std::size_t experts() const { return m_run ? static_cast<std::size_t>(m_run->model().experts) : 0; }

    std::shared_ptr<const LinksRun> m_run;
    std::shared_ptr<const LinksLayer> m_links;
    std::shared_ptr<const LinksInformation> m_information;
    Measure m_measure = Measure::Share;
    Likeness m_likeness = Likeness::AboveRandom;
    MatrixMap m_together, m_next, m_likenesses;
};

}  // namespace expertscope
