// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/diversity/diversity_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "views/base/number_format.h"

namespace expertscope {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kNamed = 3;  ///< experts that a heading names

QString unitName(const WeightUnit& unit) { return QString::fromStdString(unit.name); }

QString unitText(const WeightUnit& unit) {
    if (unit.expert >= 0) return QStringLiteral("expert %1").arg(unit.expert);
    return unit.name == "F" ? QStringLiteral("the dense FFN") : QStringLiteral("the shared experts (SE)");
}

QString listed(const std::vector<std::int32_t>& experts, std::size_t most) {
    QStringList words;
    for (std::size_t i = 0; i < std::min(experts.size(), most); ++i)
        words << QString::number(experts[i]);
    QString text = words.join(QStringLiteral(", "));
    if (experts.size() > most) text += QStringLiteral(" and %1 more").arg(experts.size() - most);
    return text;
}

/// Ends of a colour bar; a little apart where all values are one.
std::pair<double, double> apart(double low, double high) {
    if (!(low <= high)) return {0, 1};
    return low < high ? std::pair(low, high) : std::pair(low - 0.5, high + 0.5);
}

/// "28 of 496 pairs"
QString pairsText(const ReorderedSample& sample) {
    return QStringLiteral("%1 of %2 pairs").arg(countText(sample.pairs), countText(sample.ofPairs));
}

QString chanceText(const ReorderedSample& sample) {
    return std::isfinite(sample.ifRandom) ? QStringLiteral(" (if random about %1)").arg(numberText(sample.ifRandom))
                                          : QString();
}

}  // namespace

void DiversityModel::forget() {
    m_layer = nullptr;
    m_planes = nullptr;
    m_curves = nullptr;
    m_reordered = nullptr;
    m_reorderedLayers = nullptr;
    fillMaps();
}

void DiversityModel::setLayer(std::shared_ptr<const LayerAlikeness> layer) {
    m_layer = std::move(layer);
    if (m_planes && m_layer && m_planes->layer != m_layer->layer) m_planes = nullptr;
    if (m_reordered && m_layer && m_reordered->layer != m_layer->layer) m_reordered = nullptr;
    fillMaps();
}

void DiversityModel::setCurves(std::shared_ptr<const AlikenessCurves> curves) {
    m_curves = std::move(curves);
    fillMaps();
}

void DiversityModel::setReordered(std::shared_ptr<const ReorderedLayer> layer) {
    m_reordered = std::move(layer);
    fillMaps();
}

void DiversityModel::setReorderedLayers(std::shared_ptr<const ReorderedLayers> layers) {
    m_reorderedLayers = std::move(layers);
    fillMaps();
}

void DiversityModel::setCompared(ComparedExperts what) {
    m_compared = what;
    fillMaps();
}

void DiversityModel::setRange(Range range) {
    m_range = range;
    fillMaps();
}

QString DiversityModel::nameOfMap(std::size_t which) {
    return which == 0 ? QStringLiteral("router rows") : QString::fromLatin1(nameOf(kExpertMatrices[which - 1]));
}

const SimilarityMatrix* DiversityModel::similarity(std::size_t which) const {
    if (!m_layer) return nullptr;
    if (which == 0) return &m_layer->router;
    if (isReordered()) return m_reordered ? &m_reordered->after[which - 1] : nullptr;
    return &(m_compared == ComparedExperts::Matrices ? m_layer->matrices : m_layer->neurons)[which - 1];
}

const SimilaritySummary* DiversityModel::summary(std::size_t which) const {
    if (!m_layer) return nullptr;
    if (which == 0) return &m_layer->routerSummary;
    if (isReordered()) return m_reordered ? &m_reordered->summaries[which - 1] : nullptr;
    return &(m_compared == ComparedExperts::Matrices ? m_layer->matrixSummaries : m_layer->neuronSummaries)[which - 1];
}

std::span<const AlikenessCurve::Point> DiversityModel::points(std::size_t which) const {
    if (!m_curves) return {};
    if (which == 0) return m_curves->router.points;
    if (isReordered() && !m_reorderedLayers) return {};
    const auto& curves = isReordered()                             ? m_reorderedLayers->matrices
                         : m_compared == ComparedExperts::Matrices ? m_curves->matrices
                                                                   : m_curves->neurons;
    return curves[which - 1].points;
}

