// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/evictions/resident_buckets.h"

#include <algorithm>

namespace expertscope {
namespace {

constexpr int kWord = 64;

}  // namespace

BucketLists::BucketLists(int items) : m_items(items), m_nodes(static_cast<std::size_t>(items)) { grow(kWord); }

void BucketLists::grow(int buckets) {
    const int first = m_buckets;
    m_buckets = (buckets + kWord - 1) / kWord * kWord;
    m_nodes.resize(static_cast<std::size_t>(m_items + m_buckets));
    for (int bucket = first; bucket < m_buckets; ++bucket) {
        const int node = m_items + bucket;
        at(node) = {.previous = node, .next = node, .bucket = bucket};
    }
    m_filled.resize(static_cast<std::size_t>(m_buckets / kWord));
    m_summary.resize(m_filled.size() / kWord + 1);
}

void BucketLists::unlink(int item) {
    const Node node = at(item);
    at(node.previous).next = node.next;
    at(node.next).previous = node.previous;
    if (node.previous != node.next || node.previous < m_items) return;
    const auto word = static_cast<std::size_t>(node.bucket / kWord);
    m_filled[word] &= ~(std::uint64_t{1} << (node.bucket % kWord));
    if (m_filled[word] == 0) m_summary[word / kWord] &= ~(std::uint64_t{1} << (word % kWord));
}

void BucketLists::place(int item, int bucket) {
    if (bucket >= m_buckets) grow(std::max(bucket + 1, 2 * m_buckets));
    if (holds(item)) unlink(item);
    const int end = m_items + bucket;
    const int last = at(end).previous;
    at(item) = {.previous = last, .next = end, .bucket = bucket};
    at(last).next = item;
    at(end).previous = item;
    const auto word = static_cast<std::size_t>(bucket / kWord);
    m_filled[word] |= std::uint64_t{1} << (bucket % kWord);
    m_summary[word / kWord] |= std::uint64_t{1} << (word % kWord);
}

void BucketLists::remove(int item) {
    if (!holds(item)) return;
    unlink(item);
    at(item).bucket = -1;
}

int BucketLists::bucketFrom(int from) const {
    if (from >= m_buckets) return -1;
    auto word = static_cast<std::size_t>(from / kWord);
    const std::uint64_t here = m_filled[word] & (~std::uint64_t{0} << (from % kWord));
    if (here != 0) return static_cast<int>(word) * kWord + std::countr_zero(here);
    ++word;
    for (std::size_t at = word / kWord; at < m_summary.size(); ++at) {
        std::uint64_t words = m_summary[at];
        if (at == word / kWord) words &= ~std::uint64_t{0} << (word % kWord);
        if (words == 0) continue;
        word = at * kWord + static_cast<std::size_t>(std::countr_zero(words));
        return static_cast<int>(word) * kWord + std::countr_zero(m_filled[word]);
    }
    return -1;
}

void ResidentBuckets::begin(const OffloadShape& shape) {
    m_shape = shape;
    m_all = BucketLists(shape.total());
    m_layers.clear();
}

void ResidentBuckets::place(int expert, int bucket) {
    m_all.place(expert, bucket);
    if (m_layers.empty()) return;
    m_layers[static_cast<std::size_t>(expert / m_shape.experts)].place(expert % m_shape.experts, bucket);
}

void ResidentBuckets::remove(int expert) {
    m_all.remove(expert);
    if (m_layers.empty()) return;
    m_layers[static_cast<std::size_t>(expert / m_shape.experts)].remove(expert % m_shape.experts);
}

ResidentBuckets::View ResidentBuckets::of(int layer) const {
    if (layer < 0) return {&m_all, 0};
    if (m_layers.empty()) divide();
    return {&m_layers[static_cast<std::size_t>(layer)], layer * m_shape.experts};
}

void ResidentBuckets::divide() const {
    m_layers.assign(static_cast<std::size_t>(m_shape.layers), BucketLists(m_shape.experts));
    for (int bucket = m_all.bucketFrom(0); bucket >= 0; bucket = m_all.bucketFrom(bucket + 1))
        for (int expert = m_all.front(bucket); expert >= 0; expert = m_all.after(expert))
            m_layers[static_cast<std::size_t>(expert / m_shape.experts)].place(expert % m_shape.experts, bucket);
}

int ResidentBuckets::first(const EvictionCandidates& candidates) const {
    const auto [lists, base] = of(candidates.layer());
    for (int bucket = lists->bucketFrom(0); bucket >= 0; bucket = lists->bucketFrom(bucket + 1))
        for (int at = lists->front(bucket); at >= 0; at = lists->after(at))
            if (candidates.contains(base + at)) return base + at;
    return -1;
}

}  // namespace expertscope
