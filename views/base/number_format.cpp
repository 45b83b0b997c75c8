// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/number_format.h"

#include <QLocale>
#include <array>
#include <cmath>

namespace expertscope {
namespace {

const QString kNothing = QStringLiteral("–");

const QLocale& locale() {
    static const QLocale english(QLocale::English,
                                 QLocale::UnitedStates);  // one way of writing, whatever the machine's
    return english;
}

/// Hyphens, also those of exponents, as minus signs.
QString withMinus(QString number) { return number.replace(QChar('-'), QChar(0x2212)); }

}  // namespace

QString countText(std::int64_t count) { return withMinus(locale().toString(static_cast<qlonglong>(count))); }

QString numberText(double value) {
    if (!std::isfinite(value)) return kNothing;
    if (value == 0) return QStringLiteral("0");
    const double magnitude = std::floor(std::log10(std::abs(value)));
    const double unit = std::pow(10, magnitude - 2);
    const double rounded = std::round(value / unit) * unit;
    const int digits = static_cast<int>(std::floor(std::log10(std::abs(rounded)) + 1e-12));  // 9.999 rounds up to 10.0
    if (digits < -4 || digits > 14) return withMinus(locale().toString(value, 'e', 2));
    return withMinus(locale().toString(rounded, 'f', std::max(0, 2 - digits)));
}

QString numberText(double value, const QString& unit) {
    const QString number = numberText(value);
    return number == kNothing ? number : number + QChar(' ') + unit;
}

QString hundredthsText(double value) {
    if (!std::isfinite(value)) return kNothing;
    return withMinus(QString::number(std::round(100 * value) / 100 + 0.0, 'f', 2));
}

QString percentText(double share) {
    if (!std::isfinite(share)) return kNothing;
    return withMinus(locale().toString(share * 100, 'f', std::abs(share) >= 0.9995 ? 0 : 1)) + QStringLiteral(" %");
}

QString percentText(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? kNothing : percentText(static_cast<double>(part) / static_cast<double>(whole));
}

QString bytesText(Bytes bytes) { return withMinus(QString::fromStdString(formatBytes(bytes))); }
QString durationText(Nanoseconds duration) { return withMinus(QString::fromStdString(formatDuration(duration))); }
QString millisecondsText(double milliseconds) {
    return std::isfinite(milliseconds) ? durationText(Nanoseconds(std::llround(milliseconds * 1e6))) : kNothing;
}

QString bandwidthText(Bytes bytes, Nanoseconds duration) {
    if (duration.count() <= 0) return kNothing;
    double rate = static_cast<double>(bytes.count()) / (static_cast<double>(duration.count()) * 1e-9);
    constexpr std::array kNames{"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};
    std::size_t unit = 0;
    while (rate >= 999.5 && unit + 1 < kNames.size())
        rate /= 1000, ++unit;
    return numberText(rate, QString::fromLatin1(kNames[unit]));
}

}  // namespace expertscope
