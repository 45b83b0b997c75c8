// SPDX-License-Identifier: GPL-3.0-or-later
#include <cmath>

#include "engine/offload/evictions/evictions.h"
#include "engine/offload/evictions/least_scored.h"
#include "engine/offload/evictions/resident_buckets.h"

// SpecMD (arXiv 2602.03921) proposes "least stale" without pseudo-code; what others made of it differs so much that
// each reading is a variant of its own.

namespace expertscope {
namespace {

/// variant=fifo, tinyserve's reading: an expert touched (used or admitted) in the running forward pass is fresh, any
/// other one stale. Stale ones leave first, then fresh ones; each kind in the order in which its members became fresh.
/// As a stale one was touched in an earlier pass than any fresh one, that is the order of the first touch in the last
/// pass that touched the expert, which is the score. No ties. A pass is a step.
class LeastStaleFifo final : public BucketRule {
public:
    void begin(const OffloadContext& context) override {
        BucketRule::begin(context);
        m_freshened.assign(static_cast<std::size_t>(context.shape.total()), 0);
        m_step.assign(static_cast<std::size_t>(context.shape.total()), StepIndex(-1));
    }
    void onLayer(const RoutedLayer& routed, Predictors&) override { m_now = routed.step; }
    void onUse(int expert, std::int64_t order, bool) override {
        if (m_residents.holds(expert) && m_step[static_cast<std::size_t>(expert)] != m_now) freshen(expert, order);
    }
    void onAdmit(int expert, std::int64_t order) override { freshen(expert, order); }
    double score(int expert) const override {
        return static_cast<double>(m_freshened[static_cast<std::size_t>(expert)]);
    }

private:
    void freshen(int expert, std::int64_t order) {
        m_freshened[static_cast<std::size_t>(expert)] = order;
        m_step[static_cast<std::size_t>(expert)] = m_now;
        m_residents.place(expert, 0);
    }
    StepIndex m_now{0};
    std::vector<std::int64_t> m_freshened;  ///< [experts of all layers] order
    std::vector<StepIndex> m_step;          ///< [experts of all layers] in which it was freshened
};

/// variant=ema, hipfire's reading: who is most overdue leaves, max (now − last use) − mean interval, which is min
/// last use + mean interval, the score. The time counts accesses (one a step, layer and expert); the interval is an
/// exponential mean with weight 0.5 for the newest (not published), 0 before the second use, and kept over evictions.
/// An admission counts as a use for `last` alone. Ties by recency.
class LeastStaleEma final : public EvictionRule {
public:
    void begin(const OffloadContext& context) override {
        m_residents.begin(context.shape);
        m_history.assign(static_cast<std::size_t>(context.shape.total()), {});
        m_now = 0;
    }
    void onUse(int expert, std::int64_t order, bool first) override {
        History& history = m_history[static_cast<std::size_t>(expert)];
        if (first) {
            ++m_now;
            const auto interval = static_cast<double>(m_now - history.used);
            if (history.used > 0) history.mean = history.mean > 0 ? (history.mean + interval) / 2 : interval;
            history.used = m_now;
        }
        history.touched = m_now;
        if (history.resident) place(expert, order);
    }
    void onAdmit(int expert, std::int64_t order) override {
        m_history[static_cast<std::size_t>(expert)].touched = m_now;
        m_history[static_cast<std::size_t>(expert)].resident = true;
        place(expert, order);
    }
    void onLeave(int expert) override {
        m_history[static_cast<std::size_t>(expert)].resident = false;
        m_residents.remove(expert);
    }
    double score(int expert) const override {
        const History& history = m_history[static_cast<std::size_t>(expert)];
        return static_cast<double>(history.touched) + history.mean;
    }
    int victim(const EvictionCandidates& candidates) const override { return m_residents.first(candidates); }

private:
    struct History {
        std::int64_t used = 0, touched = 0;  ///< accesses
        double mean = 0;                     ///< interval between uses
        bool resident = false;
    };
    void place(int expert, std::int64_t order) { m_residents.set(expert, {score(expert), order}); }

    LeastScored m_residents;
    std::vector<History> m_history;  ///< [experts of all layers]
    std::int64_t m_now = 0;          ///< accesses
};

/// variant=mixed, mlx-flash's reading: score = 0.4 · uses ÷ steps + 0.4 · exp(−steps since the last use ÷ 100) +
/// 0.2 · (1 − layer ÷ layers); the lowest leaves. Uses count one a step and layer, since the start. Its terms move
/// against each other as steps go by, so the victim is found by looking at all. Ties by recency. An expert that was
/// never used has only its layer's term.
class LeastStaleMixed final : public EvictionRule {
public:
    void begin(const OffloadContext& context) override {
        m_shape = context.shape;
        m_history.assign(static_cast<std::size_t>(m_shape.total()), {});
        m_now = 0;
    }
    void onLayer(const RoutedLayer& routed, Predictors&) override {
        if (routed.step != m_step) ++m_now;
        m_step = routed.step;
    }
    void onUse(int expert, std::int64_t, bool first) override {
        History& history = m_history[static_cast<std::size_t>(expert)];
        if (first) ++history.uses;
        history.last = m_now;
    }
    void onAdmit(int, std::int64_t) override {}
    double score(int expert) const override {
        const History& history = m_history[static_cast<std::size_t>(expert)];
        const double layer = 0.2 * (1 - static_cast<double>(expert / m_shape.experts) / m_shape.layers);
        if (history.uses == 0) return layer;
        const auto steps = static_cast<double>(std::max<std::int64_t>(m_now, 1));
        return 0.4 * static_cast<double>(history.uses) / steps +
               0.4 * std::exp(static_cast<double>(history.last - m_now) / 100) + layer;
    }

private:
    struct History {
        std::int64_t uses = 0, last = 0;
    };
    OffloadShape m_shape;
    std::vector<History> m_history;  ///< [experts of all layers]
    StepIndex m_step{-1};
    std::int64_t m_now = 0;  ///< steps
};

/// variant=layer, a further reading: the lowest layer in which the expert was last used leaves, and as an expert has
/// one layer that is its own. Ties by recency.
class LeastStaleLayer final : public BucketRule {
public:
    void begin(const OffloadContext& context) override {
        BucketRule::begin(context);
        m_experts = context.shape.experts;
    }
    void onUse(int expert, std::int64_t, bool) override {
        if (m_residents.holds(expert)) m_residents.place(expert, expert / m_experts);
    }
    void onAdmit(int expert, std::int64_t) override { m_residents.place(expert, expert / m_experts); }
    double score(int expert) const override { return expert / m_experts; }

private:
    int m_experts = 0;
};

std::unique_ptr<EvictionRule> makeLeastStale(Parameters& parameters) {
    const std::string variant = parameters.word("variant", {"fifo", "ema", "mixed", "layer"});
    if (variant == "ema") return std::make_unique<LeastStaleEma>();
    if (variant == "mixed") return std::make_unique<LeastStaleMixed>();
    if (variant == "layer") return std::make_unique<LeastStaleLayer>();
    return std::make_unique<LeastStaleFifo>();
}

}  // namespace

EvictionEntry leastStaleEviction() {
    return {{.name = "least-stale",
             .summary = "What the running step has not touched leaves first (fifo); or the most overdue (ema), the "
                        "lowest mix of frequency, recency and layer (mixed), the lowest layer (layer).",
             .parameters = "variant=fifo|ema|mixed|layer",
             .source = "SpecMD (arXiv 2602.03921) as read by tinyserve (fifo), hipfire (ema), mlx-flash (mixed)"},
            makeLeastStale};
}

}  // namespace expertscope
