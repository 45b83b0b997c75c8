// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstdint>

#include "engine/base/units.h"

// Numbers as the window writes them: three significant digits with unit, thousands separated by commas, a real minus
// sign (U+2212) before negative numbers and in exponents.

namespace expertscope {

/// Exact, thousands separated: "1,234,567".
QString countText(std::int64_t count);
/// Three significant digits: "0.0123", "1.23", "123", "12,300"; "–" for NaN and infinities.
QString numberText(double value);
/// Three significant digits and a unit: "812 tok/s".
QString numberText(double value, const QString& unit);
/// Two decimals, as a small cell of a map has room for: "0.12", "−0.03"; what is written as nothing has no sign.
QString hundredthsText(double value);
/// Share of a whole, 0…1: "25.0 %"; "–" for NaN (0 of 0).
QString percentText(double share);
/// part ÷ whole as percentText does.
QString percentText(std::int64_t part, std::int64_t whole);
/// "6.75 MiB"
QString bytesText(Bytes bytes);
/// "1.24 ms"
QString durationText(Nanoseconds duration);
/// `milliseconds` as durationText: "1.24 ms", "2.40 s".
QString millisecondsText(double milliseconds);
/// Bytes moved in a time, decimal as links are told: "1.24 GB/s"; "–" for no time.
QString bandwidthText(Bytes bytes, Nanoseconds duration);

}  // namespace expertscope
