// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/label_ticker.h"

#include <QFontMetrics>
#include <algorithm>
#include <cmath>

namespace expertscope {
namespace {

constexpr double kBesideAxis = 80;    // pixels of a plot that its value axis takes
constexpr double kBesideLabels = 40;  // pixels that it takes besides its labels
constexpr double kGap = 6;            // pixels between two labels

}  // namespace

QVector<double> LabelTicker::createTickVector(double, const QCPRange& range) {
    // Ticks are made before the plot is laid out: its own width is known by then, the axis' is the last one.
    const double pixels = std::max(1.0, m_axis.parentPlot()->viewport().width() - kBesideAxis) / range.size();
    const QFontMetrics metrics(m_axis.tickLabelFont());
    QVector<double> ticks, halves;
    for (qsizetype i = 0; i < m_labels.size(); ++i) {
        const auto at = static_cast<double>(i);
        if (at >= range.lower && at <= range.upper) ticks.append(at);
        halves.append(metrics.horizontalAdvance(m_labels[i]) / 2.0);
    }
    const auto touch = [&](qsizetype every) {
        for (qsizetype i = every; i < halves.size(); i += every)
            if (halves[i] + halves[i - every] + kGap > pixels * static_cast<double>(every)) return true;
        return false;
    };
    m_every = 1;
    while (touch(m_every))
        ++m_every;
    return ticks;
}

QString LabelTicker::getTickLabel(double tick, const QLocale&, QChar, int) {
    const auto i = static_cast<qsizetype>(std::llround(tick));
    return i >= 0 && i < m_labels.size() && i % m_every == 0 ? m_labels[i] : QString();
}

double ValueTicker::getTickStep(const QCPRange& range) {
    const QCustomPlot& plot = *m_axis.parentPlot();
    const QFontMetrics metrics(m_axis.tickLabelFont());
    double beside = kBesideAxis;  // what the left axis takes: known for sure only once its labels are
    for (const QString& label : plot.yAxis->tickVectorLabels())
        beside = std::max(beside, kBesideLabels + metrics.horizontalAdvance(label));
    const double pixels = std::max(1.0, plot.viewport().width() - beside) / range.size();
    const auto touch = [&](double step) {
        const double last = std::floor(range.upper / step) * step;
        const QString label = getTickLabel(last, plot.locale(), m_axis.numberFormat().at(0), m_axis.numberPrecision());
        return metrics.horizontalAdvance(label) + kGap > step * pixels;
    };
    constexpr int kUsual = 5;
    double step = 0;
    for (int count = kUsual; count > 0; --count) {
        setTickCount(count);
        step = QCPAxisTicker::getTickStep(range);
        if (!touch(step)) break;
    }
    return step;
}

void setLabels(QCPAxis& axis, const QStringList& labels) {
    axis.setTicker(QSharedPointer<LabelTicker>::create(axis, labels));
    axis.setSubTicks(false);
}

}  // namespace expertscope
