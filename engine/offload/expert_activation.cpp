// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/expert_activation.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

#include "engine/offload/prepared_data.h"

namespace expertscope {
namespace {

double dot(std::span<const float> a, std::span<const float> b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}

}  // namespace

ExpertActivation::ExpertActivation(int layers, int experts)
    : m_layers(layers),
      m_experts(experts),
      m_cells(static_cast<std::size_t>(layers) * static_cast<std::size_t>(experts)) {}

bool ExpertActivation::empty() const {
    return std::ranges::all_of(m_cells, [](float tokens) { return tokens == 0; });
}

void ExpertActivation::clear() { std::ranges::fill(m_cells, 0.0F); }

void ExpertActivation::add(const RoutedLayer& routed) {
    for (const ExpertId expert : routed.experts)
        if (expert.value() >= 0) add({routed.layer, expert});
}

void ExpertActivation::add(const ExpertActivation& other) {
    assert(other.m_cells.size() == m_cells.size());
    for (std::size_t i = 0; i < m_cells.size(); ++i)
        m_cells[i] += other.m_cells[i];
}

std::span<const float> ExpertActivation::row(LayerIndex layer) const {
    const auto width = static_cast<std::size_t>(m_experts);
    return std::span(m_cells).subspan(layer.index() * width, width);
}

double cosine(const ExpertActivation& a, const ExpertActivation& b) {
    const double lengths = std::sqrt(dot(a.cells(), a.cells()) * dot(b.cells(), b.cells()));
    return lengths > 0 ? dot(a.cells(), b.cells()) / lengths : 0;
}

ActivationCollection::ActivationCollection(int layers, int experts, int capacity)
    : m_layers(layers), m_experts(experts), m_capacity(capacity) {
    assert(capacity > 0);
}

float ActivationCollection::rowSum(int at, LayerIndex layer) const {
    return m_rowSums[static_cast<std::size_t>(at) * static_cast<std::size_t>(m_layers) + layer.index()];
}

int ActivationCollection::insert(const ExpertActivation& finished) {
    if (finished.empty()) return -1;
    int at = size();
    if (at < m_capacity) {
        m_entries.emplace_back();
        m_norms.emplace_back();
        m_generations.emplace_back();
        m_rowSums.resize(m_rowSums.size() + static_cast<std::size_t>(m_layers));
    } else {
        at = nearest(finished);
    }
    write(at, finished);
    return at;
}

void ActivationCollection::write(int at, const ExpertActivation& activation) {
    assert(activation.layers() == m_layers && activation.experts() == m_experts);
    const auto entry = static_cast<std::size_t>(at);
    m_entries[entry] = activation;
    ++m_generations[entry];
    if (m_entries.size() > m_width)
        widen();
    else
        writeColumns(entry);
    const auto cells = activation.cells();
    m_norms[entry] = static_cast<float>(std::sqrt(dot(cells, cells)));
    for (int layer = 0; layer < m_layers; ++layer) {
        const auto row = activation.row(LayerIndex(layer));
        m_rowSums[entry * static_cast<std::size_t>(m_layers) + static_cast<std::size_t>(layer)] =
            std::accumulate(row.begin(), row.end(), 0.0F);
    }
}

void ActivationCollection::writeColumns(std::size_t entry) {
    const auto cells = m_entries[entry].cells();
    for (std::size_t cell = 0; cell < cells.size(); ++cell)
        m_columns[cell * m_width + entry] = cells[cell];
}

void ActivationCollection::widen() {
    m_width = std::min(static_cast<std::size_t>(m_capacity), std::max<std::size_t>(16, 2 * m_width));
    m_columns.assign(static_cast<std::size_t>(m_layers) * static_cast<std::size_t>(m_experts) * m_width, 0.0F);
    for (std::size_t entry = 0; entry < m_entries.size(); ++entry)
        writeColumns(entry);
}

int ActivationCollection::nearest(const ExpertActivation& activation) const {
    int best = -1;
    double bestCosine = 0;
    for (int at = 0; at < size(); ++at) {
        const double similarity = cosine(activation, entry(at));
        if (best < 0 || similarity > bestCosine) best = at, bestCosine = similarity;
    }
    return best;
}

void ActivationCollection::restart(ActivationQuery& query) const { query.m_products.assign(m_entries.size(), 0.0F); }

void ActivationCollection::add(ActivationQuery& query, ExpertRef ref, float tokens) const {
    assert(query.m_products.size() == m_entries.size());
    const std::size_t cell = ref.layer.index() * static_cast<std::size_t>(m_experts) + ref.expert.index();
    const float* const column = m_columns.data() + cell * m_width;
    float* const products = query.m_products.data();
    for (std::size_t i = 0; i < m_entries.size(); ++i)
        products[i] += tokens * column[i];
}

void ActivationCollection::nearest(const ActivationQuery& query, int count, std::vector<int>& entries) const {
    // The query's own length divides all of them alike.
    const auto similarity = [&](int at) {
        return query.m_products[static_cast<std::size_t>(at)] / m_norms[static_cast<std::size_t>(at)];
    };
    entries.clear();
    for (int at = 0; at < size(); ++at) {
        std::size_t place = entries.size();
        while (place > 0 && similarity(entries[place - 1]) < similarity(at))
            --place;
        if (place == static_cast<std::size_t>(count)) continue;
        if (entries.size() == static_cast<std::size_t>(count)) entries.pop_back();
        entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(place), at);
    }
}

