// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/npy.h"

#include <bit>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "profiler/interchange/little_endian.h"

namespace expertscope {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr std::size_t kLongestHeader = std::size_t{1} << 20;
constexpr std::size_t kValuesAtOnce = 8192;
constexpr std::int64_t kMostValues = std::int64_t{1} << 40;

/// What stands behind 'key': in the header's dictionary.
std::string_view valueOf(std::string_view header, std::string_view key) {
    const std::size_t found = header.find(fmt::format("'{}'", key));
    if (found == std::string_view::npos) return {};
    std::string_view rest = header.substr(found + key.size() + 2);
    const std::size_t start = rest.find_first_not_of(" :");
    return start == std::string_view::npos ? std::string_view{} : rest.substr(start);
}

double halfValue(std::uint64_t bits) {
    const int exponent = static_cast<int>((bits >> 10U) & 31U);
    const auto fraction = static_cast<double>(bits & 1023U);
    double value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) value = fraction == 0 ? INFINITY : NAN;
    return (bits & 0x8000U) != 0 ? -value : value;
}

}  // namespace

NpyReader::NpyReader(std::unique_ptr<std::istream> in, std::string name)
    : m_in(std::move(in)), m_name(std::move(name)) {
    readHeader();
}

void NpyReader::refuse(const std::string& what) const {
    throw BadInputError(fmt::format("{} {} (at byte {}): save the array again.", m_name, what, m_byte));
}

std::string NpyReader::take(std::size_t size) {
    std::string bytes(size, '\0');
    m_in->read(bytes.data(), static_cast<std::streamsize>(size));
    if (static_cast<std::size_t>(m_in->gcount()) != size) {
        m_byte += m_in->gcount();
        refuse("ends too early");
    }
    m_byte += static_cast<std::int64_t>(size);
    return bytes;
}

void NpyReader::readHeader() {
    const std::string start = take(8);
    if (!start.starts_with(kMagic)) refuse("is no NumPy array");
    const bool old = start[6] == 1;
    if (start[6] < 1 || start[6] > 3) refuse(fmt::format("is of .npy version {}, which is not known", int{start[6]}));
    const std::size_t size = littleEndian(take(old ? 2 : 4), 0, old ? 2 : 4);
    if (size > kLongestHeader) refuse(fmt::format("has a header of {} bytes", size));
    const std::string header = take(size);
    if (valueOf(header, "fortran_order").starts_with("True"))
        refuse("is in Fortran order, whose values do not come token by token; use numpy.ascontiguousarray");
    readDescription(header);
    readShape(header);
}

void NpyReader::readDescription(std::string_view header) {
    std::string_view type = valueOf(header, "descr");
    const std::size_t quote = type.find('\'', 1);
    if (!type.starts_with('\'') || quote == std::string_view::npos)
        refuse("is no plain array of numbers (its type has fields)");
    type = type.substr(1, quote - 1);
    const std::string_view shown = type;
    if (type.starts_with('>')) m_bigEndian = true;
    if (!type.empty() && std::string_view("<>|=").find(type.front()) != std::string_view::npos) type.remove_prefix(1);
    if (type.empty()) refuse("has no type");
    m_kind = type.front();
    const std::string_view digits = type.substr(1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), m_width);
    const bool known =
        ((m_kind == 'i' || m_kind == 'u') && (m_width == 1 || m_width == 2 || m_width == 4 || m_width == 8)) ||
        (m_kind == 'b' && m_width == 1) || (m_kind == 'f' && (m_width == 2 || m_width == 4 || m_width == 8));
    if (error != std::errc() || !known)
        refuse(fmt::format("holds values of type '{}', neither integers nor floats", shown));
}

void NpyReader::readShape(std::string_view header) {
    std::string_view shape = valueOf(header, "shape");
    if (!shape.starts_with('(')) refuse("has no shape");
    shape.remove_prefix(1);
    while (!shape.empty() && shape.front() != ')') {
        if (shape.front() == ' ' || shape.front() == ',') {
            shape.remove_prefix(1);
            continue;
        }
        std::int64_t length = 0;
        const auto [end, error] = std::from_chars(shape.data(), shape.data() + shape.size(), length);
        if (error != std::errc() || length < 0) refuse("has a shape that is no list of lengths");
        if (length > 0 && m_size > kMostValues / length) refuse("has a shape of more values than any file holds");
        m_size *= length;
        m_shape.push_back(length);
        shape.remove_prefix(static_cast<std::size_t>(end - shape.data()));
    }
}

std::uint64_t NpyReader::raw() {
    if (m_next == m_buffer.size()) {
        m_buffer.resize(kValuesAtOnce * m_width);
        m_in->read(m_buffer.data(), static_cast<std::streamsize>(m_buffer.size()));
        const auto got = static_cast<std::size_t>(m_in->gcount());
        m_excess = got % m_width;
        m_buffer.resize(got - m_excess);
        m_next = 0;
        if (m_buffer.empty()) refuse(fmt::format("ends too early for its shape ({})", fmt::join(m_shape, " x ")));
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < m_width; ++i) {
        const std::size_t at = m_bigEndian ? m_width - 1 - i : i;
        value |= std::uint64_t{static_cast<unsigned char>(m_buffer[m_next + at])} << (8 * i);
    }
    m_next += m_width;
    m_byte += static_cast<std::int64_t>(m_width);
    return value;
}

std::int64_t NpyReader::integer() {
    const std::uint64_t value = raw();
    if (m_kind != 'i' || m_width == 8) return static_cast<std::int64_t>(value);
    const std::size_t unused = 64 - 8 * m_width;
    return static_cast<std::int64_t>(value << unused) >> unused;  // carries the sign
}

double NpyReader::real() {
    if (m_kind != 'f') return static_cast<double>(integer());
    const std::uint64_t value = raw();
    if (m_width == 2) return halfValue(value);
    if (m_width == 4) return std::bit_cast<float>(static_cast<std::uint32_t>(value));
    return std::bit_cast<double>(value);
}

void NpyReader::finish() {
    if (m_next != m_buffer.size() || m_excess != 0 || m_in->peek() != std::istream::traits_type::eof())
        refuse("goes on after the last value of its shape");
}

std::string npyHeader(std::string_view type, const std::vector<std::int64_t>& shape) {
    std::string lengths;
    for (const std::int64_t length : shape)
        lengths += fmt::format("{},", length);
    std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, lengths);
    // The values begin at a multiple of 64, as NumPy lays them.
    text.append(63 - (10 + text.size()) % 64, ' ');
    text += '\n';
    std::string header(kMagic);
    header += std::string_view("\x01\x00", 2);
    appendLittleEndian(header, text.size(), 2);
    return header + text;
}

}  // namespace expertscope
