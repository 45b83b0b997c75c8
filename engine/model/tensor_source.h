// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {

enum class ElementType : std::uint8_t { F32, F16, BF16, Other };
/// Bytes of one element; 0 for Other.
std::size_t elementSize(ElementType type);

/// Where a tensor lies. Row-major, little-endian.
struct TensorInfo {
    std::string name;
    ElementType type = ElementType::Other;
    std::string typeName;  ///< as the file spells it, for messages
    std::vector<std::int64_t> shape;
    int file = 0;             ///< index into TensorSource::files()
    std::int64_t offset = 0;  ///< from the start of the file
    std::int64_t bytes = 0;
};

/// The tensors of a checkpoint, read by positioned reads (never mapped: a file that is truncated under us is an error,
/// not a crash).
class TensorSource {
public:
    virtual ~TensorSource() = default;
    virtual const std::vector<std::filesystem::path>& files() const = 0;
    virtual const std::vector<TensorInfo>& tensors() const = 0;
    /// Null when there is none of that name.
    virtual const TensorInfo* find(std::string_view name) const = 0;
    /// Reads the whole tensor. `out` has info.bytes bytes. Throws BadInputError naming tensor and file on a short read.
    virtual void read(const TensorInfo& info, std::span<std::byte> out) const = 0;
};

}  // namespace expertscope
