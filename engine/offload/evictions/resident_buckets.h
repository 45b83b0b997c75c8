// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "engine/offload/eviction.h"

namespace expertscope {

/// Items in numbered buckets, in each in the order in which they were put there. Plain equivalent: a map from bucket to
/// list. Placing and removing are O(1), the next bucket that is not empty is found by words of 64, and those by words
/// of 64 again.
class BucketLists {
public:
    explicit BucketLists(int items);
    bool holds(int item) const { return at(item).bucket >= 0; }
    int bucketOf(int item) const { return at(item).bucket; }  ///< −1: held by none
    /// Puts the item at the bucket's back, from wherever it is.
    void place(int item, int bucket);
    /// Takes it out of its bucket, if it is in one.
    void remove(int item);
    /// The lowest bucket ≥ `from` that is not empty; −1 where there is none.
    int bucketFrom(int from) const;
    // The item itself, or −1 beyond the bucket's ends.
    int front(int bucket) const { return bucket < m_buckets ? item(at(m_items + bucket).next) : -1; }
    int back(int bucket) const { return bucket < m_buckets ? item(at(m_items + bucket).previous) : -1; }
    int after(int of) const { return item(at(of).next); }
    int before(int of) const { return item(at(of).previous); }

private:
    /// Circular lists through a node of the bucket's own.
    struct Node {
        int previous = -1, next = -1, bucket = -1;
    };
    Node& at(int node) { return m_nodes[static_cast<std::size_t>(node)]; }
    const Node& at(int node) const { return m_nodes[static_cast<std::size_t>(node)]; }
    int item(int node) const { return node < m_items ? node : -1; }
    void unlink(int item);
    void grow(int buckets);

    int m_items, m_buckets = 0;
    std::vector<Node> m_nodes;             ///< [items, then buckets]
    std::vector<std::uint64_t> m_filled;   ///< a bit a bucket
    std::vector<std::uint64_t> m_summary;  ///< a bit a word of m_filled
};

/// The experts that own slots in numbered buckets, for rules whose victims are those at the front of the lowest bucket.
/// Kept for all layers together and, from the first time that one layer is asked for, for each layer too.
class ResidentBuckets {
public:
    /// Lists of experts (flat indices less `base`).
    struct View {
        const BucketLists* lists;
        int base;
    };

    void begin(const OffloadShape& shape);
    bool holds(int expert) const { return m_all.holds(expert); }
    int bucketOf(int expert) const { return m_all.bucketOf(expert); }
    void place(int expert, int bucket);
    void remove(int expert);
    /// Of one layer; −1: of all.
    View of(int layer) const;
    /// The candidate nearest the front of the lowest bucket; −1 where there is none.
    int first(const EvictionCandidates& candidates) const;

private:
    void divide() const;
    OffloadShape m_shape;
    BucketLists m_all{0};
    mutable std::vector<BucketLists> m_layers;  ///< empty until one is asked for
};

/// A rule whose order of eviction is that of ResidentBuckets: score() must rise from the front of the lowest bucket
/// to the back of the highest.
class BucketRule : public EvictionRule {
public:
    void begin(const OffloadContext& context) override { m_residents.begin(context.shape); }
    void onLeave(int expert) override { m_residents.remove(expert); }
    int victim(const EvictionCandidates& candidates) const override { return m_residents.first(candidates); }

protected:
    ResidentBuckets m_residents;
};

/// Tells an admission that a use has just asked for from one before any use (a prefetch, or a cache that admits first),
/// whose first use is still to come and is not a second one.
class DemandedUses {
public:
    void begin(const OffloadShape& shape) { m_usedIn.assign(static_cast<std::size_t>(shape.total()), -1); }
    void onLayer() { ++m_now; }
    void used(int expert) { m_usedIn[static_cast<std::size_t>(expert)] = m_now; }
    bool demanded(int expert) const { return m_usedIn[static_cast<std::size_t>(expert)] == m_now; }

private:
    std::vector<std::int64_t> m_usedIn;  ///< [experts of all layers] the routed layer, counted from the start
    std::int64_t m_now = 0;
};

}  // namespace expertscope
