// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace expertscope {

/// Byte-pair encoding over bytes: a text begins as one token a byte; while neighbours have a merge, the pair of the
/// lowest rank (the leftmost on a tie) becomes one token.
///
/// Plain equivalent: search all pairs for the best one, merge it, again: O(n²). Here a priority queue holds the pairs
/// over a linked list, and entries whose pair has changed since are skipped when they come up: O(n log n).
/// Source: Sennrich et al. 2016; order of merges as in huggingface/tokenizers (bpe/word.rs).
class Bpe {
public:
    static constexpr std::int32_t kNone = -1;

    /// `tokens` in any order, ids from 0. Tokens of one byte are the alphabet.
    void addToken(std::string bytes, std::int32_t id);
    /// Merges of falling priority: the first call has rank 0. A pair that is given again takes the later rank.
    void addMerge(std::int32_t left, std::int32_t right, std::int32_t merged);

    /// Id of the token with exactly these bytes, or kNone.
    std::int32_t find(std::string_view bytes) const;
    /// The alphabet's token of one byte, or kNone.
    std::int32_t byteToken(unsigned char byte) const { return m_byteTokens[byte]; }
    /// Appends the tokens of `bytes`, every one of which is in the alphabet.
    void encode(std::string_view bytes, std::vector<std::int32_t>& out) const;

private:
    struct Merge {
        std::int32_t rank;
        std::int32_t merged;
    };
    struct StringHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
    };
    static std::array<std::int32_t, 256> noTokens();
    const Merge* merge(std::int32_t left, std::int32_t right) const;

    std::unordered_map<std::string, std::int32_t, StringHash, std::equal_to<>> m_tokens;
    std::array<std::int32_t, 256> m_byteTokens = noTokens();
    std::unordered_map<std::uint64_t, Merge> m_merges;
    std::int32_t m_nextRank = 0;
};

}  // namespace expertscope
