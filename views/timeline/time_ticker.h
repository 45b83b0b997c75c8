// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <qcustomplot.h>

namespace expertscope {

/// Ticks of an axis in nanoseconds: steps of 1, 2 or 5, written in the unit (ns, µs, ms, s) that suits the distance of
/// the ticks, with as many decimals as tell two neighbours apart.
class TimeTicker : public QCPAxisTicker {
public:
    TimeTicker();
    /// Text of a tick at `time` where ticks are `step` apart, both in nanoseconds.
    static QString text(double time, double step);

protected:
    double getTickStep(const QCPRange& range) override;
    QString getTickLabel(double tick, const QLocale& locale, QChar formatChar, int precision) override;

private:
    double m_step = 1;
};

}  // namespace expertscope