ActivationTracker::ActivationTracker(const OffloadShape& shape, int capacity, int matches)
    : m_layers(shape.layers),
      m_matches(matches),
      m_collection(shape.layers, shape.experts, capacity),
      m_iteration(shape.layers, shape.experts),
      m_request(shape.layers, shape.experts) {
    m_collection.restart(m_query);
}

void ActivationTracker::seed(std::span<const ExpertActivation> finished) {
    for (const ExpertActivation& activation : finished)
        m_collection.insert(activation);
    m_collection.restart(m_query);
    m_matchKnown = false;
}

void ActivationTracker::closeRequest() {
    m_collection.insert(m_request);
    m_request.clear();
    m_iteration.clear();
    m_collection.restart(m_query);
    m_matchKnown = false;
}

void ActivationTracker::beginRequest() {
    closeRequest();
    m_step = StepIndex(-1);
}

void ActivationTracker::observe(const RoutedLayer& routed) {
    if (routed.step != m_step) {
        if (routed.phase != m_phase) closeRequest();
        m_step = routed.step;
        m_phase = routed.phase;
        m_iteration.clear();
        m_collection.restart(m_query);
    }
    m_current = routed.layer;
    m_matchKnown = false;
    m_iteration.add(routed);
    m_request.add(routed);
    if (m_collection.size() == 0) return;
    const auto row = m_iteration.row(routed.layer);
    for (std::size_t expert = 0; expert < row.size(); ++expert)
        if (row[expert] > 0) m_collection.add(m_query, {routed.layer, ExpertId(static_cast<int>(expert))}, row[expert]);
}

std::span<const int> ActivationTracker::matched() const {
    if (!m_matchKnown) m_collection.nearest(m_query, m_matches, m_matched);
    m_matchKnown = true;
    return m_matched;
}

double ActivationTracker::share(ExpertRef ref) const {
    double tokens = 0, all = 0;
    for (const int at : matched()) {
        tokens += static_cast<double>(m_collection.entry(at).at(ref));
        all += static_cast<double>(m_collection.rowSum(at, ref.layer));
    }
    return all > 0 ? tokens / all : 0;
}

double ActivationTracker::likelihood(ExpertRef ref) const {
    if (ref.layer <= m_current) return 0;
    return share(ref) * layerProximity(ref.layer, m_current, m_layers);
}

std::vector<ExpertActivation> collectedActivations(const OffloadContext& context) {
    std::vector<ExpertActivation> collected;
    if (!context.prepared || !context.prepared->find("eamc")) return collected;
    const OffloadShape& shape = context.shape;
    const PreparedTable& table = context.prepared->table("eamc", {-1, shape.layers, shape.experts});
    const auto cells = static_cast<std::size_t>(shape.total());
    for (std::size_t from = 0; from < table.values.size(); from += cells) {
        ExpertActivation& activation = collected.emplace_back(shape.layers, shape.experts);
        for (int expert = 0; expert < shape.total(); ++expert)
            activation.add(shape.ref(expert), table.values[from + static_cast<std::size_t>(expert)]);
    }
    return collected;
}

}  // namespace expertscope
