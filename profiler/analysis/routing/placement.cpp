// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/placement.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/compute/thread_pool.h"
#include "profiler/analysis/routing/balance.h"
#include "profiler/analysis/routing/expert_marks.h"
#include "profiler/analysis/routing/random_choices.h"
#include "profiler/analysis/routing/transitions.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();
constexpr int kRounds = 4;
constexpr int kRandomPlacements = 4;

std::size_t perGpu(const RunRouting& routing, const Cluster& cluster) {
    return (static_cast<std::size_t>(routing.experts()) + static_cast<std::size_t>(cluster.gpus) - 1) /
           static_cast<std::size_t>(cluster.gpus);
}

std::vector<std::int32_t> emptySlots(const RunRouting& routing, const Cluster& cluster) {
    return std::vector<std::int32_t>(perGpu(routing, cluster) * static_cast<std::size_t>(cluster.gpus), -1);
}

/// [E, gpus] part of an expert's tokens that goes to each GPU.
using Shares = std::vector<std::vector<double>>;

Shares sharesOf(const std::vector<std::int32_t>& slots, std::int32_t experts, std::int32_t gpus) {
    Shares shares(static_cast<std::size_t>(experts), std::vector<double>(static_cast<std::size_t>(gpus)));
    const std::size_t each = slots.size() / static_cast<std::size_t>(gpus);
    std::vector<double> copies(static_cast<std::size_t>(experts));
    for (const std::int32_t expert : slots)
        if (expert >= 0) copies[static_cast<std::size_t>(expert)] += 1;
    for (std::size_t slot = 0; slot < slots.size(); ++slot) {
        if (slots[slot] < 0) continue;
        const auto expert = static_cast<std::size_t>(slots[slot]);
        shares[expert][slot / each] += 1 / copies[expert];
    }
    return shares;
}

