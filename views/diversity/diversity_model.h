// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QStringList>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "views/base/draw_list.h"
#include "views/base/legend_strip.h"
#include "views/base/matrix_map.h"
#include "views/base/selection.h"
#include "views/base/table_model.h"
#include "views/diversity/diversity_data.h"
#include "views/diversity/reordered_experts.h"

namespace expertscope {

class Theme;

/// How alike the experts of a model are, headless: a layer's similarity matrices side by side, their means over the
/// layers, its experts on two principal components, and whether router rows that are alike go with experts that are.
class DiversityModel {
public:
    /// Whose least and most similarity are the ends of the colour bars.
    enum class Range { Layer, AllLayers };
    /// The router's rows, then up, gate, down.
    static constexpr std::size_t kMaps = 4;

    void forget();
    void setLayer(std::shared_ptr<const LayerAlikeness> layer);
    void setPlanes(std::shared_ptr<const LayerPlanes> planes) { m_planes = std::move(planes); }
    void setCurves(std::shared_ptr<const AlikenessCurves> curves);
    /// Of the layer that is set.
    void setReordered(std::shared_ptr<const ReorderedLayer> layer);
    void setReorderedLayers(std::shared_ptr<const ReorderedLayers> layers);
    void setCompared(ComparedExperts what);
    void setRange(Range range);
    /// Which matrix the points of the two scatter plots are of.
    void setMatrix(ExpertMatrix matrix) { m_matrix = matrix; }
    const std::shared_ptr<const LayerAlikeness>& layer() const { return m_layer; }
    const std::shared_ptr<const LayerPlanes>& planes() const { return m_planes; }
    const std::shared_ptr<const AlikenessCurves>& curves() const { return m_curves; }
    const std::shared_ptr<const ReorderedLayer>& reordered() const { return m_reordered; }
    const std::shared_ptr<const ReorderedLayers>& reorderedLayers() const { return m_reorderedLayers; }
    ComparedExperts compared() const { return m_compared; }
    /// Whether the matrices, all maps but the first, are to be shown reordered.
    bool isReordered() const { return m_compared == ComparedExperts::Reordered; }
    Range range() const { return m_range; }
    ExpertMatrix matrix() const { return m_matrix; }

    const MatrixMap& map(std::size_t which) const { return m_maps[which]; }
    QString mapHeading(std::size_t which) const;
    QString mapMissing(std::size_t which) const;
    QString describe(std::size_t which, MatrixMap::Cell cell) const;
    /// Of its rows: numbers of experts, "SE".
    QStringList namesOf(std::size_t which) const;
    /// The routed expert of a row of a map; none where the row is a shared expert's.
    std::optional<int> expertAt(std::size_t which, int row) const;

    /// The curve: a layer is at its index on the key axis.
    QString curveHeading() const;
    std::pair<double, double> curveEnds() const;
    int layers() const;
    DrawList curveChart(const Viewport& viewport, const Theme& theme, const Selection& selected) const;
    std::vector<LegendEntry> curveLegend(const Theme& theme) const;
    QString describeLayer(int layer) const;

    QString planeHeading() const;
    QString planeMissing() const;
    /// What of it is to be visible: x, y, width, height with some room around the points.
    QRectF planeRange() const;
    QString planeAxis(int component) const;
    DrawList planeChart(const Viewport& viewport, const Theme& theme, const Selection& selected,
                        const Selection& hovered) const;
    /// Place in the plane's units of the point nearest to a place in the plot, if one is within some pixels.
    std::optional<std::size_t> pointAt(const QPointF& at, const Viewport& viewport) const;
    QString describePoint(std::size_t point) const;
    std::optional<int> expertOfPoint(std::size_t point) const;

    QString scatterHeading() const;
    QString scatterMissing() const;
    QRectF scatterRange() const;
    DrawList scatterChart(const Viewport& viewport, const Theme& theme, const Selection& selected) const;
    std::vector<LegendEntry> scatterLegend(const Theme& theme, const Selection& selected) const;

    QString counted() const;
    QStringList columns() const;
    int rowCount() const;
    std::vector<TableCell> row(int row) const;

private:
    /// What the row or the curve of a map is called: "router rows", "up".
    static QString nameOfMap(std::size_t which);
    const SimilarityMatrix* similarity(std::size_t which) const;
    const SimilaritySummary* summary(std::size_t which) const;
    /// Of a map's curve; none before they are counted.
    std::span<const AlikenessCurve::Point> points(std::size_t which) const;
    /// What reordering makes of random numbers; NaN: not reordered, or not known.
    double ifRandom() const;
    QString ifRandomText() const;
    const std::optional<NeuronMatch>& match(std::size_t which, std::size_t a, std::size_t b) const;
    QString describeMatch(std::size_t which, std::size_t a, std::size_t b) const;
    QString countedOfReordering() const;
    std::vector<TableCell> emptyRow(const QString& figure, int layer, const QString& of) const;
    std::vector<TableCell> pairRow(std::size_t which, std::size_t pair) const;
    std::vector<TableCell> layerRow(std::size_t which, const AlikenessCurve::Point& point) const;
    const ExpertPlane* plane() const;
    std::pair<double, double> rangeOf(std::size_t first, std::size_t last) const;
    void fillMaps();
    std::size_t pairsOf(std::size_t which) const;

    std::shared_ptr<const LayerAlikeness> m_layer;
    std::shared_ptr<const LayerPlanes> m_planes;
    std::shared_ptr<const AlikenessCurves> m_curves;
    std::shared_ptr<const ReorderedLayer> m_reordered;
    std::shared_ptr<const ReorderedLayers> m_reorderedLayers;
    ComparedExperts m_compared = ComparedExperts::Matrices;
    Range m_range = Range::Layer;
    ExpertMatrix m_matrix = ExpertMatrix::Gate;
    std::array<MatrixMap, kMaps> m_maps;
};

}  // namespace expertscope
