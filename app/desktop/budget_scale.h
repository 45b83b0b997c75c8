// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <vector>

#include "engine/base/run_facts.h"

namespace expertscope {

/// The budget slider in numbers: its positions are whole experts that stay on the device, 1 … all of the model's.
class BudgetScale {
public:
    struct Mark {
        int experts;
        QString text;     ///< short, under the slider
        QString meaning;  ///< one sentence
    };

    explicit BudgetScale(const ModelFacts& model);

    int smallest() const { return 1; }
    int largest() const { return m_layers * m_perLayer; }
    /// The three sizes at which behaviour changes: one layer's demand, one token's demand, everything; ascending.
    std::vector<Mark> marks() const;
    /// Experts that a share (0…1) of all expert bytes holds, at least one.
    int expertsAt(double share) const;
    /// "25 % · 6.75 MiB · 64 of 256 experts · ≈ 8 per layer".
    QString text(int experts) const;
    /// As `--budget` takes it: "25%" where the share is whole, else bytes.
    QString argument(int experts) const;
    Bytes bytes(int experts) const { return m_expertBytes * experts; }

private:
    int m_layers, m_perLayer, m_topK;
    Bytes m_expertBytes;
};

}  // namespace expertscope
