// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policies/static_placement.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {

std::vector<ExpertRef> byPopularity(const OffloadContext& context) {
    const OffloadShape& shape = context.shape;
    if (context.prepared == nullptr)
        throw UsageError("A placement by popularity needs the table 'popularity': give it with --prepared.");
    const std::vector<float>& counts = context.prepared->table("popularity", {shape.layers, shape.experts}).values;
    std::vector<int> flat(static_cast<std::size_t>(shape.total()));
    for (int i = 0; i < shape.total(); ++i)
        flat[static_cast<std::size_t>(i)] = i;
    std::ranges::stable_sort(
        flat, [&](int a, int b) { return counts[static_cast<std::size_t>(a)] > counts[static_cast<std::size_t>(b)]; });
    std::vector<ExpertRef> order;
    order.reserve(flat.size());
    for (const int i : flat)
        order.push_back(shape.ref(i));
    return order;
}

void StaticPlacement::placeMisses(const RoutedLayer&, std::span<ExpertAccess> accesses) {
    for (ExpertAccess& access : accesses)
        access.action = MissAction::InPlace;
}

void StaticPlacement::place(std::vector<ExpertRef> order, int count) {
    order.resize(std::min(order.size(), static_cast<std::size_t>(std::max(count, 0))));
    m_isPlaced.assign(static_cast<std::size_t>(shape().total()), 0);
    for (const ExpertRef ref : order)
        m_isPlaced[static_cast<std::size_t>(shape().flat(ref))] = 1;
    m_placed = std::move(order);
}

}  // namespace expertscope
