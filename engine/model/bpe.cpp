// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/bpe.h"

#include <queue>
#include <tuple>
#include <utility>

namespace expertscope {

namespace {

/// A token in the text: a node of a doubly linked list inside a vector. Dead once its left neighbour has taken it in.
struct Symbol {
    std::int32_t token;
    std::int32_t previous;
    std::int32_t next;
    bool alive;
};

/// A pair that could be merged, as it was when it was queued.
struct Candidate {
    std::int32_t rank;
    std::int32_t position;  ///< of its left symbol
    std::int32_t merged;
    bool operator>(const Candidate& other) const {
        return std::tie(rank, position) > std::tie(other.rank, other.position);
    }
};

std::uint64_t pairKey(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

}  // namespace

std::array<std::int32_t, 256> Bpe::noTokens() {
    std::array<std::int32_t, 256> none{};
    none.fill(kNone);
    return none;
}

void Bpe::addToken(std::string bytes, std::int32_t id) {
    if (bytes.size() == 1) m_byteTokens[static_cast<unsigned char>(bytes[0])] = id;
    m_tokens.insert_or_assign(std::move(bytes), id);
}

void Bpe::addMerge(std::int32_t left, std::int32_t right, std::int32_t merged) {
    m_merges.insert_or_assign(pairKey(left, right), Merge{m_nextRank++, merged});
}

std::int32_t Bpe::find(std::string_view bytes) const {
    const auto found = m_tokens.find(bytes);
    return found == m_tokens.end() ? kNone : found->second;
}

const Bpe::Merge* Bpe::merge(std::int32_t left, std::int32_t right) const {
    const auto found = m_merges.find(pairKey(left, right));
    return found == m_merges.end() ? nullptr : &found->second;
}

void Bpe::encode(std::string_view bytes, std::vector<std::int32_t>& out) const {
    const auto count = static_cast<std::int32_t>(bytes.size());
    std::vector<Symbol> symbols;
    symbols.reserve(bytes.size());
    for (std::int32_t i = 0; i < count; ++i) {
        const auto byte = static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
        symbols.push_back({m_byteTokens[byte], i - 1, i + 1 < count ? i + 1 : kNone, true});
    }
    const auto at = [&](std::int32_t i) -> Symbol& { return symbols[static_cast<std::size_t>(i)]; };

    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto consider = [&](std::int32_t left) {
        if (left == kNone || at(left).next == kNone) return;
        const Merge* found = merge(at(left).token, at(at(left).next).token);
        if (found != nullptr) queue.push({found->rank, left, found->merged});
    };
    for (std::int32_t i = 0; i < count; ++i)
        consider(i);

    while (!queue.empty()) {
        const Candidate best = queue.top();
        queue.pop();
        Symbol& left = at(best.position);
        if (!left.alive || left.next == kNone) continue;
        Symbol& right = at(left.next);
        const Merge* current = merge(left.token, right.token);
        if (current == nullptr || current->rank != best.rank) continue;  // the pair has changed since
        left.token = best.merged;
        left.next = right.next;
        right.alive = false;
        if (left.next != kNone) at(left.next).previous = best.position;
        consider(left.previous);
        consider(best.position);
    }
    for (const Symbol& symbol : symbols) {
        if (symbol.alive) out.push_back(symbol.token);
    }
}

}  // namespace expertscope
