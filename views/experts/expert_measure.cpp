// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experts/expert_measure.h"

#include <cmath>

#include "views/base/number_format.h"

namespace expertscope {

QString measureName(ExpertMeasure measure) {
    switch (measure) {
        case ExpertMeasure::Selections:
            return QStringLiteral("selections");
        case ExpertMeasure::Share:
            return QStringLiteral("share of assignments");
        case ExpertMeasure::MeanWeight:
            return QStringLiteral("mean weight");
        case ExpertMeasure::MeanNorm:
            return QStringLiteral("mean output norm");
        case ExpertMeasure::HitRate:
            return QStringLiteral("hit rate");
        case ExpertMeasure::UsesPerLoad:
            return QStringLiteral("uses per load");
        case ExpertMeasure::ReuseDistance:
            return QStringLiteral("median reuse distance");
    }
    return {};
}

QString measureDefinition(ExpertMeasure measure) {
    switch (measure) {
        case ExpertMeasure::Selections:
            return QStringLiteral("How many tokens chose the expert in its layer.");
        case ExpertMeasure::Share:
            return QStringLiteral("The expert's part of all assignments of its layer; a layer sums to 100 %.");
        case ExpertMeasure::MeanWeight:
            return QStringLiteral("Mean gate weight with which the expert's output was used, over its selections.");
        case ExpertMeasure::MeanNorm:
            return QStringLiteral("Mean L2 norm of the expert's unweighted output, over its selections.");
        case ExpertMeasure::HitRate:
            return QStringLiteral(
                "Accesses that found the expert's bytes in place, of all accesses; one access is one "
                "expert needed by its layer in one step.");
        case ExpertMeasure::UsesPerLoad:
            return QStringLiteral("Accesses for each time the expert was loaded, on demand or by a prefetch.");
        case ExpertMeasure::ReuseDistance:
            return QStringLiteral(
                "Median number of tokens from one use of the expert to its next (1 = the next token).");
    }
    return {};
}

QString measureText(ExpertMeasure measure, double value) {
    if (!std::isfinite(value)) return QStringLiteral("–");
    switch (measure) {
        case ExpertMeasure::Selections:
            return countText(std::llround(value));
        case ExpertMeasure::Share:
        case ExpertMeasure::HitRate:
            return percentText(value);
        case ExpertMeasure::ReuseDistance:
            return numberText(value, QStringLiteral("tokens"));
        default:
            return numberText(value);
    }
}

QString measureShortText(ExpertMeasure measure, double value) {
    if (!std::isfinite(value)) return {};
    const bool share = measure == ExpertMeasure::Share || measure == ExpertMeasure::HitRate;
    const double shown = share ? 100 * value : value;
    if (shown >= 999.5e3) return QString::number(shown / 1e6, 'g', 2) + QLatin1Char('M');
    if (shown >= 999.5)
        return QString::number(shown / 1e3, shown < 9950 ? 'f' : 'g', shown < 9950 ? 1 : 3) + QLatin1Char('k');
    if (shown == std::floor(shown) || shown >= 99.5) return QString::number(std::llround(shown));
    return shown >= 9.95 ? QString::number(shown, 'f', 0) : QString::number(shown, 'f', shown >= 0.995 ? 1 : 2);
}

double niceCeiling(double value) {
    if (!(value > 0) || !std::isfinite(value)) return 1;
    const double power = std::pow(10, std::floor(std::log10(value)));
    for (const double step : {1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0}) {
        // A hair of slack: 0.2 / 0.1 must not count as more than 2.
        if (value <= step * power * (1 + 1e-12)) return step * power;
    }
    return 10 * power;
}

}  // namespace expertscope
