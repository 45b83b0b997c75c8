// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Columnar chunks: up to kChunkRecords records of one kind as one BLOB. docs/FORMAT.md gives the bytes.
//
// Every column is fixed width with a frame of reference (Goldstein, Ramakrishnan, Shaft 1998): the smallest value, and
// of each record its distance from it in 0, 1, 2, 4 or 8 bytes, whichever the largest distance needs. A value is found
// by position alone, nothing is lost, and a typical selection takes 14 bytes instead of 40.

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/records.h"

namespace expertscope {

inline constexpr std::size_t kChunkRecords = 4096;
/// Readers refuse chunks that claim more records than this (a column of width 0 has no bytes that would contradict).
inline constexpr std::int64_t kMostChunkRecords = 1 << 20;
/// `chunk.encoding` of the layout above.
inline constexpr std::int64_t kEncodingFrame = 1;
/// The same with one column more, of selections alone: what became of each.
inline constexpr std::int64_t kEncodingActions = 2;

/// A chunk whose bytes are not what its row says.
struct DamagedChunk : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What a chunk's row says about its records, so that readers can pass over it.
struct ChunkRange {
    std::optional<Nanoseconds> start, end;            ///< of kinds with times
    std::optional<TokenIndex> firstToken, lastToken;  ///< of kinds with tokens
};

/// `chunk.kind` of a record type: "span", "selection", "prediction", "residency" or "transfer".
template <class Record>
std::string_view chunkKind();
/// `chunk.encoding` that encodeChunk() gives.
template <class Record>
std::int64_t chunkEncoding();
template <class Record>
ChunkRange chunkRange(std::span<const Record> records);
template <class Record>
std::string encodeChunk(std::span<const Record> records);
/// Appends `count` records to `out`; throws DamagedChunk.
template <class Record>
void decodeChunk(std::int64_t encoding, std::int64_t count, std::string_view bytes, std::vector<Record>& out);

}  // namespace expertscope
