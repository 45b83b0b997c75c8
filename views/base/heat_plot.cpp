// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/heat_plot.h"

#include <algorithm>
#include <cmath>

#include "views/base/draw_marks.h"
#include "views/base/number_format.h"
#include "views/base/plot_style.h"
#include "views/base/theme.h"

namespace expertscope {

namespace {

constexpr double kLabelGap = 8;    // pixels between two labels
constexpr double kBesideMap = 60;  // pixels that the value axis takes

/// The smallest of 1, 2, 5, 10, 20, 50… that is not below `least`.
double niceStep(double least) {
    double step = 1;
    for (int i = 0; step < least; ++i)
        step *= i % 3 == 1 ? 2.5 : 2;
    return step;
}

/// Ticks in the middle of unit cells, labelled with the cell's number.
class CellTicker : public QCPAxisTicker {
public:
    /// `pixels`: how long the axis is, where its labels stand side by side; may be empty.
    CellTicker(int first, QStringList names, std::function<double()> pixels)
        : m_first(first), m_names(std::move(names)), m_pixels(std::move(pixels)) {}

protected:
    double getTickStep(const QCPRange& range) override {
        const double step = std::max(1.0, QCPAxisTicker::getTickStep(range));
        if (!m_pixels) return step;
        const auto digits = static_cast<double>(QString::number(m_first + std::llround(range.upper)).size());
        const double least = (digits * kDigitWidth + kLabelGap) * range.size() / std::max(1.0, m_pixels());
        return least > step ? niceStep(least) : step;
    }
    int getSubTickCount(double) override { return 0; }
    QString getTickLabel(double tick, const QLocale&, QChar, int) override {
        const auto cell = static_cast<qsizetype>(std::floor(tick));
        return cell >= 0 && cell < m_names.size() ? m_names[cell] : QString::number(m_first + cell);
    }
    QVector<double> createTickVector(double step, const QCPRange& range) override {
        QVector<double> ticks;
        const double every = std::round(step);
        for (double cell = std::floor(range.lower / every) * every; cell + 0.5 <= range.upper; cell += every)
            if (cell + 0.5 >= range.lower) ticks.append(cell + 0.5);
        return ticks;
    }

private:
    int m_first;
    QStringList m_names;
    std::function<double()> m_pixels;
};

void showGridOf(QCPAxisRect* rect, bool visible) {
    for (QCPAxis* axis : rect->axes())
        axis->grid()->setVisible(visible);
}

}  // namespace

HeatPlot::HeatPlot(QWidget* parent) : QCustomPlot(parent), m_rect(axisRect()) {
    m_map = new DrawListPlottable(xAxis, yAxis);
    m_marks = new DrawListPlottable(xAxis, yAxis);
    m_marks->setLayer(QStringLiteral("overlay"));
    yAxis->setRangeReversed(true);
    for (QCPAxis* axis : {xAxis, yAxis}) {
        axis->setSubTicks(false);
        axis->setTickLength(0, 4);  // inside they would lie on the cells
    }
    setCells(0);
    showGridOf(m_rect, false);
    m_rect->setupFullAxesBox(false);
    xAxis2->setTickLabels(false);
    xAxis2->setTicks(false);
    yAxis2->setTicks(false);
    m_scale = new ColorScale(this);
    plotLayout()->addElement(0, 1, m_scale);
    plotLayout()->setColumnStretchFactor(0, 6);
    connect(this, &QCustomPlot::afterLayout, this, [this] {
        if (m_drawing || !beforeDraw) return;
        m_drawing = true;
        beforeDraw();
        m_drawing = false;
    });
}

int HeatPlot::addStrip(const QString& caption) {
    Strip strip;
    strip.caption = caption;
    strip.rect = new QCPAxisRect(this, false);
    QCPAxis* bottom = strip.rect->addAxis(QCPAxis::atBottom);
    QCPAxis* left = strip.rect->addAxis(QCPAxis::atLeft);
    left->setRangeReversed(true);
    left->setTickLabels(false);
    left->setTicks(false);
    bottom->setLabel(caption);
    bottom->setTicker(QSharedPointer<QCPAxisTickerText>::create());
    bottom->setSubTicks(false);
    showGridOf(strip.rect, false);
    strip.rect->setMinimumSize(96, 40);
    strip.rect->setMaximumSize(150, QWIDGETSIZE_MAX);
    strip.bars = new DrawListPlottable(bottom, left);

    const int column = plotLayout()->columnCount() - 1;
    plotLayout()->insertColumn(column);
    plotLayout()->addElement(0, column, strip.rect);
    // One margin for all, so that the rows lie side by side.
    if (!m_rect->marginGroup(QCP::msBottom))
        m_rect->setMarginGroup(QCP::msTop | QCP::msBottom, new QCPMarginGroup(this));
    strip.rect->setMarginGroup(QCP::msTop | QCP::msBottom, m_rect->marginGroup(QCP::msBottom));
    connect(yAxis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), left,
            qOverload<const QCPRange&>(&QCPAxis::setRange));
    m_strips.push_back(strip);
    return static_cast<int>(m_strips.size()) - 1;
}

