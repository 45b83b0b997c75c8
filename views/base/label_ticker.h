// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>

#include <qcustomplot.h>

namespace expertscope {

/// Ticks of a bottom axis with one label a unit, at 0, 1, 2…: where labels would touch, only each second (third, …) is
/// shown, and the others keep their ticks.
class LabelTicker : public QCPAxisTicker {
public:
    LabelTicker(const QCPAxis& axis, QStringList labels) : m_axis(axis), m_labels(std::move(labels)) {}

protected:
    QVector<double> createTickVector(double tickStep, const QCPRange& range) override;
    int getSubTickCount(double) override { return 0; }
    QString getTickLabel(double tick, const QLocale& locale, QChar formatChar, int precision) override;

private:
    const QCPAxis& m_axis;
    QStringList m_labels;
    qsizetype m_every = 1;  ///< label that is shown, as of the last ticks
};

/// Ticks of a bottom axis of numbers: as many as usual, but fewer where their labels would touch.
class ValueTicker : public QCPAxisTicker {
public:
    explicit ValueTicker(const QCPAxis& axis) : m_axis(axis) {}

protected:
    double getTickStep(const QCPRange& range) override;

private:
    const QCPAxis& m_axis;
};

/// Gives the axis such labels.
void setLabels(QCPAxis& axis, const QStringList& labels);

}  // namespace expertscope
