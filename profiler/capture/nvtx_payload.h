// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {

/// The layout of an extended payload, as a program registered it with NVTX: scalars and arrays of fixed length, in
/// place. Fields of other kinds are passed over; those behind a field of unknown size need a told offset.
class NvtxSchema {
public:
    struct Field {
        std::string name;
        std::uint64_t type = 0;
        std::size_t offset = 0;
        std::size_t count = 0;  ///< elements; 0: not a number in place
    };

    /// From the text of NvtxMessageKind::Schema; what is cut off is left out.
    explicit NvtxSchema(std::string_view entries);

    const std::string& name() const { return m_name; }
    bool has(std::string_view field) const { return find(field) != nullptr; }
    /// A number of the payload; nothing where the field is missing, no number, or outside of the bytes.
    std::optional<std::int64_t> integer(std::string_view field, std::string_view payload) const;
    std::vector<double> numbers(std::string_view field, std::string_view payload) const;

private:
    const Field* find(std::string_view field) const;

    std::string m_name;
    std::vector<Field> m_fields;
};

}  // namespace expertscope