void HeatPlot::setStripEnd(int index, double end, double room) {
    QCPAxis* axis = strip(index).rect->axis(QCPAxis::atBottom);
    axis->setRange(0, end * room);
    const auto ticker = QSharedPointer<QCPAxisTickerText>::create();
    ticker->addTick(0, QStringLiteral("0"));
    ticker->addTick(end, numberText(end));
    axis->setTicker(ticker);
}

void HeatPlot::setTheme(const Theme& theme) {
    applyTheme(*this, theme);
    m_scale->setTheme(theme);
}

void HeatPlot::setAxisLabels(const QString& x, const QString& y) {
    xAxis->setLabel(x);
    yAxis->setLabel(y);
}

void HeatPlot::setCells(int first, const QStringList& names) {
    // Ticks are made before the plot is laid out, when its own width is known and the map's is the last one.
    const auto width = [this] {
        return QCustomPlot::viewport().width() - kBesideMap - m_scale->minimumOuterSizeHint().width();
    };
    xAxis->setTicker(QSharedPointer<CellTicker>::create(first, names, width));
    yAxis->setTicker(QSharedPointer<CellTicker>::create(first, names, nullptr));
    xAxis->ticker()->setTickCount(20);
    yAxis->ticker()->setTickCount(16);
}

void HeatPlot::showAll(double columns, double rows) {
    xAxis->setRange(0, std::max(columns, 1.0));
    yAxis->setRange(0, std::max(rows, 1.0));
}

Viewport HeatPlot::viewport() const {
    const QCPRange x = xAxis->range(), y = yAxis->range();
    return {QRectF(x.lower, y.lower, x.size(), y.size()), m_rect->rect().size()};
}

Viewport HeatPlot::stripViewport(int index) const {
    const QCPRange x = strip(index).rect->axis(QCPAxis::atBottom)->range(), y = yAxis->range();
    return {QRectF(x.lower, y.lower, x.size(), y.size()), strip(index).rect->rect().size()};
}

QPointF HeatPlot::toPlot(const QPointF& pixel) const {
    return {xAxis->pixelToCoord(pixel.x()), yAxis->pixelToCoord(pixel.y())};
}

bool HeatPlot::inMap(const QPointF& pixel) const { return QRectF(m_rect->rect()).contains(pixel); }

int HeatPlot::stripRowAt(const QPointF& pixel) const {
    const bool inside =
        std::ranges::any_of(m_strips, [&](const Strip& strip) { return QRectF(strip.rect->rect()).contains(pixel); });
    return inside ? static_cast<int>(std::floor(yAxis->pixelToCoord(pixel.y()))) : -1;
}

}  // namespace expertscope