const std::optional<NeuronMatch>& DiversityModel::match(std::size_t which, std::size_t a, std::size_t b) const {
    return m_reordered->matches[which - 1][a * m_reordered->after[which - 1].size() + b];
}

const ExpertPlane* DiversityModel::plane() const {
    return m_planes ? &m_planes->planes[static_cast<std::size_t>(m_matrix)] : nullptr;
}

/// Least and most of the maps [first, last], of the layer or of all.
std::pair<double, double> DiversityModel::rangeOf(std::size_t first, std::size_t last) const {
    double low = kNone, high = kNone;
    const auto take = [&](double least, double most) {
        low = std::fmin(low, least);
        high = std::fmax(high, most);
    };
    for (std::size_t which = first; which <= last; ++which) {
        take(summary(which)->least, summary(which)->most);
        if (m_range == Range::AllLayers)
            for (const AlikenessCurve::Point& point : points(which))
                take(point.least, point.most);
    }
    return apart(low, high);
}

void DiversityModel::fillMaps() {
    m_maps = {};
    if (!m_layer) return;
    for (std::size_t which = 0; which < kMaps; ++which) {
        if (!similarity(which) || !mapMissing(which).isEmpty()) continue;
        const SimilarityMatrix& from = *similarity(which);
        MatrixMap& map = m_maps[which];
        map.rows = map.columns = static_cast<int>(from.size());
        map.values = from.values;
        // Router rows are compared with each other, matrices with matrices: each has a bar of its own.
        std::tie(map.low, map.high) = which == 0 ? rangeOf(0, 0) : rangeOf(1, kMaps - 1);
        map.text = hundredthsText;
    }
}

QString DiversityModel::mapHeading(std::size_t which) const {
    if (!m_layer) return nameOfMap(which);
    const QString what = which == 0 || m_compared == ComparedExperts::Matrices ? nameOfMap(which)
                         : isReordered() ? QStringLiteral("%1, reordered").arg(nameOfMap(which))
                                         : QStringLiteral("%1, mean neurons").arg(nameOfMap(which));
    QString title = QStringLiteral("Layer %1 · %2").arg(QString::number(m_layer->layer), what);
    if (!summary(which)) return title;
    const SimilaritySummary& of = *summary(which);
    QString more = of.outliers.empty() ? QStringLiteral("none apart")
                                       : QStringLiteral("apart: %1").arg(listed(of.outliers, kNamed));
    if (which > 0 && isReordered() && !m_reordered->sample.all()) more = pairsText(m_reordered->sample);
    return QStringLiteral("%1\nmean %2 · %3").arg(title, numberText(of.mean), more);
}

QString DiversityModel::mapMissing(std::size_t which) const {
    if (!summary(which)) return {};
    return summary(which)->pairs > 0 ? QString() : QStringLiteral("No two experts to compare");
}

QString DiversityModel::describe(std::size_t which, MatrixMap::Cell cell) const {
    const auto a = static_cast<std::size_t>(cell.row), b = static_cast<std::size_t>(cell.column);
    const auto& units = similarity(which)->units;
    const QString what = which == 0 ? QStringLiteral("router rows")
                         : m_compared == ComparedExperts::Neurons
                             ? QStringLiteral("mean neurons of ") + nameOfMap(which)
                             : nameOfMap(which) + QStringLiteral(" matrices");
    if (a == b)
        return QStringLiteral("Layer %1 · %2, %3: the same")
            .arg(QString::number(m_layer->layer), unitText(units[a]), what);
    if (which > 0 && isReordered()) return describeMatch(which, a, b);
    QString text = QStringLiteral("Layer %1 · %2 and %3\ncosine of their %4: %5 (if random about 0)")
                       .arg(QString::number(m_layer->layer), unitText(units[a]), unitText(units[b]), what,
                            numberText(similarity(which)->at(a, b)));
    if (std::ranges::count(summary(which)->outliers, units[a].expert) > 0)
        text += QStringLiteral("\n%1 is unlike all others").arg(unitText(units[a]));
    return text;
}

