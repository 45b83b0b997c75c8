// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/model/checkpoint.h"
#include "engine/offload/expert_source.h"
#include "engine/offload/expert_store.h"

namespace expertscope {

/// int4 in groups of 32 along a row, each with a scale of its own: x ≈ s · (q − 8), q in 0 … 15. s is chosen so that
/// the group's value of the largest magnitude is −8 · s, and kept as bfloat16: 18 bytes a group. A row's last group may
/// be shorter and takes as much.
namespace int4 {
inline constexpr int kGroup = 32;
inline constexpr std::size_t kGroupBytes = 18;

std::size_t rowBytes(int cols);
void pack(std::span<const float> row, std::byte* out);
void unpack(const std::byte* packed, std::span<float> row);
}  // namespace int4

/// A low-precision copy of every expert, in host memory: made once from the checkpoint, brought to the device like the
/// experts themselves, and expanded to float32 where one is computed.
class LowPrecisionCopies final : public ExpertSource {
public:
    /// Bytes of one copy.
    static Bytes bytesOf(const ModelConfig& config);

    /// Reads and packs every expert. Throws BadInputError when the checkpoint's bytes are not there.
    explicit LowPrecisionCopies(const Checkpoint& checkpoint);

    Bytes expertBytes() const override { return bytesOf(*m_config); }
    int pieces(ExpertRef ref) const override;
    Bytes readPiece(ExpertRef ref, int piece, std::byte* slot) const override;

    /// float32 values that expand() needs.
    std::size_t expandedSize() const;
    /// The matrices of the copy in a slot; they lie in `scratch` [expandedSize()].
    ExpertWeights expand(const std::byte* slot, std::span<float> scratch) const;

private:
    const ModelConfig* m_config;
    std::size_t m_bytes;              ///< of one copy
    std::vector<std::byte> m_copies;  ///< [layers, experts, bytes]
};

}  // namespace expertscope
