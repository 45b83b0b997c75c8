// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/checkpoint.h"
#include "engine/model/input_file.h"
#include "profiler/analysis/weights/weight_results.h"

namespace expertscope {

/// The experts' matrices of a checkpoint, any part of them as float32 by positioned reads: nothing is kept in memory.
/// Shared experts are found where the file has them, and a dense model's FFN of the same layer where one is given.
/// Reading is safe from several threads.
class ExpertMatrices {
public:
    /// `dense` may be null; it needs only live as long as this call. Throws BadInputError where its FFN takes another
    /// hidden size than the checkpoint's experts, or it has no FFN that can be read.
    explicit ExpertMatrices(const Checkpoint& checkpoint, const TensorSource* dense = nullptr);

    std::int32_t layers() const { return static_cast<std::int32_t>(m_layers.size()); }
    std::int32_t experts() const { return m_checkpoint.config().experts; }
    /// H: inputs of an expert (of a sub-token where the model splits tokens around its experts).
    std::int32_t hidden() const { return m_checkpoint.config().expertInputs(); }
    const Checkpoint& checkpoint() const { return m_checkpoint; }

    /// Routed experts in order, then SE, then F.
    const std::vector<WeightUnit>& units(LayerIndex layer) const { return m_layers[layer.index()].units; }
    /// Rows of a unit's matrix as it lies in the file: neurons of up and gate [neurons, H]; down is [H, neurons].
    std::int64_t rows(LayerIndex layer, std::size_t unit, ExpertMatrix matrix) const;
    std::int64_t columns(LayerIndex layer, std::size_t unit, ExpertMatrix matrix) const;

    ElementType type(LayerIndex layer, std::size_t unit, ExpertMatrix matrix) const;
    /// Elements of the matrix from `first` on, in row-major order and as they lie in the file, as many as fill `out`.
    /// Throws BadInputError on a short read.
    void read(LayerIndex layer, std::size_t unit, ExpertMatrix matrix, std::int64_t first,
              std::span<std::byte> out) const;
    /// A whole matrix, one neuron a row: [neurons, H]; down comes transposed.
    std::vector<float> neurons(LayerIndex layer, std::size_t unit, ExpertMatrix matrix) const;
    /// The router's rows, [experts, H].
    std::vector<float> router(LayerIndex layer) const;

private:
    /// Where a matrix begins.
    struct Place {
        std::size_t file = 0;
        std::int64_t offset = 0;
        ElementType type = ElementType::BF16;
    };
    struct Layer {
        std::vector<WeightUnit> units;
        std::vector<std::array<Place, 3>> places;  ///< [units], by ExpertMatrix
    };

    std::size_t openFiles(const TensorSource& source);
    void addRouted(std::int32_t layer);
    bool addNamed(std::int32_t layer, const TensorSource& source, std::size_t firstFile, const std::string& prefix,
                  const std::string& name);
    void addShared(std::int32_t layer);
    void addDense(const TensorSource& dense);

    const Checkpoint& m_checkpoint;
    std::vector<InputFile> m_files;
    std::vector<Layer> m_layers;
};

}  // namespace expertscope