QString DiversityModel::describeMatch(std::size_t which, std::size_t a, std::size_t b) const {
    const auto& units = similarity(which)->units;
    const ReorderedSample& sample = m_reordered->sample;
    const QString pair = QStringLiteral("Layer %1 · %2 and %3")
                             .arg(QString::number(m_layer->layer), unitText(units[a]), unitText(units[b]));
    const auto& found = match(which, a, b);
    if (!found) return QStringLiteral("%1\nnot among the %2 that were drawn").arg(pair, pairsText(sample));
    QString text =
        QStringLiteral(
            "%1\ncosine of their %2 matrices: %3 after reordering%4, %5 before\n"
            "growth %6 × |before| · Kendall's τ of the two orders %7 · %8 neurons of each")
            .arg(pair, nameOfMap(which), numberText(found->after), chanceText(sample), numberText(found->before),
                 numberText(found->growth()), numberText(found->kendallTau), countText(sample.neurons));
    if (std::ranges::count(summary(which)->outliers, units[a].expert) > 0)
        text += QStringLiteral("\n%1 is unlike all others").arg(unitText(units[a]));
    return text;
}

QStringList DiversityModel::namesOf(std::size_t which) const {
    QStringList names;
    if (const SimilarityMatrix* of = similarity(which))
        for (const WeightUnit& unit : of->units)
            names << unitName(unit);
    return names;
}

std::optional<int> DiversityModel::expertAt(std::size_t which, int row) const {
    const SimilarityMatrix* of = similarity(which);
    if (!of || row < 0 || static_cast<std::size_t>(row) >= of->size()) return std::nullopt;
    const std::int32_t expert = of->units[static_cast<std::size_t>(row)].expert;
    return expert >= 0 ? std::optional<int>(expert) : std::nullopt;
}

QString DiversityModel::describePoint(std::size_t point) const {
    const ExpertPlane& of = *plane();
    return QStringLiteral("Layer %1 · %2, %3\nPC 1 %4, PC 2 %5%6")
        .arg(QString::number(m_planes->layer), unitText(of.units[point]), QString::fromLatin1(nameOf(m_matrix)),
             numberText(of.points[point][0]), numberText(of.points[point][1]),
             of.outliers[point] ? QStringLiteral("\nfar from the others") : QString());
}

std::optional<int> DiversityModel::expertOfPoint(std::size_t point) const {
    const std::int32_t expert = plane()->units[point].expert;
    return expert >= 0 ? std::optional<int>(expert) : std::nullopt;
}

QString DiversityModel::counted() const {
    if (!m_layer) return {};
    return QStringLiteral("Counted: ") + (isReordered() ? countedOfReordering() : m_layer->counted) +
           QStringLiteral(
               " Apart: experts whose mean similarity to the others is far below the layer's median (3.5 "
               "modified z-scores).");
}

QString DiversityModel::countedOfReordering() const {
    // The first sentence tells whose weights they are; the others tell how matrices are compared as they lie.
    QString whose = m_layer->counted.section(QStringLiteral(". "), 0, 0) + QChar('.');
    if (!m_reordered) return whose;
    const ReorderedSample& sample = m_reordered->sample;
    QString text =
        QStringLiteral(
            "%1 Cosine of two experts' matrices once the neurons of one stand in the order that fits the "
            "other's best, of %2 of this layer%3, evenly drawn, with %4 neurons of each expert.")
            .arg(whose, pairsText(sample),
                 m_reorderedLayers
                     ? QStringLiteral(" and %1 of each layer in the curve").arg(pairsText(m_reorderedLayers->sample))
                     : QString(),
                 countText(sample.neurons));
    if (std::isfinite(sample.ifRandom))
        text += QStringLiteral(" Random numbers in the place of the weights reach %1 once reordered.")
                    .arg(numberText(sample.ifRandom));
    return text;
}

QStringList DiversityModel::columns() const {
    QStringList names{"figure", "layer", "of",   "expert", "other expert", "cosine", "least",
                      "most",   "PC 1",  "PC 2", "r",      "R²",           "apart"};
    if (isReordered())
        names << "before"
              << "growth"
              << "Kendall's τ";
    return names;
}

