// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/added_tokens.h"

#include <algorithm>
#include <utility>

#include "engine/model/utf8.h"

namespace expertscope {

namespace {

/// Whether a word character touches text[begin, end) from outside.
bool touchesWord(std::string_view text, std::size_t begin, std::size_t end) {
    const bool before = begin > 0 && isWord(lastCodePoint(text.substr(0, begin)).value);
    return before || (end < text.size() && isWord(firstCodePoint(text.substr(end)).value));
}

std::size_t skipSpacesBack(std::string_view text, std::size_t begin, std::size_t notBefore) {
    while (begin > notBefore) {
        const CodePoint last = lastCodePoint(text.substr(0, begin));
        if (!isSpace(last.value)) break;
        begin -= last.length;
    }
    return begin;
}

std::size_t skipSpaces(std::string_view text, std::size_t end) {
    while (end < text.size()) {
        const CodePoint first = firstCodePoint(text.substr(end));
        if (!isSpace(first.value)) break;
        end += first.length;
    }
    return end;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : m_tokens(std::move(tokens)), m_nodes(1) {
    for (std::size_t t = 0; t < m_tokens.size(); ++t) {
        std::size_t node = 0;
        for (const char byte : m_tokens[t].content) {
            const auto [found, isNew] = m_nodes[node].next.try_emplace(byte, static_cast<std::int32_t>(m_nodes.size()));
            node = static_cast<std::size_t>(found->second);
            if (isNew) m_nodes.emplace_back();
        }
        if (node != 0) m_nodes[node].token = static_cast<std::int32_t>(t);
    }
}

const AddedToken* AddedTokens::longestAt(std::string_view text) const {
    const AddedToken* longest = nullptr;
    std::size_t node = 0;
    for (const char byte : text) {
        const auto next = m_nodes[node].next.find(byte);
        if (next == m_nodes[node].next.end()) break;
        node = static_cast<std::size_t>(next->second);
        if (m_nodes[node].token >= 0) longest = &m_tokens[static_cast<std::size_t>(m_nodes[node].token)];
    }
    return longest;
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text) const {
    std::vector<Part> parts;
    std::size_t done = 0;
    const auto addText = [&](std::size_t end) {
        if (end > done) parts.push_back({text.substr(done, end - done), nullptr});
    };
    for (std::size_t at = 0; at < text.size() && !m_tokens.empty();) {
        const AddedToken* const token = longestAt(text.substr(at));
        if (token == nullptr) {
            ++at;
            continue;
        }
        std::size_t begin = at;
        std::size_t end = at + token->content.size();
        at = end;
        if (begin < done || (token->singleWord && touchesWord(text, begin, end))) continue;
        if (token->stripLeft) begin = skipSpacesBack(text, begin, done);
        if (token->stripRight) end = skipSpaces(text, end);
        addText(begin);
        parts.push_back({text.substr(begin, end - begin), token});
        done = end;
    }
    addText(text.size());
    return parts;
}

}  // namespace expertscope
