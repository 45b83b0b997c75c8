// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "storage/chunk_codec.h"

namespace expertscope {

/// What a stored number is to SQL.
enum class SqlKind : std::uint8_t {
    Id,          ///< -1 is NULL
    Integer,     ///< as it is
    TimeOrNull,  ///< 0 is NULL
    Float,       ///< bits of a float32; NaN is NULL
    Double,      ///< bits of a float64; NaN is NULL
    Word,        ///< an enumerator, told by its name
    Payload      ///< what another column says (PayloadType)
};

/// What a condition on a column says about the chunks in which it can hold.
enum class ChunkIndex : std::uint8_t { None, Token, Time };

/// A column of a table of records, after run_id.
struct RecordColumn {
    const char* name;
    int source;  ///< column of the chunk, in the order of docs/FORMAT.md
    SqlKind kind;
    ChunkIndex index = ChunkIndex::None;
    std::string_view (*word)(std::int64_t) = nullptr;  ///< of SqlKind::Word
    int payloadType = -1;                              ///< of SqlKind::Payload: the other column of the chunk
};

/// A table of records: the chunks of one kind, row by row.
struct RecordTable {
    const char* name;
    ChunkLayout layout;
    std::span<const RecordColumn> columns;
    int shownBy = -1;  ///< a column of float32 bits whose NaN leaves the row out; -1: all rows are shown
};

/// `selection`, `norm`, `span`, `range`, `transfer`, `residency` and `prediction`.
std::span<const RecordTable> recordTables();

}  // namespace expertscope
