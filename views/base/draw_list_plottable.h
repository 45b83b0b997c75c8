// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QHash>
#include <QStaticText>
#include <cstdint>
#include <functional>

#include <qcustomplot.h>

#include "views/base/draw_list.h"

namespace expertscope {

/// Paints a draw list in the coordinates of two axes: solid boxes batched by colour, hatches as thin lines, labels
/// elided and cached, images stretched without smoothing. Only what lies in the axis rect is touched, so a frame costs
/// what is visible. Owned by the plot, as every plottable.
class DrawListPlottable : public QCPAbstractPlottable {
    Q_OBJECT
public:
    DrawListPlottable(QCPAxis* keyAxis, QCPAxis* valueAxis);

    /// Takes what is painted at the next replot.
    void setDrawList(DrawList list) { m_list = std::move(list); }
    /// Asks `source` for the list at every replot instead, with the range and size that the axis rect has by then.
    void setSource(std::function<DrawList(const Viewport&)> source) { m_source = std::move(source); }
    /// Whether a label that does not fit is cut with an ellipsis (so at first) or left out.
    void setEliding(bool eliding) { m_eliding = eliding; }
    const DrawList& drawList() const { return m_list; }
    /// The visible range of the axes and the size of the axis rect.
    Viewport viewport() const;
    /// Pixels that boxes leave free at their right edge, so that neighbours of one colour can be told apart; 0 at
    /// first.
    void setGap(double pixels) { m_gap = pixels; }
    /// Tag of the topmost filled box under a pixel of the plot, or -1.
    std::int64_t tagAt(const QPointF& pixel) const;
    /// Where a box in plot coordinates lies, in pixels of the plot.
    QRectF toPixels(const QRectF& rect) const;

    double selectTest(const QPointF& pos, bool onlySelectable, QVariant* details = nullptr) const override;
    QCPRange getKeyRange(bool& foundRange, QCP::SignDomain inSignDomain = QCP::sdBoth) const override;
    QCPRange getValueRange(bool& foundRange, QCP::SignDomain inSignDomain = QCP::sdBoth,
                           const QCPRange& inKeyRange = QCPRange()) const override;

protected:
    void draw(QCPPainter* painter) override;
    void drawLegendIcon(QCPPainter* painter, const QRectF& rect) const override;

private:
    struct Label {
        QStaticText text;
        int width = 0;
    };

    template <class Low, class High>
    QCPRange rangeOf(bool& found, const Low& low, const High& high) const;
    void drawImages(QCPPainter* painter) const;
    void drawRects(QCPPainter* painter);
    void drawLabel(QCPPainter* painter, const DrawRect& item, const QRectF& box);
    void drawLines(QCPPainter* painter) const;
    void drawTexts(QCPPainter* painter) const;
    const Label& elided(const QString& text, int width, const QFont& font);

    DrawList m_list;
    std::function<DrawList(const Viewport&)> m_source;
    double m_gap = 0;
    bool m_eliding = true;
    QHash<QString, Label> m_labels;  ///< by text and width
};

}  // namespace expertscope
