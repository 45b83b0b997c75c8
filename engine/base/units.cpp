// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <time.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

struct Prefix {
    std::string_view name;
    double factor;
};
constexpr std::array<Prefix, 13> kByteUnits{{{"", 1},
                                             {"B", 1},
                                             {"KiB", 1024.0},
                                             {"MiB", 1024.0 * 1024},
                                             {"GiB", 1024.0 * 1024 * 1024},
                                             {"TiB", 1024.0 * 1024 * 1024 * 1024},
                                             {"kB", 1e3},
                                             {"KB", 1e3},
                                             {"MB", 1e6},
                                             {"GB", 1e9},
                                             {"TB", 1e12},
                                             {"K", 1024.0},
                                             {"M", 1024.0 * 1024}}};

/// Splits "25GB" into 25 and "GB"; nullopt when there is no non-negative, finite number in front.
std::optional<std::pair<double, std::string_view>> splitNumber(std::string_view text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || !std::isfinite(number) || number < 0) return std::nullopt;
    return std::pair{number, text.substr(static_cast<std::size_t>(end - text.data()))};
}

std::optional<double> byteCount(std::string_view text) {
    const auto parts = splitNumber(text);
    if (!parts) return std::nullopt;
    const auto unit = std::ranges::find(kByteUnits, parts->second, &Prefix::name);
    if (unit == kByteUnits.end()) return std::nullopt;
    const double bytes = parts->first * unit->factor;
    if (bytes > 9.0e18) return std::nullopt;
    return bytes;
}

std::optional<double> seconds(std::string_view text) {
    const auto parts = splitNumber(text);
    if (!parts) return std::nullopt;
    if (parts->second == "s") return parts->first;
    if (parts->second == "ms") return parts->first * 1e-3;
    if (parts->second == "us" || parts->second == "µs") return parts->first * 1e-6;
    if (parts->second == "ns") return parts->first * 1e-9;
    return std::nullopt;
}

std::string threeDigits(double value) {
    const int decimals = value >= 99.95 || value == 0 ? 0 : value >= 9.995 ? 1 : 2;
    return fmt::format("{:.{}f}", value, decimals);
}

}  // namespace

Nanoseconds sessionNow() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return Nanoseconds(static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec);
}

Bytes SizeSpec::of(Bytes whole) const {
    if (!share) return bytes;
    return Bytes(static_cast<std::int64_t>(*share * static_cast<double>(whole.count())));
}

SizeSpec parseSize(std::string_view text, std::string_view what) {
    SizeSpec size;
    if (text.ends_with('%')) {
        const auto parts = splitNumber(text.substr(0, text.size() - 1));
        if (parts && parts->second.empty() && parts->first <= 100) {
            size.share = parts->first / 100;
            return size;
        }
    } else if (const auto bytes = byteCount(text)) {
        size.bytes = Bytes(static_cast<std::int64_t>(*bytes));
        return size;
    }
    throw UsageError(
        fmt::format("{} '{}' is not a size: write for example 512MiB, 1.5GiB or 25% (0 to 100).", what, text));
}

Nanoseconds LinkSpec::duration(Bytes bytes) const {
    return latency +
           Nanoseconds(static_cast<std::int64_t>(std::ceil(static_cast<double>(bytes.count()) / bytesPerSecond * 1e9)));
}

LinkSpec parseLink(std::string_view text) {
    LinkSpec link;
    link.text = text;
    const std::size_t at = text.find('@');
    const std::string_view bandwidth = text.substr(0, at);
    if (bandwidth.ends_with("/s")) {
        const auto bytes = byteCount(bandwidth.substr(0, bandwidth.size() - 2));
        const auto latency = at == std::string_view::npos ? std::optional(0.0) : seconds(text.substr(at + 1));
        if (bytes && *bytes > 0 && latency && *latency < 3600) {
            link.bytesPerSecond = *bytes;
            link.latency = Nanoseconds(std::llround(*latency * 1e9));
            return link;
        }
    }
    throw UsageError(fmt::format("Link '{}' is not a link: write bandwidth@latency, for example 25GB/s@10us.", text));
}

std::string formatBytes(Bytes bytes) {
    constexpr std::array kNames{"B", "KiB", "MiB", "GiB", "TiB"};
    double value = static_cast<double>(bytes.count());
    std::size_t unit = 0;
    while (std::abs(value) >= 1024 && unit + 1 < kNames.size())
        value /= 1024, ++unit;
    if (unit == 0) return fmt::format("{} B", bytes.count());
    return fmt::format("{}{} {}", value < 0 ? "-" : "", threeDigits(std::abs(value)), kNames[unit]);
}

std::string formatDuration(Nanoseconds duration) {
    constexpr std::array kNames{"ns", "µs", "ms", "s"};
    double value = static_cast<double>(duration.count());
    std::size_t unit = 0;
    while (std::abs(value) >= 1000 && unit + 1 < kNames.size())
        value /= 1000, ++unit;
    if (unit == 0) return fmt::format("{} ns", duration.count());
    return fmt::format("{}{} {}", value < 0 ? "-" : "", threeDigits(std::abs(value)), kNames[unit]);
}

}  // namespace expertscope
