// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <vector>

#include "engine/compute/kernels.h"
#include "engine/model/checkpoint.h"
#include "engine/offload/expert_source.h"
#include "engine/offload/io_mode.h"

namespace expertscope {

/// One expert's matrices, in a slot.
struct ExpertWeights {
    MatrixView gate;  ///< [I, H]
    MatrixView up;    ///< [I, H]
    MatrixView down;  ///< [H, I]
};

/// The slow tier: experts in the checkpoint's files, read piece by piece into slots. Direct reads need offsets and
/// lengths that are multiples of a block, so the aligned superset of an expert is read and its matrices start inside
/// the slot.
class ExpertStore final : public ExpertSource {
public:
    /// Opens the checkpoint's files. Where the file system refuses direct reads, reads are buffered and dropped from
    /// the page cache afterwards (directRefused()).
    ExpertStore(const Checkpoint& checkpoint, IoMode mode);
    ~ExpertStore() override;
    ExpertStore(const ExpertStore&) = delete;
    ExpertStore& operator=(const ExpertStore&) = delete;

    IoMode mode() const { return m_mode; }
    bool directRefused() const { return m_directRefused; }
    /// Bytes that a slot must have; its start must be a multiple of kBlock.
    std::size_t slotBytes() const { return m_slotBytes; }
    Bytes expertBytes() const override { return m_checkpoint->expertBytes(); }
    /// Reads of one expert, so that a transfer can be given up between them.
    int pieces(ExpertRef ref) const override;
    /// Reads one piece into the slot and gives how many of the expert's own bytes came with it. Throws BadInputError
    /// naming the file when the bytes are not there, FailedError when reading fails.
    Bytes readPiece(ExpertRef ref, int piece, std::byte* slot) const override;
    ExpertWeights weights(ExpertRef ref, const std::byte* slot) const;

    static constexpr std::int64_t kBlock = 4096;

private:
    struct Piece {
        int file = 0;
        std::int64_t offset = 0;  ///< in the file
        std::int64_t length = 0;
        std::int64_t slotPosition = 0;
        std::int64_t useful = 0;  ///< of them belong to the expert
    };
    struct Layout {
        std::vector<Piece> pieces;
        std::int64_t gate = 0, up = 0, down = 0;  ///< positions in the slot
    };
    Layout layoutOf(const ExpertPlacement& placement) const;
    const Layout& layout(ExpertRef ref) const;

    const Checkpoint* m_checkpoint;
    IoMode m_mode;
    bool m_directRefused = false;
    std::vector<int> m_files;
    std::vector<Layout> m_layouts;  ///< [layers · experts]
    std::size_t m_slotBytes = 0;
};

}  // namespace expertscope
