// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "engine/compute/kernels.h"
#include "engine/model/checkpoint.h"

namespace expertscope {

/// One layer's weights other than its experts. Matrices keep the file's element type.
struct LayerWeights {
    std::vector<float> attentionNorm;  ///< [H]
    MatrixView qkv;                    ///< [(heads + 2 kvHeads) · headDim, H]: q, k and v rows
    std::vector<float> queryNorm;      ///< [headDim]
    std::vector<float> keyNorm;        ///< [headDim]
    MatrixView output;                 ///< [H, heads · headDim]
    std::vector<float> expertNorm;     ///< [H]
    MatrixView gate;                   ///< [E, H]
    MatrixView preGate;                ///< [E, H]; no data where the checkpoint has none
};

/// Everything that is always on the device.
class DenseWeights {
public:
    explicit DenseWeights(const Checkpoint& checkpoint);

    MatrixView embedding;          ///< [V, H]
    MatrixView head;               ///< [V, H]; the embedding when tied
    std::vector<float> finalNorm;  ///< [H]
    std::vector<LayerWeights> layers;

private:
    MatrixView load(const Checkpoint& checkpoint, std::initializer_list<std::string> names);
    std::vector<std::unique_ptr<std::byte[]>> m_storage;
};

}  // namespace expertscope
