// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Integers of one column in blocks of 128: each block its smallest value and every distance from it in as many bits as
// the block's largest distance needs (frame of reference per block: Goldstein, Ramakrishnan, Shaft 1998; Lemire,
// Boytsov 2015). Plain equivalent: an array of int64. Writing and reading are linear, about a nanosecond a value.

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {

/// A chunk whose bytes are not what its row says.
struct DamagedChunk : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline constexpr std::size_t kBlockValues = 128;

/// A column that is packed a block at a time, as its values come.
class BlockColumn {
public:
    /// Adds a block of int64, int32 or uint32: of kBlockValues values, the column's last one of as many or fewer.
    template <class Value>
    void add(std::span<const Value> values);
    /// Appends the column to `out`, docs/FORMAT.md gives the bytes, and begins a new one.
    void write(std::string& out);
    /// At most so many bytes does write() append.
    std::size_t mostBytes() const { return m_packed.size() + m_blocks.size() * kMostBlockHead + sizeof(std::int64_t); }

private:
    static constexpr std::size_t kMostBlockHead = 11;  ///< a width and the longest varint
    struct Block {
        std::int64_t least;
        unsigned bits;
        std::size_t size;  ///< bytes
    };
    std::vector<Block> m_blocks;
    std::string m_packed;  ///< of all blocks, one after another
};

/// Appends a whole column to `out`.
void writeBlocks(std::span<const std::int64_t> values, std::string& out);
/// Takes a column of `values.size()` values off the front of `bytes`. Throws DamagedChunk.
void readBlocks(std::string_view& bytes, std::span<std::int64_t> values);
/// Passes over such a column. Throws DamagedChunk.
void skipBlocks(std::string_view& bytes, std::size_t count);

}  // namespace expertscope
