// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>

#include <qcustomplot.h>

namespace expertscope {

/// Ticks of a bottom axis with one label a unit, at 0, 1, 2…: labels that would touch the one before are left out and
/// keep their ticks, so that every width shows as many as fit.
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
    QVector<bool> m_shown;  ///< by label, as of the last ticks
};

/// Gives the axis such labels.
void setLabels(QCPAxis& axis, const QStringList& labels);

}  // namespace expertscope
