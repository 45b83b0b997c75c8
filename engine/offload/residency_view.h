// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "engine/base/records.h"

namespace expertscope {

class Residency;

/// Which experts own slots, for policies.
class ResidencyView {
public:
    /// `low`: of the low-precision copies; null where there are none.
    explicit ResidencyView(const Residency& residency, const Residency* low = nullptr)
        : m_residency(&residency), m_low(low) {}
    bool present(ExpertRef ref) const;
    /// Whether its low-precision copy owns a slot.
    bool presentLow(ExpertRef ref) const;
    int occupied() const;
    int occupied(LayerIndex layer) const;

private:
    const Residency* m_residency;
    const Residency* m_low;
};

/// How an expert is kept from being evicted.
enum class EvictionGuard : std::uint8_t {
    None,
    Expected,  ///< prefetched for a layer still to come: only a demand may take it, and only when nothing else is left
    Pinned,    ///< placed for the whole run: only a demand may take it, when not even an expected one is left
    Needed,    ///< the current layer still has to run it
};

/// From whom a victim is chosen: the experts that own slots, are guarded as said, and, where the cache is divided, are
/// of the layer in question. Experts are flat indices.
class EvictionCandidates {
public:
    /// [slots] the expert in each, −1 = free. Ask contains() of each.
    std::span<const int> owners() const { return m_owners; }
    bool contains(int expert) const {
        return expert >= m_first && expert < m_end && m_slotOf[expert] >= 0 && m_guards[expert] == m_guard;
    }
    /// When the expert was admitted or last used; breaks ties.
    std::int64_t lastOrder(int expert) const { return m_lastOrder[expert]; }
    /// The layer of all of them; −1: they may be of any.
    int layer() const { return m_layer; }

private:
    friend class Residency;
    EvictionCandidates() = default;
    std::span<const int> m_owners;
    const int* m_slotOf = nullptr;
    const EvictionGuard* m_guards = nullptr;
    const std::int64_t* m_lastOrder = nullptr;
    int m_first = 0, m_end = std::numeric_limits<int>::max();  ///< flat experts of the layer
    int m_layer = -1;
    EvictionGuard m_guard = EvictionGuard::None;
};

}  // namespace expertscope
