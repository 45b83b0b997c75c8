// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/fidelity.h"

#include <algorithm>
#include <cmath>

namespace expertscope {
namespace {

/// ln Σ exp(logits), the constant that turns logits into log-probabilities; shifted by the largest against overflow.
double logPartition(std::span<const float> logits) {
    const double largest = *std::ranges::max_element(logits);
    double sum = 0;
    for (const float logit : logits)
        sum += std::exp(static_cast<double>(logit) - largest);
    return largest + std::log(sum);
}

}  // namespace

void LikelihoodSum::add(std::span<const float> logits, std::int32_t next) {
    m_nats += logPartition(logits) - static_cast<double>(logits[static_cast<std::size_t>(next)]);
    ++m_tokens;
}

double LikelihoodSum::perplexity() const { return std::exp(m_nats / static_cast<double>(m_tokens)); }

void FidelityMeter::add(std::span<const float> run, std::span<const float> resident, std::int32_t next) {
    const double runPartition = logPartition(run);
    const double residentPartition = logPartition(resident);
    double kl = 0;
    double distance = 0;
    for (std::size_t i = 0; i < run.size(); ++i) {
        const double logQ = static_cast<double>(run[i]) - runPartition;
        const double logP = static_cast<double>(resident[i]) - residentPartition;
        const double p = std::exp(logP);
        kl += p * (logP - logQ);
        distance += std::abs(p - std::exp(logQ));
    }
    m_kl += kl;
    m_totalVariation += distance / 2;
    const auto best = [](std::span<const float> logits) { return std::ranges::max_element(logits) - logits.begin(); };
    if (best(run) == best(resident)) ++m_agreed;
    m_run.add(run, next);
    m_resident.add(resident, next);
    ++m_positions;
}

Fidelity FidelityMeter::result() const {
    const auto n = static_cast<double>(m_positions);
    return {.positions = m_positions,
            .top1Agreement = static_cast<double>(m_agreed) / n,
            .kl = m_kl / n,
            .totalVariation = m_totalVariation / n,
            .perplexity = m_run.perplexity(),
            .residentPerplexity = m_resident.perplexity()};
}

Json routingJson(const RoutingChanges& changes) {
    const auto shareOf = [&](const RoutingChanges::Part& part) -> Json {
        const bool counted = changes.all.choices > 0;
        const double all = static_cast<double>(changes.all.choices);
        return {{"share", counted ? static_cast<double>(part.choices) / all : 0.0},
                {"router_mass", counted ? part.mass / changes.all.mass : 0.0}};
    };
    return {{"dropped", shareOf(changes.of(SelectionAction::Dropped))},
            {"substituted", shareOf(changes.of(SelectionAction::Substituted))},
            {"low_precision", shareOf(changes.of(SelectionAction::LowPrecision))},
            {"rerouted", shareOf(changes.rerouted)}};
}

Json Fidelity::toJson() const {
    return {{"top1_agreement", finiteOrNull(top1Agreement)},
            {"kl", finiteOrNull(kl)},
            {"total_variation", finiteOrNull(totalVariation)},
            {"perplexity", finiteOrNull(perplexity)},
            {"resident_perplexity", finiteOrNull(residentPerplexity)}};
}

}  // namespace expertscope
