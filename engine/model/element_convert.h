// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "engine/model/tensor_source.h"

namespace expertscope {

/// The upper half of a float32, widened: exact.
inline float bf16ToFloat(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

/// IEEE binary16 to float32: exact, subnormals, infinities and NaNs included.
inline float f16ToFloat(std::uint16_t bits) {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
    const std::uint32_t exponent = (bits >> 10) & 0x1FU;
    const std::uint32_t mantissa = bits & 0x3FFU;
    if (exponent == 0) {  // zero or subnormal: mantissa · 2^-24
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
        return sign != 0 ? -magnitude : magnitude;
    }
    const std::uint32_t wide = exponent == 31 ? 0xFFU : exponent + 112;
    return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

/// Little-endian elements of `type` (F32, F16 or BF16) in `in` to `out`; in.size() == out.size() · elementSize(type).
inline void convertToFloats(ElementType type, std::span<const std::byte> in, std::span<float> out) {
    static_assert(std::endian::native == std::endian::little, "tensors are read as they lie in the file");
    if (type == ElementType::F32) {
        std::memcpy(out.data(), in.data(), in.size());
        return;
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, in.data() + 2 * i, sizeof bits);
        out[i] = type == ElementType::F16 ? f16ToFloat(bits) : bf16ToFloat(bits);
    }
}

}  // namespace expertscope
