// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/expert_replication.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include <fmt/format.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

/// `slots` physical experts for these loads: every expert once, then again and again the one with the most load a
/// replica.
std::vector<std::int32_t> doubleHottest(std::span<const double> loads, std::size_t slots) {
    std::vector<std::int32_t> physical(loads.size());
    std::iota(physical.begin(), physical.end(), 0);
    std::vector<double> copies(loads.size(), 1);
    while (physical.size() < slots) {
        std::size_t hottest = 0;
        for (std::size_t e = 1; e < loads.size(); ++e)
            if (loads[e] / copies[e] > loads[hottest] / copies[hottest]) hottest = e;
        physical.push_back(static_cast<std::int32_t>(hottest));
        copies[hottest] += 1;
    }
    return physical;
}

/// One node's slots by GPU, of the experts that it holds.
std::vector<std::int32_t> fillNode(std::span<const double> loads, std::size_t slots, std::int32_t gpus) {
    const std::vector<std::int32_t> physical = doubleHottest(loads, slots);
    std::vector<double> copies(loads.size()), share;
    for (const std::int32_t expert : physical)
        copies[static_cast<std::size_t>(expert)] += 1;
    for (const std::int32_t expert : physical)
        share.push_back(loads[static_cast<std::size_t>(expert)] / copies[static_cast<std::size_t>(expert)]);
    std::vector<std::int32_t> filled;
    for (const auto& gpu : packEvenly(share, gpus))
        for (const std::int32_t slot : gpu)
            filled.push_back(physical[static_cast<std::size_t>(slot)]);
    return filled;
}

void check(std::size_t experts, std::int32_t replicas, std::int32_t groups, const Cluster& cluster) {
    if (cluster.nodes < 1 || cluster.gpus < 1 || cluster.gpus % cluster.nodes != 0)
        throw UsageError(fmt::format("{} GPUs do not divide among {} nodes: give equally many to each.", cluster.gpus,
                                     cluster.nodes));
    if (groups < 1 || experts % static_cast<std::size_t>(groups) != 0)
        throw UsageError(fmt::format("{} experts do not divide into {} groups: give another number.", experts, groups));
    if (static_cast<std::size_t>(replicas) < experts || replicas % cluster.gpus != 0)
        throw UsageError(fmt::format(
            "{} physical experts cannot hold {} experts on {} GPUs: give a multiple of the GPUs, at least the experts.",
            replicas, experts, cluster.gpus));
}

}  // namespace

std::vector<std::vector<std::int32_t>> packEvenly(std::span<const double> loads, std::int32_t packs) {
    const std::size_t room = loads.size() / static_cast<std::size_t>(packs);
    std::vector<std::vector<std::int32_t>> packed(static_cast<std::size_t>(packs));
    std::vector<std::int32_t> order(loads.size());
    std::iota(order.begin(), order.end(), 0);
    // One item a pack: there is nothing to balance, and the order is kept.
    if (room > 1)
        std::ranges::stable_sort(order, std::greater{},
                                 [&](std::int32_t i) { return loads[static_cast<std::size_t>(i)]; });
    std::vector<double> sums(packed.size());
    for (const std::int32_t item : order) {
        std::size_t lightest = packed.size();
        for (std::size_t pack = 0; pack < packed.size(); ++pack)
            if (packed[pack].size() < room && (lightest == packed.size() || sums[pack] < sums[lightest]))
                lightest = pack;
        if (room == 1) lightest = static_cast<std::size_t>(item);
        packed[lightest].push_back(item);
        sums[lightest] += loads[static_cast<std::size_t>(item)];
    }
    return packed;
}

std::vector<std::int32_t> replicateEvenly(std::span<const double> loads, std::int32_t replicas, std::int32_t groups,
                                          const Cluster& cluster) {
    check(loads.size(), replicas, groups, cluster);
    if (groups % cluster.nodes != 0) return fillNode(loads, static_cast<std::size_t>(replicas), cluster.gpus);
    const std::size_t groupSize = loads.size() / static_cast<std::size_t>(groups);
    std::vector<double> groupLoads(static_cast<std::size_t>(groups));
    for (std::size_t e = 0; e < loads.size(); ++e)
        groupLoads[e / groupSize] += loads[e];
    std::vector<std::int32_t> all;
    for (const auto& nodeGroups : packEvenly(groupLoads, cluster.nodes)) {
        std::vector<std::int32_t> experts;
        std::vector<double> nodeLoads;
        for (const std::int32_t group : nodeGroups) {
            for (std::size_t i = 0; i < groupSize; ++i) {
                experts.push_back(static_cast<std::int32_t>(static_cast<std::size_t>(group) * groupSize + i));
                nodeLoads.push_back(loads[static_cast<std::size_t>(experts.back())]);
            }
        }
        for (const std::int32_t local :
             fillNode(nodeLoads, static_cast<std::size_t>(replicas / cluster.nodes), cluster.gpus / cluster.nodes))
            all.push_back(experts[static_cast<std::size_t>(local)]);
    }
    return all;
}

}  // namespace expertscope
