// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {

/// The values of one NumPy array (`.npy`, format 1.0 to 3.0: bool, integers and floats of either byte order, C order)
/// one after another; memory is one buffer. Every fault is a BadInputError that names file and byte.
class NpyReader {
public:
    /// `name` is for messages; `in` begins at the array's magic.
    NpyReader(std::unique_ptr<std::istream> in, std::string name);

    const std::vector<std::int64_t>& shape() const { return m_shape; }
    std::int64_t size() const { return m_size; }
    bool isReal() const { return m_kind == 'f'; }
    /// The next value, which must be there; of a real array only real() makes sense.
    std::int64_t integer();
    double real();
    /// Throws BadInputError unless the array ended with its last value.
    void finish();
    [[noreturn]] void refuse(const std::string& what) const;

private:
    std::string take(std::size_t size);
    void readHeader();
    void readDescription(std::string_view header);
    void readShape(std::string_view header);
    std::uint64_t raw();

    std::unique_ptr<std::istream> m_in;
    std::string m_name;
    std::int64_t m_byte = 0;  ///< of the next value, in the array's file
    char m_kind = 'i';
    std::size_t m_width = 8;
    bool m_bigEndian = false;
    std::vector<std::int64_t> m_shape;
    std::int64_t m_size = 1;
    std::string m_buffer;
    std::size_t m_next = 0;
    std::size_t m_excess = 0;  ///< bytes at the file's end that make no value
};

/// The head of a `.npy` file with C order; `type` as NumPy writes it ("<i4").
std::string npyHeader(std::string_view type, const std::vector<std::int64_t>& shape);

}  // namespace expertscope
