// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <bit>
#include <limits>

#include "engine/offload/evictions/evictions.h"
#include "engine/offload/evictions/resident_buckets.h"

namespace expertscope {
namespace {

/// Classes of counts: one each up to 15, then eight an octave.
constexpr int classOf(int uses) {
    if (uses < 16) return uses;
    const int width = std::bit_width(static_cast<unsigned>(uses));
    return 8 * (width - 3) + ((uses >> (width - 4)) & 7);
}
constexpr int leastOf(int countClass) {
    if (countClass < 16) return countClass;
    return (8 + countClass % 8) << (countClass / 8 - 1);
}
constexpr int kClasses = classOf(std::numeric_limits<int>::max()) + 1;
constexpr auto kLeast = [] {
    std::array<int, kClasses> least{};
    for (int at = 0; at < kClasses; ++at)
        least[static_cast<std::size_t>(at)] = leastOf(at);
    return least;
}();
static_assert(leastOf(classOf(16)) == 16 && leastOf(classOf(31)) == 30 && leastOf(classOf(32)) == 32);
static_assert(classOf(leastOf(50) - 1) == 49 && classOf(leastOf(51) - 1) == 50);

/// Least frequently and recently used: the score is uses / (now − last + 1), with uses counted as by lfu-incache, and
/// the time in accesses (one a step, layer and expert). Ties by recency. As in tinyserve (also vLLM pull request
/// 37190), where the time counts an admission apart from the use that asked for it and ties go by slot.
///
/// Of experts with equally many uses the one touched longest ago has the lowest score, so only the front of each bucket
/// is looked at; and of a class of neighbouring counts none scores less than the class's least count for the age of its
/// oldest member, which spares most classes. The ages of those lie in an array, as most victims look at all of them.
class Lfru final : public BucketRule {
public:
    void begin(const OffloadContext& context) override {
        BucketRule::begin(context);
        m_byClass.begin(context.shape);
        m_demands.begin(context.shape);
        m_last.assign(static_cast<std::size_t>(context.shape.total()), 0);
        m_filled = {};
        m_now = 0;
        m_hint = 0;
    }
    void onLayer(const RoutedLayer&, Predictors&) override { m_demands.onLayer(); }
    void onUse(int expert, std::int64_t, bool first) override {
        if (first) ++m_now;
        if (m_residents.holds(expert))
            touch(expert, m_residents.bucketOf(expert) + (first ? 1 : 0));
        else
            m_demands.used(expert);
    }
    void onAdmit(int expert, std::int64_t) override { touch(expert, m_demands.demanded(expert) ? 1 : 0); }
    void onLeave(int expert) override {
        BucketRule::onLeave(expert);
        const int from = m_byClass.bucketOf(expert);
        m_byClass.remove(expert);
        noteOldest(from);
    }
    double score(int expert) const override { return m_residents.bucketOf(expert) / static_cast<double>(age(expert)); }
    int victim(const EvictionCandidates& candidates) const override;

private:
    void touch(int expert, int uses) {
        m_last[static_cast<std::size_t>(expert)] = m_now;
        m_residents.place(expert, uses);
        const int from = m_byClass.bucketOf(expert), to = classOf(uses);
        m_byClass.place(expert, to);
        noteOldest(to);
        if (from != to && from >= 0) noteOldest(from);
    }
    void noteOldest(int countClass) {
        const auto at = static_cast<std::size_t>(countClass);
        const int oldest = m_byClass.of(-1).lists->front(countClass);
        const std::uint64_t bit = std::uint64_t{1} << (at % 64);
        if (oldest < 0) {
            m_filled[at / 64] &= ~bit;
            return;
        }
        m_filled[at / 64] |= bit;
        m_oldest[at] = m_last[static_cast<std::size_t>(oldest)];
    }
    std::int64_t age(int expert) const { return m_now - m_last[static_cast<std::size_t>(expert)] + 1; }
    struct Lowest;
    void search(int countClass, const BucketLists& counts, int base, const EvictionCandidates& candidates,
                Lowest& lowest) const;

    ResidentBuckets m_byClass;  ///< in each by recency
    /// Of the classes of all layers: whether there is a member, and the last use of the oldest.
    std::array<std::uint64_t, kClasses / 64 + 1> m_filled{};
    std::array<std::int64_t, kClasses> m_oldest{};
    DemandedUses m_demands;
    std::vector<std::int64_t> m_last;  ///< [experts of all layers] in accesses
    std::int64_t m_now = 0;            ///< accesses so far
    mutable int m_hint = 0;            ///< class of the last victim
};

/// A candidate and its score as a fraction; two scores are compared exactly by products, as their quotients would be:
/// the quotients of different fractions of such sizes differ by more than their rounding.
struct Lfru::Lowest {
    int expert = -1;
    std::int64_t uses = 0, age = 0;
    std::int64_t order = 0;
    /// Whether uses ÷ age of another lies above it.
    bool below(std::int64_t otherUses, std::int64_t otherAge) const {
        return expert >= 0 && otherUses * age > uses * otherAge;
    }
};

int Lfru::victim(const EvictionCandidates& candidates) const {
    const auto [counts, base] = m_residents.of(candidates.layer());
    Lowest lowest;
    // The class of the last victim first: its score is likely to spare the others.
    const int hint = m_hint;
    search(hint, *counts, base, candidates, lowest);
    if (candidates.layer() < 0) {
        for (std::size_t word = 0; word < m_filled.size(); ++word)
            for (std::uint64_t bits = m_filled[word]; bits != 0; bits &= bits - 1) {
                const std::size_t at = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
                if (static_cast<int>(at) != hint && !lowest.below(kLeast[at], m_now - m_oldest[at] + 1))
                    search(static_cast<int>(at), *counts, base, candidates, lowest);
            }
    } else {
        const BucketLists& classes = *m_byClass.of(candidates.layer()).lists;
        for (int at = classes.bucketFrom(0); at >= 0; at = classes.bucketFrom(at + 1))
            if (at != hint && !lowest.below(leastOf(at), age(base + classes.front(at))))
                search(at, *counts, base, candidates, lowest);
    }
    if (lowest.expert >= 0) m_hint = classOf(static_cast<int>(lowest.uses));
    return lowest.expert;
}

/// Looks at the front of each bucket of a class.
void Lfru::search(int countClass, const BucketLists& counts, int base, const EvictionCandidates& candidates,
                  Lowest& lowest) const {
    const int end = leastOf(countClass + 1);
    for (int uses = counts.bucketFrom(leastOf(countClass)); uses >= 0 && uses < end;
         uses = counts.bucketFrom(uses + 1)) {
        int at = counts.front(uses);
        while (at >= 0 && !candidates.contains(base + at))
            at = counts.after(at);
        if (at < 0) continue;
        const int expert = base + at;
        const std::int64_t own = age(expert);
        if (lowest.below(uses, own)) continue;
        const std::int64_t order = candidates.lastOrder(expert);
        const bool equal = lowest.expert >= 0 && uses * lowest.age == lowest.uses * own;
        if (!equal || order < lowest.order) lowest = {.expert = expert, .uses = uses, .age = own, .order = order};
    }
}

}  // namespace

EvictionEntry lfruEviction() {
    return {{.name = "lfru",
             .summary = "The expert with the fewest uses since its admission for the time since its last use leaves.",
             .source = "tinyserve (GitHub), vLLM pull request 37190"},
            [](Parameters&) { return std::unique_ptr<EvictionRule>(std::make_unique<Lfru>()); }};
}

}  // namespace expertscope