Shares byNode(const Shares& shares, const Cluster& cluster) {
    Shares nodes(shares.size(), std::vector<double>(static_cast<std::size_t>(cluster.nodes)));
    for (std::size_t e = 0; e < shares.size(); ++e)
        for (std::size_t gpu = 0; gpu < shares[e].size(); ++gpu)
            nodes[e][static_cast<std::size_t>(cluster.nodeOf(static_cast<std::int32_t>(gpu)))] += shares[e][gpu];
    return nodes;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// The place of each expert where all have one; empty where some are replicated.
std::vector<std::int32_t> homesOf(const Shares& shares) {
    std::vector<std::int32_t> homes;
    for (const auto& ofExpert : shares) {
        const auto home = std::ranges::find(ofExpert, 1.0);
        if (home == ofExpert.end()) return {};
        homes.push_back(static_cast<std::int32_t>(home - ofExpert.begin()));
    }
    return homes;
}

/// Mean number of places that a token's choices lie on, each of which has one place.
double homesPerToken(const LayerChoices& layer, const std::vector<std::int32_t>& homes, std::size_t places) {
    ExpertMarks marks(static_cast<std::int32_t>(places));
    std::int64_t sum = 0, tokens = 0;
    for (std::size_t row = 0; row < layer.rows(); ++row) {
        marks.clear();
        const std::int64_t before = sum;
        for (const std::int32_t expert : layer.chosen(row))
            if (expert >= 0 && marks.insert(homes[static_cast<std::size_t>(expert)])) ++sum;
        tokens += sum > before ? 1 : 0;
    }
    return tokens > 0 ? static_cast<double>(sum) / static_cast<double>(tokens) : kNoData;
}

/// Mean number of places that a token's choices lie on; each choice goes to one by its share, apart from the others.
double placesPerToken(const LayerChoices& layer, const Shares& shares) {
    const std::size_t places = shares.front().size();
    if (places == 1) {
        const bool any = std::ranges::any_of(layer.experts, [](std::int32_t expert) { return expert >= 0; });
        return any ? 1 : kNoData;
    }
    if (const auto homes = homesOf(shares); !homes.empty()) return homesPerToken(layer, homes, places);
    std::vector<double> away(places);
    double sum = 0;
    std::int64_t tokens = 0;
    for (std::size_t row = 0; row < layer.rows(); ++row) {
        std::ranges::fill(away, 1.0);
        bool any = false;
        for (const std::int32_t expert : layer.chosen(row)) {
            if (expert < 0) continue;
            any = true;
            for (std::size_t place = 0; place < places; ++place)
                away[place] *= 1 - shares[static_cast<std::size_t>(expert)][place];
        }
        if (!any) continue;
        ++tokens;
        for (const double one : away)
            sum += 1 - one;
    }
    return tokens > 0 ? sum / static_cast<double>(tokens) : kNoData;
}

/// Part of the transitions whose both ends lie on one place.
double stayingPart(const Transitions& transitions, const Shares& from, const Shares& to) {
    if (transitions.total == 0) return kNoData;
    double stays = 0;
    for (std::size_t i = 0; i < from.size(); ++i) {
        for (std::size_t j = 0; j < to.size(); ++j) {
            const std::int64_t count = transitions.counts[i * to.size() + j];
            if (count > 0) stays += static_cast<double>(count) * dot(from[i], to[j]);
        }
    }
    return stays / static_cast<double>(transitions.total);
}

/// What placements cost: the run is counted once for all of them.
class PlacementMeasure {
public:
    PlacementMeasure(const RunRouting& routing, const Cluster& cluster)
        : m_routing(routing),
          m_cluster(cluster),
          m_transitions(transitionsOf(routing, {.layers = 1, .pairs = TransitionPairs::First})),
          m_loads(loadsOf(routing)) {}

    std::vector<PlacementCost> costs(const Placement& placement) const {
        std::vector<PlacementCost> costs;
        Shares gpusBefore, nodesBefore;
        for (std::size_t layer = 0; layer < placement.slots.size(); ++layer) {
            Shares gpus = sharesOf(placement.slots[layer], m_routing.experts(), m_cluster.gpus);
            Shares nodes = byNode(gpus, m_cluster);
            PlacementCost& cost = costs.emplace_back();
            cost.layer = LayerIndex(static_cast<std::int32_t>(layer));
            cost.imbalance = loadBalance(gpuLoads(layer, gpus)).maxVio;
            cost.balancedness = 1 / (1 + cost.imbalance);
            cost.gpusPerToken = placesPerToken(m_routing.layer(cost.layer.value()), gpus);
            cost.nodesPerToken = placesPerToken(m_routing.layer(cost.layer.value()), nodes);
            cost.sameGpu = cost.sameNode = cost.crossNode = kNoData;
            if (layer > 0) {
                const double node = stayingPart(m_transitions[layer - 1], nodesBefore, nodes);
                cost.sameGpu = stayingPart(m_transitions[layer - 1], gpusBefore, gpus);
                cost.sameNode = node - cost.sameGpu;
                cost.crossNode = 1 - node;
            }
            gpusBefore = std::move(gpus);
            nodesBefore = std::move(nodes);
        }
        return costs;
    }

private:
    std::vector<double> gpuLoads(std::size_t layer, const Shares& gpus) const {
        std::vector<double> loads(static_cast<std::size_t>(m_cluster.gpus));
        for (std::size_t e = 0; e < gpus.size(); ++e)
            for (std::size_t gpu = 0; gpu < loads.size(); ++gpu)
                loads[gpu] += m_loads[layer][e] * gpus[e][gpu];
        return loads;
    }

    const RunRouting& m_routing;
    Cluster m_cluster;
    std::vector<Transitions> m_transitions;
    std::vector<std::vector<double>> m_loads;
};

/// Chooses places for experts so that transitions stay near.
class LocalitySearch {
public:
    LocalitySearch(const RunRouting& routing, const Cluster& cluster)
        : m_cluster(cluster),
          m_experts(static_cast<std::size_t>(routing.experts())),
          m_room(perGpu(routing, cluster)),
          m_transitions(transitionsOf(routing, {.layers = 1, .pairs = TransitionPairs::First})) {
        const auto layers = static_cast<std::size_t>(routing.layers());
        m_gpuOf.assign(layers, std::vector<std::int32_t>(m_experts));
        for (auto& gpus : m_gpuOf)
            for (std::size_t e = 0; e < m_experts; ++e)
                gpus[e] = static_cast<std::int32_t>(e / m_room);
    }

    void run() {
        for (std::size_t layer = 1; layer < m_gpuOf.size(); ++layer)
            fill(layer, gains(layer, false));
        for (int round = 0; round < kRounds; ++round) {
            bool better = false;
            for (std::size_t layer = 0; layer < m_gpuOf.size(); ++layer)
                better = swap(layer, gains(layer, true)) || better;
            if (!better) break;
        }
    }
    const std::vector<std::int32_t>& gpusOf(std::size_t layer) const { return m_gpuOf[layer]; }

private:
    /// What one transition saves between two GPUs, against different nodes.
    double saved(std::int32_t a, std::int32_t b) const {
        return a == b ? 2 : m_cluster.nodeOf(a) == m_cluster.nodeOf(b) ? 1 : 0;
    }

    /// [E, gpus] what lies near if an expert of the layer is put on a GPU, given the layers beside it.
    Shares gains(std::size_t layer, bool withNext) const {
        const auto gpus = static_cast<std::size_t>(m_cluster.gpus);
        Shares weight(m_experts, std::vector<double>(gpus)), gain = weight;  // transitions by GPU of the other end
        for (std::size_t i = 0; i < m_experts; ++i) {
            for (std::size_t j = 0; j < m_experts; ++j) {
                if (layer > 0)
                    weight[j][static_cast<std::size_t>(m_gpuOf[layer - 1][i])] +=
                        static_cast<double>(m_transitions[layer - 1].counts[i * m_experts + j]);
                if (withNext && layer + 1 < m_gpuOf.size())
                    weight[i][static_cast<std::size_t>(m_gpuOf[layer + 1][j])] +=
                        static_cast<double>(m_transitions[layer].counts[i * m_experts + j]);
            }
        }
        for (std::size_t e = 0; e < m_experts; ++e)
            for (std::size_t g = 0; g < gpus; ++g)
                for (std::size_t other = 0; other < gpus; ++other)
                    gain[e][g] +=
                        weight[e][other] * saved(static_cast<std::int32_t>(g), static_cast<std::int32_t>(other));
        return gain;
    }

    /// The greatest gain first, while there is room.
    void fill(std::size_t layer, const Shares& gain) {
        const auto gpus = static_cast<std::size_t>(m_cluster.gpus);
        std::vector<std::size_t> order(m_experts * gpus), used(gpus);
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, std::greater{}, [&](std::size_t at) { return gain[at / gpus][at % gpus]; });
        std::vector<bool> placed(m_experts);
        for (const std::size_t at : order) {
            const std::size_t expert = at / gpus, gpu = at % gpus;
            if (placed[expert] || used[gpu] == m_room) continue;
            placed[expert] = true;
            ++used[gpu];
            m_gpuOf[layer][expert] = static_cast<std::int32_t>(gpu);
        }
    }

    /// Swaps pairs of experts while that gains anything; true where any did.
    bool swap(std::size_t layer, const Shares& gain) {
        auto& gpuOf = m_gpuOf[layer];
        bool any = false;
        for (bool again = true; again;) {
            again = false;
            for (std::size_t a = 0; a < m_experts; ++a) {
                for (std::size_t b = a + 1; b < m_experts; ++b) {
                    const auto ga = static_cast<std::size_t>(gpuOf[a]), gb = static_cast<std::size_t>(gpuOf[b]);
                    if (gain[a][gb] + gain[b][ga] <= gain[a][ga] + gain[b][gb] + 1e-9) continue;
                    std::swap(gpuOf[a], gpuOf[b]);
                    again = any = true;
                }
            }
        }
        return any;
    }

    Cluster m_cluster;
    std::size_t m_experts, m_room;
    std::vector<Transitions> m_transitions;
    std::vector<std::vector<std::int32_t>> m_gpuOf;
};

