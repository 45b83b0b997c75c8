// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace expertscope {

/// A quantity with a unit: adds and compares only with its own kind.
template <class Tag>
class Quantity {
public:
    constexpr Quantity() = default;
    constexpr explicit Quantity(std::int64_t count) : m_count(count) {}
    constexpr std::int64_t count() const { return m_count; }
    constexpr auto operator<=>(const Quantity&) const = default;
    constexpr Quantity& operator+=(Quantity other) {
        m_count += other.m_count;
        return *this;
    }
    constexpr Quantity& operator-=(Quantity other) {
        m_count -= other.m_count;
        return *this;
    }
    friend constexpr Quantity operator+(Quantity a, Quantity b) { return a += b; }
    friend constexpr Quantity operator-(Quantity a, Quantity b) { return a -= b; }
    friend constexpr Quantity operator*(Quantity a, std::int64_t n) { return Quantity(a.m_count * n); }
    friend constexpr Quantity operator*(std::int64_t n, Quantity a) { return a * n; }

private:
    std::int64_t m_count = 0;
};

/// A point on, or a length of, the session clock (CLOCK_MONOTONIC), in nanoseconds.
using Nanoseconds = Quantity<struct NanosecondsTag>;
/// A number of bytes.
using Bytes = Quantity<struct BytesTag>;

/// Now, on the one monotonic clock that every record of a session uses.
Nanoseconds sessionNow();

/// A size as the command line writes it: absolute ("512MiB", "1.5GiB", "4096") or a share of all expert bytes ("25%").
struct SizeSpec {
    std::optional<double> share;  ///< 0…1 when the text was a percentage
    Bytes bytes;                  ///< otherwise
    /// The size in bytes where `whole` is 100 %; rounds down.
    Bytes of(Bytes whole) const;
};
/// Throws UsageError with a sentence that names `what` when the text is not a size.
SizeSpec parseSize(std::string_view text, std::string_view what);

/// A transfer link: `25GB/s@10us`. Bandwidth in bytes a second (decimal or binary prefix as written), latency a
/// transfer.
struct LinkSpec {
    double bytesPerSecond = 0;
    Nanoseconds latency;
    std::string text;  ///< as the user wrote it
    /// Shortest time a transfer of `bytes` takes over this link.
    Nanoseconds duration(Bytes bytes) const;
};
/// Throws UsageError when the text is not a link.
LinkSpec parseLink(std::string_view text);

/// "6.75 MiB", three significant digits.
std::string formatBytes(Bytes bytes);
/// "1.24 ms", three significant digits.
std::string formatDuration(Nanoseconds duration);

}  // namespace expertscope
