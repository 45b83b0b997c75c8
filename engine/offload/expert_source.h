// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>

#include "engine/base/records.h"

namespace expertscope {

/// Bytes that one read brings at most. A read is finished once it is begun, whatever becomes more urgent meanwhile.
inline constexpr Bytes kReadPiece(1 << 20);

/// Where the bytes of experts come from that are brought into slots of one size.
class ExpertSource {
public:
    virtual ~ExpertSource() = default;
    /// Bytes of one expert.
    virtual Bytes expertBytes() const = 0;
    /// Pieces that an expert is read in, each at once.
    virtual int pieces(ExpertRef ref) const = 0;
    /// Reads a piece into the expert's slot; gives how many of the expert's own bytes came with it.
    virtual Bytes readPiece(ExpertRef ref, int piece, std::byte* slot) const = 0;
};

class Arena;

/// Slots of one size on the device, and what they are filled from.
struct SlotTier {
    const ExpertSource* source = nullptr;
    const Arena* arena = nullptr;
    int slots = 0;
};

}  // namespace expertscope
