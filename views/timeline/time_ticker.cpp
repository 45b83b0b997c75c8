// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/time_ticker.h"

#include <algorithm>
#include <cmath>

namespace expertscope {

TimeTicker::TimeTicker() { setTickCount(8); }

QString TimeTicker::text(double time, double step) {
    struct Unit {
        const char* name;
        double nanoseconds;
    };
    constexpr Unit kUnits[] = {{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}, {"ns", 1}};
    // Seconds where ticks are a tenth of one or more apart, and so on: at most two decimals, few digits before them.
    const Unit* unit = std::ranges::find_if(kUnits, [step](const Unit& u) { return step >= u.nanoseconds * 0.0999; });
    if (unit == std::end(kUnits)) --unit;
    const double inUnit = step / unit->nanoseconds;
    const int decimals = std::clamp(static_cast<int>(std::ceil(-std::log10(inUnit) - 1e-9)), 0, 3);
    const double value = time / unit->nanoseconds;
    const double shown = std::abs(value) < inUnit / 1000 ? 0 : value;
    return QLocale(QLocale::English).toString(shown, 'f', decimals) + QChar(' ') + QString::fromUtf8(unit->name);
}

double TimeTicker::getTickStep(const QCPRange& range) {
    const double rough = range.size() / (tickCount() + 1e-10);
    const double decade = std::pow(10, std::floor(std::log10(rough)));
    const double mantissa = rough / decade;
    m_step = std::max(1.0, decade * (mantissa <= 1 ? 1 : mantissa <= 2 ? 2 : mantissa <= 5 ? 5 : 10));
    return m_step;
}

QString TimeTicker::getTickLabel(double tick, const QLocale&, QChar, int) { return text(tick, m_step); }

}  // namespace expertscope
