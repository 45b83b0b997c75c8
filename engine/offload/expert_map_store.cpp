// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/expert_map_store.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <numeric>

namespace expertscope {
namespace {

float product(std::span<const float> a, std::span<const float> b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0F);
}

float cosine(float dot, float squareA, float squareB) {
    const float lengths = std::sqrt(squareA) * std::sqrt(squareB);
    return lengths > 0 ? std::clamp(dot / lengths, 0.0F, 1.0F) : 0.0F;
}

}  // namespace

ExpertMapStore::ExpertMapStore(int layers, int experts, int capacity, int distance)
    : m_layers(layers), m_experts(experts), m_capacity(capacity), m_distance(std::min(distance, layers)) {
    const auto width = static_cast<std::size_t>(experts);
    m_current.resize(static_cast<std::size_t>(layers) * width);
    m_key.resize(static_cast<std::size_t>(m_distance) * width);
}

std::span<const float> ExpertMapStore::row(int map, int layer) const {
    return {m_maps.data() + rows(map, layer), static_cast<std::size_t>(m_experts)};
}

void ExpertMapStore::begin() {
    m_observed = 0;
    m_square = 0;
    std::fill(m_dots.begin(), m_dots.end(), 0.0F);
    m_byTrajectory = {};
}

void ExpertMapStore::observe(std::span<const float> row) {
    assert(m_observed < m_layers);
    const int layer = m_observed++;
    std::copy(row.begin(), row.end(), m_current.begin() + static_cast<std::ptrdiff_t>(rows(0, layer)));
    m_square += product(row, row);
    m_byTrajectory = {};
    for (int map = 0; map < m_size; ++map) {
        const auto at = static_cast<std::size_t>(map);
        m_dots[at] += product(row, this->row(map, layer));
        const float score = cosine(
            m_dots[at], m_square, m_squares[at * static_cast<std::size_t>(m_layers) + static_cast<std::size_t>(layer)]);
        if (score > m_byTrajectory.score) m_byTrajectory = {map, score};
    }
}

void ExpertMapStore::end() {
    assert(m_observed == m_layers);
    const int map = place();
    const auto at = static_cast<std::size_t>(map);
    const auto layers = static_cast<std::size_t>(m_layers);
    if (map == m_size) {
        ++m_size;
        m_maps.resize(m_maps.size() + m_current.size());
        m_squares.resize(m_squares.size() + layers);
        m_keys.resize(m_keys.size() + m_key.size());
        m_dots.resize(static_cast<std::size_t>(m_size));
        m_keyLikeness.resize(static_cast<std::size_t>(m_size));
    }
    std::ranges::copy(m_current, m_maps.begin() + static_cast<std::ptrdiff_t>(rows(map, 0)));
    std::ranges::copy(m_key, m_keys.begin() + static_cast<std::ptrdiff_t>(at * m_key.size()));
    float square = 0;
    for (int layer = 0; layer < m_layers; ++layer) {
        square += product(row(map, layer), row(map, layer));
        m_squares[at * layers + static_cast<std::size_t>(layer)] = square;
    }
    std::copy(m_current.end() - static_cast<std::ptrdiff_t>(m_key.size()), m_current.end(), m_key.begin());
    m_byPredecessor = likestKey(m_keyLikeness);
}

void ExpertMapStore::reset() {
    std::ranges::fill(m_key, 0.0F);
    std::ranges::fill(m_keyLikeness, 0.0F);
    m_byPredecessor = {};
}

/// Where the running step is to be stored.
int ExpertMapStore::place() const {
    if (m_size < m_capacity) return m_size;
    const float early = static_cast<float>(m_distance) / static_cast<float>(m_layers);
    int most = 0;
    float redundancy = -1;
    for (int map = 0; map < m_size; ++map) {
        const auto at = static_cast<std::size_t>(map);
        const float whole = cosine(m_dots[at], m_square, m_squares[(at + 1) * static_cast<std::size_t>(m_layers) - 1]);
        const float both = early * m_keyLikeness[at] + (1 - early) * whole;
        if (both > redundancy) most = map, redundancy = both;
    }
    return most;
}

ExpertMapStore::Match ExpertMapStore::likestKey(std::vector<float>& likeness) const {
    Match best;
    const float square = product(m_key, m_key);
    for (int map = 0; map < m_size; ++map) {
        const auto at = static_cast<std::size_t>(map);
        const std::span key(m_keys.data() + at * m_key.size(), m_key.size());
        likeness[at] = cosine(product(m_key, key), square, product(key, key));
        if (likeness[at] > best.score) best = {map, likeness[at]};
    }
    return best;
}

void selectExperts(std::span<const float> probabilities, float score, int atLeast, std::vector<int>& chosen) {
    chosen.resize(probabilities.size());
    std::iota(chosen.begin(), chosen.end(), 0);
    std::ranges::stable_sort(chosen, std::greater<>(),
                             [&](int expert) { return probabilities[static_cast<std::size_t>(expert)]; });
    const float wanted = std::clamp(1 - score, 0.0F, 1.0F);
    float sum = 0;
    std::size_t count = 0;
    while (count < chosen.size() && (sum <= wanted || count < static_cast<std::size_t>(atLeast)))
        sum += probabilities[static_cast<std::size_t>(chosen[count++])];
    chosen.resize(count);
}

}  // namespace expertscope
