// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <random>

#include "engine/offload/policies/policies.h"
#include "engine/offload/policies/static_placement.h"

namespace expertscope {
namespace {

/// Score 1 for the experts of a placement that may change, 0 for the others: those leave first.
class OutOfPlacementFirst final : public EvictionRule {
public:
    explicit OutOfPlacementFirst(std::shared_ptr<const std::vector<char>> placement)
        : m_placement(std::move(placement)) {}
    void begin(const OffloadContext&) override {}
    void onUse(int, std::int64_t, bool) override {}
    void onAdmit(int, std::int64_t) override {}
    double score(int expert) const override { return (*m_placement)[static_cast<std::size_t>(expert)]; }

private:
    std::shared_ptr<const std::vector<char>> m_placement;
};

/// KTransformers (kt-kernel, "expert scheduling"): a mask says which experts are on the device; the others are computed
/// by the CPU, at the same time, and never move. The masks of its strategies, for S slots in L layers:
///   uniform        the first S/L experts of every layer, one more in the first S mod L layers
///   frequency      the S most popular (layer, expert) pairs
///   front-loading  whole layers from the first on
///   random         S of all pairs, drawn with `seed`
/// Differs in that `random` draws from our own generator, and in that layers without slots are computed in place too.
class Static final : public StaticPlacement {
public:
    Static(std::string mode, int seed) : m_mode(std::move(mode)), m_seed(seed) {}

    bool usesPrepared() const override { return m_mode == "frequency"; }

    void begin(const OffloadContext& context) override {
        Policy::begin(context);
        place(m_mode == "frequency" ? byPopularity(context) : order(), shape().slots);
    }

private:
    std::vector<ExpertRef> order() const {
        std::vector<ExpertRef> order;
        for (int i = 0; i < shape().total(); ++i) {
            // Uniform takes turns: expert 0 of every layer, then expert 1.
            const int layer = m_mode == "uniform" ? i % shape().layers : i / shape().experts;
            const int expert = m_mode == "uniform" ? i / shape().layers : i % shape().experts;
            order.push_back({LayerIndex(layer), ExpertId(expert)});
        }
        if (m_mode == "random") {
            // Not std::shuffle, whose draws differ from library to library.
            std::mt19937 random(static_cast<std::uint32_t>(m_seed));
            for (std::size_t left = order.size(); left > 1; --left)
                std::swap(order[left - 1], order[random() % left]);
        }
        return order;
    }

    std::string m_mode;
    int m_seed;
};

/// KTransformers with dynamic expert update: begins as `uniform`; a prefill of at least `refresh` tokens re-picks
/// every layer's experts, as many as before, by how many of its tokens chose them (of equals those that are there stay,
/// then by number). Those that are new are brought as the prefill needs them, the rest is computed in place. The
/// published one streams whole layers during such a prefill, and keeps from them the ones that it picks.
class DynamicStatic final : public Policy {
public:
    explicit DynamicStatic(int refresh) : m_refresh(refresh) {}

    bool usesPrepared() const override { return false; }
    bool computesInPlace() const override { return true; }

    void begin(const OffloadContext& context) override {
        Policy::begin(context);
        m_placement = std::make_shared<std::vector<char>>(static_cast<std::size_t>(shape().total()), char{0});
        for (int i = 0; i < std::min(shape().slots, shape().total()); ++i)
            (*m_placement)[index({LayerIndex(i % shape().layers), ExpertId(i / shape().layers)})] = 1;
    }
    void preload(std::vector<ExpertRef>& wanted) override {
        for (int i = 0; i < shape().total(); ++i)
            if (pins(shape().ref(i))) wanted.push_back(shape().ref(i));
    }
    bool pins(ExpertRef ref) const override { return (*m_placement)[index(ref)] != 0; }
    CacheDomain domain() const override {
        CacheDomain domain;
        for (int layer = 0; layer < shape().layers; ++layer)
            domain.share.push_back(quota(layer));
        return domain;
    }
    std::unique_ptr<EvictionRule> makeEviction() const override {
        return std::make_unique<OutOfPlacementFirst>(m_placement);
    }

    void placeMisses(const RoutedLayer& routed, std::span<ExpertAccess> accesses) override {
        if (routed.phase == Phase::Prefill && routed.tokens >= m_refresh) repick(routed.layer, accesses);
        for (ExpertAccess& access : accesses)
            access.action = pins({routed.layer, access.expert}) ? MissAction::Fetch : MissAction::InPlace;
    }

private:
    std::size_t index(ExpertRef ref) const { return static_cast<std::size_t>(shape().flat(ref)); }
    int quota(int layer) const { return shape().slots / shape().layers + (layer < shape().slots % shape().layers); }

    void repick(LayerIndex layer, std::span<const ExpertAccess> accesses) {
        m_counts.assign(static_cast<std::size_t>(shape().experts), 0);
        for (const ExpertAccess& access : accesses)
            m_counts[access.expert.index()] = access.tokens;
        m_order.clear();
        for (int expert = 0; expert < shape().experts; ++expert)
            m_order.push_back({layer, ExpertId(expert)});
        std::ranges::stable_sort(m_order, [&](ExpertRef a, ExpertRef b) {
            return std::pair(m_counts[a.expert.index()], pins(a)) > std::pair(m_counts[b.expert.index()], pins(b));
        });
        const auto picked = static_cast<std::size_t>(quota(layer.value()));
        for (std::size_t i = 0; i < m_order.size(); ++i)
            (*m_placement)[index(m_order[i])] = i < picked ? 1 : 0;
    }

    int m_refresh;
    std::shared_ptr<std::vector<char>> m_placement;  ///< [layers · experts]; shared with the eviction rule
    std::vector<int> m_counts;                       ///< [experts], scratch
    std::vector<ExpertRef> m_order;                  ///< scratch
};

}  // namespace

PolicyEntry staticPolicy() {
    return {{.name = "static",
             .parameters = "mode=uniform (or frequency, front-loading, random, dynamic), seed=42, refresh=1 (prompt "
                           "tokens that make 'dynamic' pick anew)",
             .needs = "mode=frequency: popularity",
             .source = "KTransformers (SOSP'25), kt-kernel expert scheduling",
             .summary = "A fixed choice of experts stays on the device; the others are computed where they lie.",
             .prepared = {"popularity"}},
            [](Parameters& parameters) -> std::unique_ptr<Policy> {
                const std::string mode =
                    parameters.word("mode", {"uniform", "frequency", "front-loading", "random", "dynamic"});
                const int seed = parameters.integer("seed", 42, 0, 1 << 30);
                const int refresh = parameters.integer("refresh", 1, 1, 1 << 20);
                if (mode == "dynamic") return std::make_unique<DynamicStatic>(refresh);
                return std::make_unique<Static>(mode, seed);
            }};
}

}  // namespace expertscope
