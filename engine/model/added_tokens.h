// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {

/// A token that is found in the text as it stands, before any splitting.
struct AddedToken {
    std::string content;
    std::int32_t id = 0;
    bool singleWord = false;  ///< only where no letter or digit is next to it
    bool stripLeft = false;   ///< takes the white space before it
    bool stripRight = false;  ///< takes the white space behind it
};

/// Finds added tokens: the leftmost first, the longest of those that begin there.
///
/// Plain equivalent: at each byte try every token, longest first. Here a trie is walked from each byte, so a byte costs
/// as many steps as a token's beginning matches. Source of the rules: huggingface/tokenizers (added_vocabulary.rs).
class AddedTokens {
public:
    /// A stretch of the text: an added token, or text without any (`token` null).
    struct Part {
        std::string_view text;
        const AddedToken* token = nullptr;
    };

    AddedTokens() = default;
    /// Tokens without content never match.
    explicit AddedTokens(std::vector<AddedToken> tokens);
    bool empty() const { return m_tokens.empty(); }
    /// Parts of `text` (well-formed UTF-8) in order; they join to `text` and none is empty.
    std::vector<Part> split(std::string_view text) const;

private:
    struct Node {
        std::map<char, std::int32_t> next;
        std::int32_t token = -1;
    };
    const AddedToken* longestAt(std::string_view text) const;

    std::vector<AddedToken> m_tokens;
    std::vector<Node> m_nodes;
};

}  // namespace expertscope