struct PlacementOptions {
    Cluster cluster;
    std::int32_t replicas = 0, groups = 1;
};

PlacementOptions optionsOf(Parameters& parameters, const RunRouting& routing) {
    PlacementOptions options;
    options.cluster.gpus = parameters.integer("gpus", std::min(8, routing.experts()), 1, 1 << 16);
    options.cluster.nodes = parameters.integer("nodes", 1, 1, 1 << 16);
    options.groups = parameters.integer("groups", 1, 1, 1 << 16);
    const std::int32_t gpus = options.cluster.gpus;
    const std::int32_t fewest = (routing.experts() + gpus - 1) / gpus * gpus;
    options.replicas = parameters.integer("replicas", fewest + gpus, 1, 1 << 20);
    if (gpus % options.cluster.nodes != 0)
        throw UsageError(fmt::format("{} GPUs do not divide among {} nodes: give equally many to each.", gpus,
                                     options.cluster.nodes));
    return options;
}

std::string countedOf(const RunRouting& routing, const PlacementOptions& options) {
    return routing.counted() + fmt::format(
                                   " Cluster: {} nodes, {} GPUs; eplb has {} physical experts a layer in {} "
                                   "groups, the others one slot an expert.",
                                   options.cluster.nodes, options.cluster.gpus, options.replicas, options.groups);
}

