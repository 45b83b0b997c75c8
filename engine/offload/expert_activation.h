// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/offload/offload_context.h"
#include "engine/offload/policy.h"

namespace expertscope {

/// Expert activation matrix (EAM) of MoE-Infinity (arXiv 2401.14361v3): how many tokens were routed to each expert of
/// each layer. A token counts once for each expert that it chose, so a row sums to tokens × top-k (the paper's formula
/// writes the number of tokens, which is top-1).
class ExpertActivation {
public:
    ExpertActivation() = default;
    ExpertActivation(int layers, int experts);
    int layers() const { return m_layers; }
    int experts() const { return m_experts; }
    bool empty() const;  ///< nothing counted
    void clear();
    void add(ExpertRef ref, float tokens = 1) { m_cells[index(ref)] += tokens; }
    void add(const RoutedLayer& routed);
    void add(const ExpertActivation& other);
    float at(ExpertRef ref) const { return m_cells[index(ref)]; }
    std::span<const float> row(LayerIndex layer) const;
    std::span<const float> cells() const { return m_cells; }  ///< [layers, experts]
    bool operator==(const ExpertActivation&) const = default;

private:
    std::size_t index(ExpertRef ref) const {
        return ref.layer.index() * static_cast<std::size_t>(m_experts) + ref.expert.index();
    }
    int m_layers = 0, m_experts = 0;
    std::vector<float> m_cells;
};

/// Of the flattened matrices; 0 where one of them is empty.
double cosine(const ExpertActivation& a, const ExpertActivation& b);

/// What a query has seen of its matrix so far: the products with every stored one, kept while cells are added.
class ActivationQuery {
private:
    friend class ActivationCollection;
    std::vector<float> m_products;  ///< [entries when it was started]
};

/// The paper's EAM collection (EAMC): at most `capacity` matrices of past requests, each of a prompt or of what was
/// generated for it. When full, a new one takes the place of the stored one that is nearest to it (App. B.1), so
/// the collection stays diverse and its nearest member fresh. Adding a cell to a query is O(capacity), asking for its
/// nearest O(capacity). Plain equivalent: cosine() with every entry.
class ActivationCollection {
public:
    ActivationCollection(int layers, int experts, int capacity);
    int capacity() const { return m_capacity; }
    int size() const { return static_cast<int>(m_entries.size()); }
    const ExpertActivation& entry(int at) const { return m_entries[static_cast<std::size_t>(at)]; }
    /// Grows with each matrix that is stored there.
    std::int64_t generation(int at) const { return m_generations[static_cast<std::size_t>(at)]; }
    /// Tokens of a layer in an entry.
    float rowSum(int at, LayerIndex layer) const;
    /// Where it was stored; −1: an empty matrix is not.
    int insert(const ExpertActivation& finished);
    /// The entry nearest to `activation`, of equal ones the first; −1 where nothing is stored.
    int nearest(const ExpertActivation& activation) const;

    /// Starts a query; it lasts until the next insert().
    void restart(ActivationQuery& query) const;
    void add(ActivationQuery& query, ExpertRef ref, float tokens) const;
    /// The `count` nearest entries (fewer where fewer are stored), the nearest first, of equal ones the first stored.
    void nearest(const ActivationQuery& query, int count, std::vector<int>& entries) const;

private:
    void write(int at, const ExpertActivation& activation);
    void writeColumns(std::size_t entry);
    void widen();
    int m_layers, m_experts, m_capacity;
    std::vector<ExpertActivation> m_entries;
    std::size_t m_width = 0;                  ///< entries for which m_columns has room; grows up to the capacity
    std::vector<float> m_columns;             ///< [layers × experts, m_width]: a cell of all entries lies together
    std::vector<float> m_norms;               ///< [entries]
    std::vector<std::int64_t> m_generations;  ///< [entries]
    std::vector<float> m_rowSums;             ///< [entries, layers]
};

/// 1 − (target − current)/layers: how soon a later layer comes.
inline double layerProximity(LayerIndex target, LayerIndex current, int layers) {
    return 1.0 - static_cast<double>(target.value() - current.value()) / layers;
}

/// Follows a run as section 4 of the paper does: the matrix of the running forward pass (iEAM), that of the running
/// request (rEAM; of its prompt and of what it generates apart), and the collection of finished ones. Both the policy
/// and the eviction rule of MoE-Infinity keep one; told the same routing they agree.
class ActivationTracker {
public:
    static constexpr int kPaperCapacity = 120;  ///< the lowest latency is reached with it (about 3 % of requests)

    ActivationTracker(const OffloadShape& shape, int capacity = kPaperCapacity, int matches = 1);
    /// Puts matrices that were collected beforehand into the collection.
    void seed(std::span<const ExpertActivation> finished);
    void beginRequest();
    /// A layer was routed. A new step starts a new forward pass; a change of phase closes the request's matrix.
    void observe(const RoutedLayer& routed);

    const ActivationCollection& collection() const { return m_collection; }
    const ExpertActivation& iteration() const { return m_iteration; }
    const ExpertActivation& request() const { return m_request; }
    /// Entries of the collection nearest to the running forward pass, the nearest first; none where it is empty.
    std::span<const int> matched() const;
    /// Which share of its layer's tokens the expert had in the matched entries together; 0 where there are none.
    double share(ExpertRef ref) const;
    /// The paper's pEAM: share × layerProximity for layers after the one routed last, 0 for it and those before.
    double likelihood(ExpertRef ref) const;

private:
    void closeRequest();
    int m_layers, m_matches;
    ActivationCollection m_collection;
    ExpertActivation m_iteration, m_request;
    ActivationQuery m_query;
    StepIndex m_step{-1};
    Phase m_phase = Phase::Prefill;
    LayerIndex m_current{-1};
    mutable std::vector<int> m_matched;
    mutable bool m_matchKnown = false;
};

/// The matrices of past requests that were collected beforehand (table "eamc"); none where nothing was prepared. Throws
/// BadInputError when they are of another shape.
std::vector<ExpertActivation> collectedActivations(const OffloadContext& context);

}  // namespace expertscope
