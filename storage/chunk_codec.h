// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Columnar chunks: up to kChunkRecords records of one kind as one BLOB, column by column (bit_blocks.h). docs/FORMAT.md
// gives the bytes. Nothing is lost; a recorded span takes 8 bytes instead of 40, a selection 9.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/records.h"
#include "storage/bit_blocks.h"

namespace expertscope {

inline constexpr std::size_t kChunkRecords = 4096;
/// Readers refuse chunks that claim more records than this (a column of width 0 has no bytes that would contradict).
inline constexpr std::int64_t kMostChunkRecords = 1 << 20;
/// `chunk.encoding` of format version 1: columns of bytes (frame_columns.h).
inline constexpr std::int64_t kEncodingFrame = 1;
/// Of version 2: the same with one column more, of selections alone: what became of each.
inline constexpr std::int64_t kEncodingActions = 2;
/// Of version 3: blocks of bits; what is written.
inline constexpr std::int64_t kEncodingBlocks = 3;

/// What a chunk's row says about its records, so that readers can pass over it.
struct ChunkRange {
    std::optional<Nanoseconds> start, end;            ///< of kinds with times
    std::optional<TokenIndex> firstToken, lastToken;  ///< of kinds with tokens
};

/// A span of kind Range as the file keeps it: in chunks of their own, which older programs pass over.
struct RangeRecord : SpanRecord {};

/// `chunk.kind` of a record type: "span", "range", "selection", "prediction", "residency" or "transfer".
template <class Record>
std::string_view chunkKind();

struct EncodedChunk {
    std::int64_t count = 0;
    ChunkRange range;
    std::string bytes;  ///< under kEncodingBlocks
};

/// Encodes a chunk as its records come: a block at a time, of all its columns while its records are in the processor's
/// cache.
template <class Record>
class ChunkEncoder {
public:
    ChunkEncoder();
    void add(std::span<const Record> records);
    /// Records added so far.
    std::size_t count() const { return m_count; }
    /// What was added; begins a new chunk.
    EncodedChunk take();

private:
    void encode(std::span<const Record> block);
    void encodeBegun();

    std::vector<BlockColumn> m_columns;
    std::vector<Record> m_begun;  ///< of the next block
    std::size_t m_count = 0;
    ChunkRange m_range;
};

/// Appends `count` records to `out`; throws DamagedChunk.
template <class Record>
void decodeChunk(std::int64_t encoding, std::int64_t count, std::string_view bytes, std::vector<Record>& out);

/// The columns of a kind as they lie in its chunks, for those who want some of them.
struct ChunkLayout {
    std::string_view kind;
    int columns = 0;         ///< under kEncodingBlocks
    int firstOfActions = 0;  ///< the column that kEncodingFrame lacks; `columns` where it lacks none
    int relative = -1;       ///< a column that is stored less the one before it; -1: none
};
template <class Record>
ChunkLayout chunkLayout();

/// Decodes the columns whose bits are set in `wanted` (bit i: the i-th of docs/FORMAT.md) into out[i], each of `count`
/// values: a float32 as its bits, an id that does not apply as -1. `out` has as many elements as the layout columns.
/// Throws DamagedChunk.
void decodeColumns(const ChunkLayout& layout, std::int64_t encoding, std::int64_t count, std::string_view bytes,
                   std::uint32_t wanted, std::vector<std::vector<std::int64_t>>& out);

}  // namespace expertscope