std::vector<Placement> placementsOf(const RunRouting& routing, const PlacementOptions& options) {
    return {contiguousPlacement(routing, options.cluster),
            replicatedPlacement(routing, options.cluster, options.replicas, options.groups),
            localityPlacement(routing, options.cluster)};
}

void add(PlacementCost& to, const PlacementCost& from, double part) {
    to.layer = from.layer;
    to.imbalance += part * from.imbalance;
    to.balancedness += part * from.balancedness;
    to.gpusPerToken += part * from.gpusPerToken;
    to.nodesPerToken += part * from.nodesPerToken;
    to.sameGpu += part * from.sameGpu;
    to.sameNode += part * from.sameNode;
    to.crossNode += part * from.crossNode;
}

AnalysisTable placementTable(const AnalysisInput& input, Parameters& parameters) {
    const RunRouting& routing = *input.routing;
    const PlacementOptions options = optionsOf(parameters, routing);
    AnalysisTable table;
    table.counted = countedOf(routing, options) +
                    " Placements are made from and measured on the same routing; hops are of first choices from the "
                    "layer before; random is the mean of 4 placements dealt out at random.";
    table.columns = {"placement",       "layer",    "gpu_imbalance",  "balancedness", "gpus_per_token",
                     "nodes_per_token", "same_gpu", "same_node_only", "cross_node"};
    const auto tell = [&](const std::string& name, const std::vector<PlacementCost>& costs) {
        for (const PlacementCost& cost : costs)
            table.rows.push_back({name, std::int64_t{cost.layer.value()}, cost.imbalance, cost.balancedness,
                                  cost.gpusPerToken, cost.nodesPerToken, cost.sameGpu, cost.sameNode, cost.crossNode});
    };
    std::vector<Placement> placements = placementsOf(routing, options);
    const std::size_t chosen = placements.size();
    for (int i = 0; i < kRandomPlacements; ++i)
        placements.push_back(randomPlacement(routing, options.cluster, static_cast<std::uint64_t>(i)));
    const PlacementMeasure measure(routing, options.cluster);
    std::vector<std::vector<PlacementCost>> costs(placements.size());
    ThreadPool(0).forEach(static_cast<int>(placements.size()), [&](int item, int) {
        costs[static_cast<std::size_t>(item)] = measure.costs(placements[static_cast<std::size_t>(item)]);
    });
    for (std::size_t i = 0; i < chosen; ++i)
        tell(placements[i].name, costs[i]);
    std::vector<PlacementCost> random(static_cast<std::size_t>(routing.layers()));
    for (std::size_t i = chosen; i < costs.size(); ++i)
        for (std::size_t layer = 0; layer < random.size(); ++layer)
            add(random[layer], costs[i][layer], 1.0 / kRandomPlacements);
    tell("random", random);
    return table;
}

