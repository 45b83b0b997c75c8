// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/budget_scale.h"

#include <algorithm>
#include <cmath>

namespace expertscope {
namespace {

/// At most three significant digits, without trailing zeros: 25, 12.5, 0.391.
QString threeDigits(double value) { return QString::number(value, 'g', value >= 100 ? 4 : 3); }

}  // namespace

BudgetScale::BudgetScale(const ModelFacts& model)
    : m_layers(std::max(1, model.layers)),
      m_perLayer(std::max(1, model.experts)),
      m_topK(std::max(1, model.topK)),
      m_expertBytes(model.expertBytes) {}

std::vector<BudgetScale::Mark> BudgetScale::marks() const {
    return {
        {.experts = m_topK,
         .text = "a layer",
         .meaning =
             QString("%1 experts: what one layer needs for one token. Below it a layer runs in waves.").arg(m_topK)},
        {.experts = m_topK * m_layers,
         .text = "a token",
         .meaning = QString("%1 experts: what one token needs over all layers. Below it a least-recently-used cache "
                            "forgets an expert before the next token asks for it.")
                        .arg(m_topK * m_layers)},
        {.experts = largest(), .text = "all", .meaning = "Every expert stays on the device; nothing is transferred."}};
}

int BudgetScale::expertsAt(double share) const {
    return std::clamp(static_cast<int>(std::floor(share * largest())), smallest(), largest());
}

QString BudgetScale::text(int experts) const {
    const double share = 100.0 * experts / largest();
    const double perLayer = static_cast<double>(experts) / m_layers;
    return QString("%1 % · %2 · %3 of %4 experts · ≈ %5 per layer")
        .arg(threeDigits(share), QString::fromStdString(formatBytes(bytes(experts))))
        .arg(experts)
        .arg(largest())
        .arg(threeDigits(perLayer));
}

QString BudgetScale::argument(int experts) const {
    if (100 * static_cast<qint64>(experts) % largest() == 0) {
        return QString::number(100 * static_cast<qint64>(experts) / largest()) + "%";
    }
    return QString::number(bytes(experts).count());
}

}  // namespace expertscope
