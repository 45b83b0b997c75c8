// SPDX-License-Identifier: GPL-3.0-or-later
// Mutual information as bars, and the table twin of the links view.

#include <cmath>

#include "views/base/draw_marks.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"
#include "views/links/links_model.h"

namespace expertscope {
namespace {

constexpr double kLabelWidth = 40;  // pixels of "0.123"

}  // namespace

QString LinksModel::informationHeading() const {
    return QStringLiteral("What a layer's choice says about the next one's · mutual information, %1")
        .arg(transitionPairsName(m_information ? m_information->pairs : TransitionPairs::First));
}

double LinksModel::informationEnd() const {
    double most = 0;
    if (m_information)
        for (const LinksInformation::Row& row : m_information->rows)
            most = std::fmax(most, std::fmax(row.bits, row.shuffledBits));
    return most > 0 ? most * 1.15 : 1;
}

DrawList LinksModel::informationChart(const Viewport& viewport, const Theme& theme, const Selection& selected) const {
    DrawList list;
    if (!m_information) return list;
    const bool room = pixelsPerUnitX(viewport) > kLabelWidth;
    const double lift = pixelsPerUnitY(viewport) > 0 ? 2 / pixelsPerUnitY(viewport) : 0;
    for (const LinksInformation::Row& row : m_information->rows) {
        if (!std::isfinite(row.bits)) continue;
        const QRectF bar(row.from - 0.38, 0, 0.76, row.bits);
        list.rects.push_back({bar, theme.color(Meaning::Compute)});
        if (selected.layer && selected.layer->value() == row.from)
            addOutline(list, QRectF(row.from - 0.46, 0, 0.92, std::max(row.bits, informationEnd() * 0.02)), viewport,
                       theme.highlight());
        list.lines.push_back(
            {{row.from - 0.46, row.shuffledBits}, {row.from + 0.46, row.shuffledBits}, theme.text(), true});
        if (room)
            list.texts.push_back({{static_cast<double>(row.from), std::fmax(row.bits, row.shuffledBits) + lift},
                                  numberText(row.bits),
                                  theme.text(),
                                  Qt::AlignHCenter | Qt::AlignBottom});
    }
    return list;
}

QString LinksModel::describeInformation(int at) const {
    if (!m_information || at < 0 || at >= static_cast<int>(m_information->rows.size())) return {};
    const LinksInformation::Row& row = m_information->rows[static_cast<std::size_t>(at)];
    return QStringLiteral(
               "Layer %1 to %2, %3 tokens: %4 (if paired at random %5)\n%6 of the next choice is known "
               "from this one\nan expert's most frequent fifth of the successors take %7 (if random %8)")
        .arg(QString::number(row.from), QString::number(row.to), countText(row.tokens),
             numberText(row.bits, QStringLiteral("bits")), numberText(row.shuffledBits), percentText(row.normalised),
             percentText(row.top), percentText(row.shuffledTop));
}

QStringList LinksModel::columns() const {
    return {"figure",  "layer",    "expert",    "other layer", "other expert",
            "counted", "measured", "if random", "lift",        "rank correlation"};
}

int LinksModel::rowCount() const {
    std::size_t rows = 0;
    if (m_links) rows += m_together.values.size() + m_next.values.size();
    if (m_run) rows += m_run->similarities.size();
    if (m_information) rows += m_information->rows.size();
    return static_cast<int>(rows);
}

std::vector<TableCell> LinksModel::row(int index) const {
    auto at = static_cast<std::size_t>(index);
    if (m_links) {
        if (at < m_together.values.size()) {
            const std::size_t i = at / experts(), j = at % experts();
            const CoActivation& counts = m_links->together;
            return {TableCell(QStringLiteral("chosen together (share of the expert's tokens)")),
                    indexCell(m_links->layer),
                    indexCell(static_cast<int>(i)),
                    indexCell(m_links->layer),
                    indexCell(static_cast<int>(j)),
                    countCell(i == j ? counts.alone[i] : counts.together[at]),
                    percentCell(togetherShare(i, j)),
                    percentCell(randomShare()),
                    numberCell(togetherLift(i, j)),
                    {}};
        }
        at -= m_together.values.size();
        if (at < m_next.values.size()) {
            const std::size_t i = at / experts(), j = at % experts();
            return {TableCell(QStringLiteral("transition (share of the expert's successors)")),
                    indexCell(m_links->layer),
                    indexCell(static_cast<int>(i)),
                    indexCell(m_links->layer + 1),
                    indexCell(static_cast<int>(j)),
                    countCell(m_links->next->counts[at]),
                    percentCell(nextShare(i, j)),
                    percentCell(randomProbability()),
                    numberCell(nextLift(i, j)),
                    {}};
        }
        at -= m_next.values.size();
    }
    if (at < m_run->similarities.size()) {
        const LayerSimilarity& pair = m_run->similarities[at];
        return {TableCell(QStringLiteral("likeness of loads (cosine)")),
                indexCell(pair.layer.value()),
                {},
                indexCell(pair.other.value()),
                {},
                {},
                numberCell(pair.cosine),
                numberCell(pair.randomCosine),
                {},
                numberCell(pair.spearman)};
    }
    const LinksInformation::Row& row = m_information->rows[at - m_run->similarities.size()];
    return {TableCell(QStringLiteral("mutual information (bits)")),
            indexCell(row.from),
            {},
            indexCell(row.to),
            {},
            countCell(row.tokens),
            numberCell(row.bits),
            numberCell(row.shuffledBits),
            {},
            {}};
}

}  // namespace expertscope