std::size_t DiversityModel::pairsOf(std::size_t which) const {
    const std::size_t n = similarity(which) ? similarity(which)->size() : 0;
    return n > 1 ? n * (n - 1) / 2 : 0;
}

int DiversityModel::rowCount() const {
    std::size_t rows = 0;
    for (std::size_t which = 0; which < kMaps; ++which) {
        rows += pairsOf(which);
        rows += points(which).size();
    }
    if (m_planes)
        for (const ExpertPlane& of : m_planes->planes)
            rows += of.points.size();
    if (m_layer) rows += m_layer->fits.size();
    return static_cast<int>(rows);
}

std::vector<TableCell> DiversityModel::emptyRow(const QString& figure, int layer, const QString& of) const {
    std::vector<TableCell> row(static_cast<std::size_t>(columns().size()));
    row[0] = TableCell(figure);
    row[1] = indexCell(layer);
    row[2] = TableCell(of);
    return row;
}

/// The pair whose number among (0,1), (0,2), … it is.
std::vector<TableCell> DiversityModel::pairRow(std::size_t which, std::size_t pair) const {
    const SimilarityMatrix& of = *similarity(which);
    std::size_t a = 0;
    for (; pair >= of.size() - 1 - a; ++a)
        pair -= of.size() - 1 - a;
    const std::size_t b = a + 1 + pair;
    QString figure = QStringLiteral("similarity of two experts");
    const std::optional<NeuronMatch>* found = which > 0 && isReordered() ? &match(which, a, b) : nullptr;
    if (found) figure += *found ? QStringLiteral(", reordered") : QStringLiteral(", reordered (pair not drawn)");
    auto row = emptyRow(figure, m_layer->layer, nameOfMap(which));
    row[3] = TableCell(unitName(of.units[a]));
    row[4] = TableCell(unitName(of.units[b]));
    row[5] = numberCell(of.at(a, b));
    if (found && *found) {
        row[13] = numberCell((*found)->before);
        row[14] = numberCell((*found)->growth());
        row[15] = numberCell((*found)->kendallTau);
    }
    return row;
}

std::vector<TableCell> DiversityModel::layerRow(std::size_t which, const AlikenessCurve::Point& point) const {
    QString figure = QStringLiteral("similarity of a layer's experts (mean)");
    if (which > 0 && isReordered())
        figure = QStringLiteral("similarity of a layer's experts, reordered (mean of %1)")
                     .arg(pairsText(m_reorderedLayers->sample));
    auto row = emptyRow(figure, point.layer, nameOfMap(which));
    row[5] = numberCell(point.mean);
    row[6] = numberCell(point.least);
    row[7] = numberCell(point.most);
    row[12] = TableCell(listed(point.apart, point.apart.size()));
    return row;
}

std::vector<TableCell> DiversityModel::row(int index) const {
    auto at = static_cast<std::size_t>(index);
    for (std::size_t which = 0; which < kMaps; ++which) {
        if (at < pairsOf(which)) return pairRow(which, at);
        at -= pairsOf(which);
    }
    for (std::size_t which = 0; which < kMaps; ++which) {
        if (at < points(which).size()) return layerRow(which, points(which)[at]);
        at -= points(which).size();
    }
    for (std::size_t m = 0; m_planes && m < kExpertMatrices.size(); ++m) {
        const ExpertPlane& of = m_planes->planes[m];
        if (at >= of.points.size()) {
            at -= of.points.size();
            continue;
        }
        auto row = emptyRow(QStringLiteral("principal components"), m_planes->layer,
                            QString::fromLatin1(nameOf(kExpertMatrices[m])));
        row[3] = TableCell(unitName(of.units[at]));
        row[8] = numberCell(of.points[at][0]);
        row[9] = numberCell(of.points[at][1]);
        if (of.outliers[at]) row[12] = TableCell(unitName(of.units[at]));
        return row;
    }
    const LinearFit& fit = m_layer->fits[at];
    auto row = emptyRow(QStringLiteral("router rows against mean neurons"), m_layer->layer,
                        QString::fromLatin1(nameOf(kExpertMatrices[at])));
    row[10] = numberCell(fit.r);
    row[11] = numberCell(fit.r * fit.r);
    return row;
}

}  // namespace expertscope
