// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <vector>

namespace expertscope {

/// FineMoE's store of expert maps (arXiv 2502.05370): the router probabilities [layers, experts] of past forward steps,
/// searched by how alike a step's layers so far are to theirs. Plain equivalent: for every stored map the cosine of the
/// flattened rows 0 … l with those of the running step. Kept as running sums, so that a layer costs O(maps · experts).
///
/// A map also keeps a key: the last `distance` rows of the step before it, by which the maps that follow a step like
/// the present one are found before their first layer has run.
///
/// Use: begin(), then observe() layer by layer from 0, then end() once after the last; reset() between requests.
class ExpertMapStore {
public:
    struct Match {
        int map = -1;     ///< −1: nothing stored that is at all alike
        float score = 0;  ///< cosine, 0 to 1
    };

    ExpertMapStore(int layers, int experts, int capacity, int distance);

    /// A step starts: nothing of it is known.
    void begin();
    /// The router's probabilities [experts] of the next layer of the step.
    void observe(std::span<const float> row);
    /// The map whose first layers are the most like those observed (trajectory search).
    Match byTrajectory() const { return m_byTrajectory; }
    /// Stores the step. Where the store is full it takes the place of the most redundant map: the largest
    /// d/L · (likeness of keys) + (L − d)/L · (likeness of maps).
    void end();
    /// After end(): the map of the step that followed the one most like the one that has ended; FineMoE searches by
    /// the input's embedding here (semantic search).
    Match byPredecessor() const { return m_byPredecessor; }
    /// Nothing follows the last step: another request starts.
    void reset();

    int size() const { return m_size; }
    /// [experts] of a stored map.
    std::span<const float> row(int map, int layer) const;

private:
    std::size_t rows(int map, int layer) const {
        return (static_cast<std::size_t>(map) * static_cast<std::size_t>(m_layers) + static_cast<std::size_t>(layer)) *
               static_cast<std::size_t>(m_experts);
    }
    int place() const;
    Match likestKey(std::vector<float>& likeness) const;

    int m_layers, m_experts, m_capacity, m_distance;
    int m_size = 0;
    std::vector<float> m_maps;         ///< [maps, layers, experts]
    std::vector<float> m_squares;      ///< [maps, layers] squared length of the rows 0 … l
    std::vector<float> m_keys;         ///< [maps, distance, experts]; zeros where nothing came before
    std::vector<float> m_current;      ///< [layers, experts] of the running step
    int m_observed = 0;                ///< layers of it
    float m_square = 0;                ///< its squared length so far
    std::vector<float> m_dots;         ///< [maps] product of the running step with each map, so far
    std::vector<float> m_key;          ///< [distance, experts] of the running step
    std::vector<float> m_keyLikeness;  ///< [maps] cosine of its key with each map's
    Match m_byTrajectory, m_byPredecessor;
};

/// FineMoE's selection: of `probabilities` the highest until their sum exceeds δ = clip(1 − score, 0, 1) and there are
/// `atLeast`; by falling probability, of equal ones the lower number first. A good match needs few, a bad one many.
void selectExperts(std::span<const float> probabilities, float score, int atLeast, std::vector<int>& chosen);

}  // namespace expertscope
