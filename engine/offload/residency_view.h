// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>

#include "engine/base/records.h"

namespace expertscope {

class Residency;

/// Which experts own slots, for policies.
class ResidencyView {
public:
    explicit ResidencyView(const Residency& residency) : m_residency(&residency) {}
    bool present(ExpertRef ref) const;
    int occupied() const;
    int occupied(LayerIndex layer) const;

private:
    const Residency* m_residency;
};

/// From whom a victim is chosen: the experts that own slots, are no more guarded than they may be, and, where the
/// cache is divided, are of the layer in question. Experts are flat indices.
class EvictionCandidates {
public:
    /// [slots] the expert in each, −1 = free. Ask contains() of each.
    std::span<const int> owners() const;
    bool contains(int expert) const;
    /// When the expert was admitted or last used; breaks ties.
    std::int64_t lastOrder(int expert) const;

private:
    friend class Residency;
    EvictionCandidates(const Residency& residency, int guard, int layer)
        : m_residency(&residency), m_guard(guard), m_layer(layer) {}
    const Residency* m_residency;
    int m_guard;
    int m_layer;  ///< −1 = all
};

}  // namespace expertscope
