// SPDX-License-Identifier: GPL-3.0-or-later
// The curve over layers and the two scatter plots of the diversity view.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "views/base/draw_marks.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"
#include "views/diversity/diversity_model.h"

namespace expertscope {
namespace {

constexpr double kMark = 7;          // pixels of a mark on a line
constexpr double kPoint = 9;         // pixels of an expert on the plane
constexpr double kPair = 4;          // pixels of a pair
constexpr double kReach = 9;         // pixels from which a point is meant
constexpr double kDigitWidth = 7.5;  // pixels of a digit in the plot font, on the safe side
constexpr double kTextHeight = 14;
constexpr std::size_t kNamed = 3;  // experts that a point of the curve names

/// Colour and second cue of the curve of each map.
struct Style {
    Meaning color;
    Pattern pattern;
};
constexpr std::array<Style, DiversityModel::kMaps> kStyles{{{Meaning::NearMemory, Pattern::CrossHatch},
                                                            {Meaning::Compute, Pattern::Solid},
                                                            {Meaning::TransferDemand, Pattern::Outline},
                                                            {Meaning::Hit, Pattern::DiagonalHatch}}};

QString fewOf(const std::vector<std::int32_t>& experts) {
    QStringList words;
    for (std::size_t i = 0; i < std::min(experts.size(), kNamed); ++i)
        words << QString::number(experts[i]);
    if (experts.size() > kNamed) words << QStringLiteral("+%1").arg(experts.size() - kNamed);
    return words.join(QStringLiteral(", "));
}

/// Labels of points that lie neither on each other (the first come stay) nor on other points.
class Labels {
public:
    Labels(DrawList& list, const Viewport& viewport) : m_list(list), m_viewport(viewport) {}
    /// A mark that no label is to lie on.
    void keepClear(const QPointF& at, double size) {
        const double x = pixelsPerUnitX(m_viewport), y = pixelsPerUnitY(m_viewport);
        m_taken.emplace_back((at.x() - m_viewport.range.left()) * x - size / 2,
                             (at.y() - m_viewport.range.top()) * y - size / 2, size, size);
    }
    /// `from` pixels beside the point.
    void add(const QPointF& at, double from, const QString& text, const QColor& color) {
        const double x = pixelsPerUnitX(m_viewport), y = pixelsPerUnitY(m_viewport);
        if (x <= 0 || y <= 0) return;
        const double width = kDigitWidth * static_cast<double>(text.size());
        QRectF box((at.x() - m_viewport.range.left()) * x + from,
                   (at.y() - m_viewport.range.top()) * y - kTextHeight / 2, width, kTextHeight);
        const bool isCut = box.right() > m_viewport.pixels.width();  // at the edge it stands on the other side
        if (isCut) box.translate(-width - 2 * from, 0);
        if (std::ranges::any_of(m_taken, [&](const QRectF& taken) { return taken.intersects(box); })) return;
        m_taken.push_back(box);
        m_list.texts.push_back({at + QPointF((isCut ? -from : from) / x, 0), text, color,
                                (isCut ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter});
    }

private:
    DrawList& m_list;
    const Viewport& m_viewport;
    std::vector<QRectF> m_taken;
};

/// Around points, with a tenth of room on each side.
class Extent {
public:
    void add(double x, double y) {
        if (!std::isfinite(x) || !std::isfinite(y)) return;
        m_left = std::fmin(m_left, x), m_right = std::fmax(m_right, x);
        m_low = std::fmin(m_low, y), m_high = std::fmax(m_high, y);
    }
    QRectF range() const {
        if (std::isnan(m_left)) return {0, 0, 1, 1};
        const double width = m_right > m_left ? m_right - m_left : 1, height = m_high > m_low ? m_high - m_low : 1;
        return {m_left - 0.1 * width, m_low - 0.1 * height, 1.2 * width, 1.2 * height};
    }

private:
    double m_left = std::numeric_limits<double>::quiet_NaN(), m_right = m_left, m_low = m_left, m_high = m_left;
};

/// Ends of a straight line within a range.
std::pair<QPointF, QPointF> acrossOf(const QRectF& range, double slope, double intercept) {
    return {{range.left(), slope * range.left() + intercept}, {range.right(), slope * range.right() + intercept}};
}

}  // namespace

QString DiversityModel::curveHeading() const {
    std::vector<std::int32_t> layers;
    for (std::size_t which = 0; which < kMaps; ++which)
        for (const AlikenessCurve::Point& point : points(which))
            if (point.standsOut && std::ranges::count(layers, point.layer) == 0) layers.push_back(point.layer);
    std::ranges::sort(layers);
    QString heading = QStringLiteral("Similarity of a layer's experts · numbers: experts apart");
    if (isReordered()) heading = QStringLiteral("Similarity of a layer's experts, reordered");
    if (isReordered() && m_reorderedLayers)
        heading += QStringLiteral(" · %1 of %2 pairs each")
                       .arg(countText(m_reorderedLayers->sample.pairs), countText(m_reorderedLayers->sample.ofPairs));
    if (layers.empty()) return heading;
    return heading + QStringLiteral(" · %1 %2 out")
                         .arg(layers.size() == 1 ? QStringLiteral("layer %1").arg(layers.front())
                                                 : QStringLiteral("layers %1").arg(fewOf(layers)),
                              layers.size() == 1 ? QStringLiteral("stands") : QStringLiteral("stand"));
}

double DiversityModel::ifRandom() const {
    return isReordered() && m_reorderedLayers ? m_reorderedLayers->sample.ifRandom
                                              : std::numeric_limits<double>::quiet_NaN();
}

QString DiversityModel::ifRandomText() const {
    if (!isReordered()) return QStringLiteral("0");
    return std::isfinite(ifRandom()) ? QStringLiteral("0, reordered %1").arg(numberText(ifRandom()))
                                     : QStringLiteral("0, reordered more");
}

int DiversityModel::layers() const {
    return m_curves && !m_curves->router.points.empty() ? m_curves->router.points.back().layer + 1 : 0;
}

std::pair<double, double> DiversityModel::curveEnds() const {
    double low = 0, high = std::fmax(0, ifRandom());
    for (std::size_t which = 0; which < kMaps; ++which) {
        for (const AlikenessCurve::Point& point : points(which)) {
            low = std::fmin(low, point.mean);
            high = std::fmax(high, point.mean);
        }
    }
    if (high <= low) return {-0.1, 1};
    const double room = 0.12 * (high - low);
    return {low < 0 ? low - room : -room / 2, high + room};
}

DrawList DiversityModel::curveChart(const Viewport& viewport, const Theme& theme, const Selection& selected) const {
    DrawList list;
    if (!m_curves) return list;
    const double top = viewport.range.bottom(), bottom = viewport.range.top();
    if (selected.layer && selected.layer->value() < layers()) {
        const auto x = static_cast<double>(selected.layer->value());
        list.lines.push_back({{x, bottom}, {x, top}, theme.highlight(), false});
    }
    list.lines.push_back({{viewport.range.left(), 0}, {viewport.range.right(), 0}, theme.text(), true});
    if (std::isfinite(ifRandom()))
        list.lines.push_back(
            {{viewport.range.left(), ifRandom()}, {viewport.range.right(), ifRandom()}, theme.text(), true});
    const double lift = pixelsPerUnitY(viewport) > 0 ? 6 / pixelsPerUnitY(viewport) : 0;
    for (std::size_t which = 0; which < kMaps; ++which) {
        const QColor color = theme.color(kStyles[which].color);
        Polyline line(list, color);
        for (const AlikenessCurve::Point& point : points(which)) {
            const QPointF at(point.layer, point.mean);
            line.to(at);
            if (!std::isfinite(point.mean)) continue;
            list.rects.push_back({pixelBox(at, kMark, viewport), color, kStyles[which].pattern, {}, point.layer});
            if (!point.apart.empty())
                list.texts.push_back(
                    {at + QPointF(0, lift), fewOf(point.apart), theme.text(), Qt::AlignHCenter | Qt::AlignBottom});
        }
    }
    return list;
}

std::vector<LegendEntry> DiversityModel::curveLegend(const Theme& theme) const {
    std::vector<LegendEntry> entries;
    for (std::size_t which = 0; which < kMaps; ++which)
        entries.push_back({nameOfMap(which), theme.color(kStyles[which].color), kStyles[which].pattern});
    entries.push_back({isReordered() ? QStringLiteral("if random (dashed): %1").arg(ifRandomText())
                                     : QStringLiteral("if random (dashed)"),
                       theme.text()});
    return entries;
}

QString DiversityModel::describeLayer(int layer) const {
    if (!m_curves || layer < 0 || layer >= layers()) return {};
    QStringList lines{QStringLiteral("Layer %1 · mean cosine of two experts (if random about %2)")
                          .arg(QString::number(layer), ifRandomText())};
    for (std::size_t which = 0; which < kMaps; ++which) {
        const auto ofCurve = points(which);
        const auto found = std::ranges::find(ofCurve, layer, &AlikenessCurve::Point::layer);
        if (found == ofCurve.end()) continue;
        QString line =
            QStringLiteral("%1: %2 (%3 to %4)")
                .arg(nameOfMap(which), numberText(found->mean), numberText(found->least), numberText(found->most));
        if (!found->apart.empty()) line += QStringLiteral(", apart: %1").arg(fewOf(found->apart));
        if (which > 0 && isReordered()) line += QStringLiteral(", reordered");
        if (found->standsOut) line += QStringLiteral(", stands out among the layers");
        lines << line;
    }
    return lines.join(QChar('\n'));
}

QString DiversityModel::planeHeading() const {
    const ExpertPlane* of = plane();
    if (!of) return QStringLiteral("Experts on two principal components");
    QStringList far;
    for (std::size_t i = 0; i < of->points.size(); ++i)
        if (of->outliers[i]) far << QString::fromStdString(of->units[i].name);
    return QStringLiteral("Layer %1 · experts by their %2 matrices · %3")
        .arg(QString::number(m_planes->layer), QString::fromLatin1(nameOf(m_matrix)),
             far.isEmpty() ? QStringLiteral("none far out")
                           : QStringLiteral("far out: %1").arg(far.join(QStringLiteral(", "))));
}

QString DiversityModel::planeMissing() const {
    return plane() && plane()->points.empty() ? QStringLiteral("No two experts that differ") : QString();
}

QString DiversityModel::planeAxis(int component) const {
    QString name = QStringLiteral("PC %1").arg(component + 1);
    if (!plane() || plane()->points.empty()) return name;
    return QStringLiteral("%1 (%2 of variance)")
        .arg(name, percentText(plane()->shares[static_cast<std::size_t>(component)]));
}

QRectF DiversityModel::planeRange() const {
    Extent extent;
    if (plane())
        for (const auto& point : plane()->points)
            extent.add(point[0], point[1]);
    return extent.range();
}

DrawList DiversityModel::planeChart(const Viewport& viewport, const Theme& theme, const Selection& selected,
                                    const Selection& hovered) const {
    DrawList list;
    if (!plane()) return list;
    const ExpertPlane& of = *plane();
    Labels labels(list, viewport);
    const auto at = [&](std::size_t i) { return QPointF(of.points[i][0], of.points[i][1]); };
    const auto meant = [&](const Selection& selection, std::size_t i) {
        return of.units[i].expert >= 0 && expertIn(selection, m_planes->layer) == of.units[i].expert;
    };
    const auto label = [&](std::size_t i) {
        labels.add(at(i), kPoint / 2 + 3, QString::fromStdString(of.units[i].name), theme.text());
    };
    for (std::size_t i = 0; i < of.points.size(); ++i) {
        const bool routed = of.units[i].expert >= 0;
        labels.keepClear(at(i), kPoint);
        list.rects.push_back({pixelBox(at(i), kPoint, viewport),
                              routed ? theme.expert(of.units[i].expert) : theme.text(),
                              routed ? Pattern::Solid : Pattern::CrossHatch,
                              {},
                              static_cast<std::int64_t>(i)});
        if (of.outliers[i])
            list.rects.push_back({pixelBox(at(i), 1.7 * kPoint, viewport), theme.text(), Pattern::Outline});
    }
    for (std::size_t i = 0; i < of.points.size(); ++i) {
        if (meant(selected, i)) addOutline(list, pixelBox(at(i), 2 * kPoint, viewport), viewport, theme.highlight());
        if (meant(hovered, i)) addOutline(list, pixelBox(at(i), 2 * kPoint, viewport), viewport, theme.hover());
        if (of.outliers[i] || meant(selected, i)) label(i);
    }
    for (std::size_t i = 0; i < of.points.size(); ++i)
        if (!of.outliers[i] && !meant(selected, i)) label(i);
    return list;
}

std::optional<std::size_t> DiversityModel::pointAt(const QPointF& at, const Viewport& viewport) const {
    std::optional<std::size_t> nearest;
    double least = kReach;
    for (std::size_t i = 0; plane() && i < plane()->points.size(); ++i) {
        const auto& point = plane()->points[i];
        const double away =
            std::hypot((point[0] - at.x()) * pixelsPerUnitX(viewport), (point[1] - at.y()) * pixelsPerUnitY(viewport));
        if (away > least) continue;
        least = away;
        nearest = i;
    }
    return nearest;
}

QString DiversityModel::scatterHeading() const {
    if (!m_layer) return QStringLiteral("Do router rows follow the experts?");
    const LinearFit& fit = m_layer->fits[static_cast<std::size_t>(m_matrix)];
    return QStringLiteral("Layer %1 · do router rows follow the experts? · %2: r = %3, R² = %4, %5 pairs")
        .arg(QString::number(m_layer->layer), QString::fromLatin1(nameOf(m_matrix)), numberText(fit.r),
             numberText(fit.r * fit.r), countText(fit.pairs));
}

QString DiversityModel::scatterMissing() const {
    if (!m_layer) return {};
    return m_layer->fits[static_cast<std::size_t>(m_matrix)].pairs > 0 ? QString()
                                                                       : QStringLiteral("No two experts to compare");
}

QRectF DiversityModel::scatterRange() const {
    Extent extent;
    if (!m_layer) return extent.range();
    const SimilarityMatrix& x = m_layer->neurons[static_cast<std::size_t>(m_matrix)];
    for (std::size_t a = 0; a < m_layer->router.size(); ++a)
        for (std::size_t b = 0; b < a; ++b)
            extent.add(x.at(a, b), m_layer->router.at(a, b));
    return extent.range();
}

DrawList DiversityModel::scatterChart(const Viewport& viewport, const Theme& theme, const Selection& selected) const {
    DrawList list;
    if (!m_layer) return list;
    const SimilarityMatrix &x = m_layer->neurons[static_cast<std::size_t>(m_matrix)], &y = m_layer->router;
    const LinearFit& fit = m_layer->fits[static_cast<std::size_t>(m_matrix)];
    const auto expert = expertIn(selected, m_layer->layer);
    std::vector<DrawRect> meant;
    double sum = 0;
    for (std::size_t a = 0; a < y.size(); ++a) {
        for (std::size_t b = 0; b < a; ++b) {
            const QPointF at(x.at(a, b), y.at(a, b));
            if (!std::isfinite(at.x()) || !std::isfinite(at.y())) continue;
            sum += at.y();
            const bool its = expert && (y.units[a].expert == *expert || y.units[b].expert == *expert);
            if (its)
                meant.push_back({pixelBox(at, kPair + 2, viewport), theme.highlight()});
            else
                list.rects.push_back({pixelBox(at, kPair, viewport), theme.color(Meaning::Compute)});
        }
    }
    list.rects.insert(list.rects.end(), meant.begin(), meant.end());
    if (fit.pairs > 0) {
        const auto [from, to] = acrossOf(viewport.range, 0, sum / static_cast<double>(fit.pairs));
        list.lines.push_back({from, to, theme.text(), true});
    }
    if (std::isfinite(fit.slope)) {
        const auto [from, to] = acrossOf(viewport.range, fit.slope, fit.intercept);
        list.lines.push_back({from, to, theme.color(Meaning::TransferDemand), false});
    }
    return list;
}

std::vector<LegendEntry> DiversityModel::scatterLegend(const Theme& theme, const Selection& selected) const {
    std::vector<LegendEntry> entries{{QStringLiteral("two experts"), theme.color(Meaning::Compute)},
                                     {QStringLiteral("line of least squares"), theme.color(Meaning::TransferDemand)},
                                     {QStringLiteral("if random (dashed)"), theme.text()}};
    if (m_layer)
        if (const auto expert = expertIn(selected, m_layer->layer))
            entries.push_back({QStringLiteral("pairs of expert %1").arg(*expert), theme.highlight()});
    return entries;
}

}  // namespace expertscope
