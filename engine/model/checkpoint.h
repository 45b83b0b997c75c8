// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/run_facts.h"
#include "engine/base/units.h"
#include "engine/model/tensor_source.h"

namespace expertscope {

/// The hyper-parameters of a decoder-only MoE model, from config.json.
struct ModelConfig {
    std::string family;  ///< model_type: "qwen3_moe"
    std::int32_t vocabulary = 0;
    std::int32_t hidden = 0;  ///< H
    std::int32_t layers = 0;  ///< L
    std::int32_t heads = 0;   ///< query heads
    std::int32_t kvHeads = 0;
    std::int32_t headDim = 0;
    std::int32_t experts = 0;      ///< E, routed experts a layer
    std::int32_t topK = 0;         ///< k
    std::int32_t expertWidth = 0;  ///< I
    /// Sub-tokens that a token is split into around the experts, each of which is routed alone (Multi-Head MoE, arXiv
    /// 2404.15045): layers then have mlp.multi_head_layer.weight and mlp.merge_layer.weight [H, H]. 1: not split.
    std::int32_t subTokens = 1;
    std::int32_t context = 0;  ///< max_position_embeddings
    bool normTopK = true;
    float normEps = 1e-6F;
    double ropeTheta = 10000;
    bool tiedHead = false;
    bool preGates = false;  ///< layers 0…L−2 have mlp.pre_gate.weight [E, H]
    std::int32_t bosId = -1, eosId = -1;

    std::int32_t expertInputs() const { return hidden / subTokens; }  ///< of the router, too
};

/// Bytes of a file.
struct FileRange {
    int file = 0;
    std::int64_t offset = 0;
    std::int64_t length = 0;
};

/// Where one expert's three matrices lie: ranges to be read one after the other into one buffer (adjacent ranges are
/// merged), and the offset of each matrix in that buffer.
struct ExpertPlacement {
    std::vector<FileRange> ranges;
    std::int64_t bytes = 0;       ///< sum of the ranges
    std::int64_t gateOffset = 0;  ///< gate_proj [I, inputs]
    std::int64_t upOffset = 0;    ///< up_proj [I, inputs]
    std::int64_t downOffset = 0;  ///< down_proj [inputs, I]
    ElementType type = ElementType::BF16;
};

/// A model folder, opened and checked: config, every tensor the forward pass needs with its shape and type, experts.
class Checkpoint {
public:
    /// Opens a folder with config.json and safetensors (single or sharded). Throws BadInputError with one sentence that
    /// names the file, what is wrong and what to do: missing, truncated or lying files, unsupported architectures
    /// (named, with what is supported), wrong shapes.
    static Checkpoint open(const std::filesystem::path& folder);

    const std::filesystem::path& folder() const { return m_folder; }
    const std::string& name() const { return m_name; }  ///< of the folder
    const ModelConfig& config() const { return m_config; }
    const TensorSource& tensors() const { return *m_tensors; }
    /// A tensor that open() has checked to exist. Reads it as float32, whatever its type.
    std::vector<float> readFloats(const std::string& tensorName) const;
    const ExpertPlacement& expert(ExpertRef expert) const;
    Bytes expertBytes() const;  ///< of one expert; all are equal
    Bytes totalExpertBytes() const;
    ModelFacts facts() const;  ///< gateDiversity left empty
    /// The same checkpoint as a model that chooses `topK` experts a token. Throws UsageError where it has not so many.
    Checkpoint choosing(int topK) const;

private:
    Checkpoint() = default;
    std::filesystem::path m_folder;
    std::string m_name;
    ModelConfig m_config;
    std::shared_ptr<const TensorSource> m_tensors;
    std::vector<ExpertPlacement> m_experts;  ///< [layers · experts]
};

}  // namespace expertscope
