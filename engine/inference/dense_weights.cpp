// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/dense_weights.h"

#include <fmt/format.h>

#include "engine/base/error.h"

namespace expertscope {

DenseWeights::DenseWeights(const Checkpoint& checkpoint) {
    const ModelConfig& config = checkpoint.config();
    if (config.subTokens > 1)
        throw BadInputError(fmt::format(
            "'{}' splits tokens into {} sub-tokens around its experts (Multi-Head MoE) and cannot be run: look "
            "at its routing with 'expertscope analyze MODEL --what sub-token-routing'.",
            checkpoint.folder().string(), config.subTokens));
    embedding = load(checkpoint, {"model.embed_tokens.weight"});
    head = config.tiedHead ? embedding : load(checkpoint, {"lm_head.weight"});
    finalNorm = checkpoint.readFloats("model.norm.weight");
    for (int l = 0; l < config.layers; ++l) {
        const std::string prefix = fmt::format("model.layers.{}.", l);
        const std::string attention = prefix + "self_attn.";
        LayerWeights layer;
        layer.attentionNorm = checkpoint.readFloats(prefix + "input_layernorm.weight");
        layer.qkv =
            load(checkpoint, {attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight"});
        layer.queryNorm = checkpoint.readFloats(attention + "q_norm.weight");
        layer.keyNorm = checkpoint.readFloats(attention + "k_norm.weight");
        layer.output = load(checkpoint, {attention + "o_proj.weight"});
        layer.expertNorm = checkpoint.readFloats(prefix + "post_attention_layernorm.weight");
        layer.gate = load(checkpoint, {prefix + "mlp.gate.weight"});
        if (config.preGates && l + 1 < config.layers)
            layer.preGate = load(checkpoint, {prefix + "mlp.pre_gate.weight"});
        layers.push_back(std::move(layer));
    }
}

/// Stacks matrices of one type and width into one, row after row.
MatrixView DenseWeights::load(const Checkpoint& checkpoint, std::initializer_list<std::string> names) {
    const TensorSource& source = checkpoint.tensors();
    MatrixView matrix;
    std::int64_t bytes = 0;
    for (const std::string& name : names) {
        const TensorInfo& info = *source.find(name);
        if (bytes > 0 && info.type != matrix.type)
            throw BadInputError(fmt::format("Tensor '{}' is {} where '{}' is of another type, in '{}'.", name,
                                            info.typeName, *names.begin(), checkpoint.folder().string()));
        matrix.type = info.type;
        matrix.rows += static_cast<int>(info.shape[0]);
        matrix.cols = static_cast<int>(info.shape[1]);
        bytes += info.bytes;
    }
    auto& storage = m_storage.emplace_back(std::make_unique<std::byte[]>(static_cast<std::size_t>(bytes)));
    std::byte* at = storage.get();
    for (const std::string& name : names) {
        const TensorInfo& info = *source.find(name);
        source.read(info, {at, static_cast<std::size_t>(info.bytes)});
        at += info.bytes;
    }
    matrix.data = storage.get();
    return matrix;
}

}  // namespace expertscope
