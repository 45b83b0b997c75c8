// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <memory>
#include <vector>

#include "views/base/draw_list.h"
#include "views/base/matrix_map.h"
#include "views/base/table_model.h"
#include "views/norms/norms_data.h"

namespace expertscope {

class Theme;

/// What every neuron of a layer's experts made of one token, headless: the activations of the gate projection as a map,
/// experts by neurons, and beside it the weights of the experts that the token chose. From a deep capture that kept its
/// vectors.
class ActivationModel {
public:
    void setRun(std::shared_ptr<const NormsRun> run);
    void setActivations(std::shared_ptr<const ActivationsOfToken> activations);
    /// Whether the run has activations of any token.
    bool kept() const { return m_run && !m_run->raw.layers().empty(); }
    /// Whether a token's of a layer were asked for, be it that there are none.
    bool has(int layer, int token) const;

    /// Experts × neurons, coloured from 0 on: of 1000 values 995 lie between the ends of the colours.
    const MatrixMap& map() const { return m_map; }
    bool chosen(int expert) const { return shown() && shown()->chosen(static_cast<std::size_t>(expert)); }
    QString heading() const;
    QString missing() const;
    QString missingHint() const;
    QString describe(MatrixMap::Cell cell) const;

    /// Rows beside the map's: a bar of its weight at each expert that the token chose, on an axis from 0 to
    /// weightEnd().
    DrawList weights(const Viewport& viewport, const Theme& theme) const;
    double weightEnd() const;
    static constexpr double kWeightRoom = 1.9;  ///< the axis goes on to so many times its end, for the numbers

    /// The table twin: figure, layer and expert, `filler` cells of other figures, then token, neuron and activation.
    static QStringList columns();
    int rowCount() const { return static_cast<int>(m_map.values.size()); }
    std::vector<TableCell> row(int row, int filler) const;

private:
    const ActivationMap* shown() const { return m_shown && m_shown->map ? &*m_shown->map : nullptr; }

    std::shared_ptr<const NormsRun> m_run;
    std::shared_ptr<const ActivationsOfToken> m_shown;
    MatrixMap m_map;
};

}  // namespace expertscope