AnalysisTable mapTable(const AnalysisInput& input, Parameters& parameters) {
    const RunRouting& routing = *input.routing;
    const PlacementOptions options = optionsOf(parameters, routing);
    AnalysisTable table;
    table.counted = countedOf(routing, options);
    table.columns = {"placement", "layer", "slot", "gpu", "node", "expert"};
    for (const Placement& placement : placementsOf(routing, options)) {
        for (std::size_t layer = 0; layer < placement.slots.size(); ++layer) {
            const auto& slots = placement.slots[layer];
            const std::size_t each = slots.size() / static_cast<std::size_t>(options.cluster.gpus);
            for (std::size_t slot = 0; slot < slots.size(); ++slot) {
                if (slots[slot] < 0) continue;
                const auto gpu = static_cast<std::int32_t>(slot / each);
                table.rows.push_back({placement.name, static_cast<std::int64_t>(layer), static_cast<std::int64_t>(slot),
                                      std::int64_t{gpu}, std::int64_t{options.cluster.nodeOf(gpu)},
                                      std::int64_t{slots[slot]}});
            }
        }
    }
    return table;
}

}  // namespace

Placement contiguousPlacement(const RunRouting& routing, const Cluster& cluster) {
    std::vector<std::int32_t> slots = emptySlots(routing, cluster);
    std::iota(slots.begin(), slots.begin() + routing.experts(), 0);
    return {"contiguous", std::vector(static_cast<std::size_t>(routing.layers()), slots)};
}

Placement randomPlacement(const RunRouting& routing, const Cluster& cluster, std::uint64_t seed) {
    Placement placement = contiguousPlacement(routing, cluster);
    placement.name = "random";
    RandomChoices random(seed);
    for (auto& slots : placement.slots)
        random.shuffle(std::span(slots));
    return placement;
}

Placement replicatedPlacement(const RunRouting& routing, const Cluster& cluster, std::int32_t replicas,
                              std::int32_t groups) {
    Placement placement{"eplb", {}};
    for (const auto& loads : loadsOf(routing))
        placement.slots.push_back(replicateEvenly(loads, replicas, groups, cluster));
    return placement;
}

Placement localityPlacement(const RunRouting& routing, const Cluster& cluster) {
    LocalitySearch search(routing, cluster);
    search.run();
    Placement placement{"locality", {}};
    const std::size_t room = perGpu(routing, cluster);
    for (std::size_t layer = 0; layer < static_cast<std::size_t>(routing.layers()); ++layer) {
        auto& slots = placement.slots.emplace_back(emptySlots(routing, cluster));
        std::vector<std::size_t> used(static_cast<std::size_t>(cluster.gpus));
        for (std::size_t e = 0; e < static_cast<std::size_t>(routing.experts()); ++e) {
            const auto gpu = static_cast<std::size_t>(search.gpusOf(layer)[e]);
            slots[gpu * room + used[gpu]++] = static_cast<std::int32_t>(e);
        }
    }
    return placement;
}

std::vector<PlacementCost> placementCosts(const RunRouting& routing, const Cluster& cluster,
                                          const Placement& placement) {
    return PlacementMeasure(routing, cluster).costs(placement);
}

AnalysisInfo placementAnalysis() {
    return {.name = "placement",
            .source = AnalysisSource::Routing,
            .parameters = "gpus=8, nodes=1, replicas=one more a GPU, groups=1",
            .needs = "",
            .summary = "imbalance and traffic of a cluster by layer: experts in order, replicated (EPLB), by locality",
            .reference = "deepseek-ai/EPLB; ExFlow (arXiv 2401.08383)",
            .run = placementTable};
}

AnalysisInfo placementMapAnalysis() {
    return {.name = "placement-map",
            .source = AnalysisSource::Routing,
            .parameters = "gpus=8, nodes=1, replicas=one more a GPU, groups=1",
            .needs = "",
            .summary = "by placement and layer: which expert lies in which slot of which GPU",
            .reference = "deepseek-ai/EPLB; ExFlow (arXiv 2401.08383)",
            .run = mapTable};
}

}  // namespace expertscope
