// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/low_precision.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "engine/model/element_convert.h"
#include "engine/offload/transfer_queue.h"

namespace expertscope {
namespace int4 {
namespace {

/// To the nearest, ties to even.
std::uint16_t toBf16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace

std::size_t rowBytes(int cols) { return static_cast<std::size_t>((cols + kGroup - 1) / kGroup) * kGroupBytes; }

void pack(std::span<const float> row, std::byte* out) {
    for (; !row.empty(); out += kGroupBytes) {
        const auto group = row.first(std::min<std::size_t>(row.size(), kGroup));
        row = row.subspan(group.size());
        const float largest = *std::ranges::max_element(group, {}, [](float value) { return std::abs(value); });
        const std::uint16_t scaleBits = toBf16(largest / -8);
        const float scale = bf16ToFloat(scaleBits);
        std::memcpy(out, &scaleBits, sizeof scaleBits);
        std::array<unsigned, kGroup> codes{};
        for (std::size_t i = 0; i < group.size(); ++i)
            codes[i] = scale == 0 ? 8U : static_cast<unsigned>(std::clamp(std::lround(group[i] / scale) + 8, 0L, 15L));
        for (std::size_t i = 0; i < kGroup / 2; ++i)
            out[sizeof scaleBits + i] = static_cast<std::byte>(codes[2 * i] | codes[2 * i + 1] << 4);
    }
}

void unpack(const std::byte* packed, std::span<float> row) {
    for (std::size_t at = 0; at < row.size(); at += kGroup, packed += kGroupBytes) {
        std::uint16_t scaleBits = 0;
        std::memcpy(&scaleBits, packed, sizeof scaleBits);
        const float scale = bf16ToFloat(scaleBits);
        const std::size_t count = std::min<std::size_t>(kGroup, row.size() - at);
        for (std::size_t i = 0; i < count; ++i) {
            const auto both = static_cast<unsigned>(packed[sizeof scaleBits + i / 2]);
            row[at + i] = scale * static_cast<float>(static_cast<int>(both >> (i % 2 * 4) & 15U) - 8);
        }
    }
}

}  // namespace int4

namespace {

constexpr auto kPieceBytes = static_cast<std::size_t>(kReadPiece.count());

/// Gives the matrices of an expert in the order of a copy: rows, cols.
template <class Give>
void eachMatrix(const ModelConfig& c, Give&& give) {
    give(c.expertWidth, c.hidden);  // gate
    give(c.expertWidth, c.hidden);  // up
    give(c.hidden, c.expertWidth);  // down
}

void packMatrix(const MatrixView& matrix, std::vector<float>& row, std::byte*& out) {
    const std::size_t bytes = static_cast<std::size_t>(matrix.cols) * elementSize(matrix.type);
    row.resize(static_cast<std::size_t>(matrix.cols));
    for (int r = 0; r < matrix.rows; ++r) {
        convertToFloats(matrix.type, {matrix.data + static_cast<std::size_t>(r) * bytes, bytes}, row);
        int4::pack(row, out);
        out += int4::rowBytes(matrix.cols);
    }
}

}  // namespace

Bytes LowPrecisionCopies::bytesOf(const ModelConfig& config) {
    std::size_t bytes = 0;
    eachMatrix(config, [&](int rows, int cols) { bytes += static_cast<std::size_t>(rows) * int4::rowBytes(cols); });
    return Bytes(static_cast<std::int64_t>(bytes));
}

LowPrecisionCopies::LowPrecisionCopies(const Checkpoint& checkpoint)
    : m_config(&checkpoint.config()), m_bytes(static_cast<std::size_t>(bytesOf(*m_config).count())) {
    const ExpertStore store(checkpoint, IoMode::Buffered);
    const Arena arena(1, store.slotBytes());
    std::byte* const slot = arena.slot(SlotIndex(0));
    const int experts = m_config->layers * m_config->experts;
    m_copies.resize(static_cast<std::size_t>(experts) * m_bytes);
    std::vector<float> row;
    std::byte* out = m_copies.data();
    for (int flat = 0; flat < experts; ++flat) {
        const ExpertRef ref{LayerIndex(flat / m_config->experts), ExpertId(flat % m_config->experts)};
        for (int piece = 0; piece < store.pieces(ref); ++piece)
            store.readPiece(ref, piece, slot);
        const ExpertWeights weights = store.weights(ref, slot);
        for (const MatrixView& matrix : {weights.gate, weights.up, weights.down})
            packMatrix(matrix, row, out);
    }
}

int LowPrecisionCopies::pieces(ExpertRef) const { return static_cast<int>((m_bytes + kPieceBytes - 1) / kPieceBytes); }

Bytes LowPrecisionCopies::readPiece(ExpertRef ref, int piece, std::byte* slot) const {
    const std::size_t flat = ref.layer.index() * static_cast<std::size_t>(m_config->experts) + ref.expert.index();
    const std::size_t begin = static_cast<std::size_t>(piece) * kPieceBytes;
    const std::size_t length = std::min(kPieceBytes, m_bytes - begin);
    std::memcpy(slot + begin, m_copies.data() + flat * m_bytes + begin, length);
    return Bytes(static_cast<std::int64_t>(length));
}

std::size_t LowPrecisionCopies::expandedSize() const {
    return std::size_t{3} * static_cast<std::size_t>(m_config->hidden) *
           static_cast<std::size_t>(m_config->expertWidth);
}

ExpertWeights LowPrecisionCopies::expand(const std::byte* slot, std::span<float> scratch) const {
    std::array<MatrixView, 3> matrices;
    auto next = matrices.begin();
    eachMatrix(*m_config, [&](int rows, int cols) {
        *next++ = {reinterpret_cast<const std::byte*>(scratch.data()), ElementType::F32, rows, cols};
        for (int r = 0; r < rows; ++r, slot += int4::rowBytes(cols)) {
            int4::unpack(slot, scratch.first(static_cast<std::size_t>(cols)));
            scratch = scratch.subspan(static_cast<std::size_t>(cols));
        }
    });
    return {.gate = matrices[0], .up = matrices[1], .down = matrices[2]};
}

}  // namespace expertscope
