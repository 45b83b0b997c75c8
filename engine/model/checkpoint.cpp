// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/checkpoint.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/model/element_convert.h"
#include "engine/model/fingerprint.h"
#include "engine/model/input_file.h"
#include "engine/model/model_config.h"
#include "engine/model/safetensors_source.h"

namespace expertscope {

namespace {

using Shape = std::vector<std::int64_t>;

constexpr std::int64_t kMaxConfigBytes = 16 << 20;

/// Checks the tensors of a source against what a Qwen3-MoE forward pass needs.
class TensorCheck {
public:
    explicit TensorCheck(const TensorSource& source) : m_source(source) {}

    const TensorInfo& need(const std::string& name, const Shape& shape) const {
        const TensorInfo* info = m_source.find(name);
        if (info == nullptr) {
            throw BadInputError(
                fmt::format("The model in {} lacks the tensor \"{}\" that its config.json asks for; "
                            "download it again",
                            m_source.files().front().parent_path().string(), name));
        }
        const std::string file = m_source.files()[static_cast<std::size_t>(info->file)].string();
        if (info->shape != shape) {
            throw BadInputError(
                fmt::format("Tensor \"{}\" in {} has the shape [{}] where config.json asks for [{}]; use "
                            "the config.json that belongs to the model",
                            name, file, fmt::join(info->shape, ", "), fmt::join(shape, ", ")));
        }
        if (info->type == ElementType::Other) {
            throw BadInputError(
                fmt::format("Tensor \"{}\" in {} has the type {}, which is not supported; use weights in "
                            "F32, F16 or BF16",
                            name, file, info->typeName));
        }
        return *info;
    }

    /// Everything but the experts.
    void checkDense(const ModelConfig& c) const {
        need("model.embed_tokens.weight", {c.vocabulary, c.hidden});
        need("model.norm.weight", {c.hidden});
        if (!c.tiedHead) need("lm_head.weight", {c.vocabulary, c.hidden});
        const std::int64_t queries = static_cast<std::int64_t>(c.heads) * c.headDim;
        const std::int64_t keys = static_cast<std::int64_t>(c.kvHeads) * c.headDim;
        for (std::int32_t l = 0; l < c.layers; ++l) {
            const std::string layer = fmt::format("model.layers.{}.", l);
            need(layer + "input_layernorm.weight", {c.hidden});
            need(layer + "post_attention_layernorm.weight", {c.hidden});
            need(layer + "self_attn.q_proj.weight", {queries, c.hidden});
            need(layer + "self_attn.k_proj.weight", {keys, c.hidden});
            need(layer + "self_attn.v_proj.weight", {keys, c.hidden});
            need(layer + "self_attn.o_proj.weight", {c.hidden, queries});
            need(layer + "self_attn.q_norm.weight", {c.headDim});
            need(layer + "self_attn.k_norm.weight", {c.headDim});
            need(layer + "mlp.gate.weight", {c.experts, c.expertInputs()});
            if (c.subTokens > 1) {
                need(layer + "mlp.multi_head_layer.weight", {c.hidden, c.hidden});
                need(layer + "mlp.merge_layer.weight", {c.hidden, c.hidden});
            }
            if (c.preGates && l + 1 < c.layers) need(layer + "mlp.pre_gate.weight", {c.experts, c.hidden});
        }
    }

    ExpertPlacement placeExpert(const ModelConfig& c, std::int32_t layer, std::int32_t expert) const {
        const std::string prefix = fmt::format("model.layers.{}.mlp.experts.{}.", layer, expert);
        const TensorInfo& gate = need(prefix + "gate_proj.weight", {c.expertWidth, c.expertInputs()});
        const TensorInfo& up = need(prefix + "up_proj.weight", {c.expertWidth, c.expertInputs()});
        const TensorInfo& down = need(prefix + "down_proj.weight", {c.expertInputs(), c.expertWidth});
        if (gate.type != up.type || gate.type != down.type) {
            throw BadInputError(
                fmt::format("The matrices of expert {} in layer {} are of different types ({}, {}, {}), "
                            "which is not supported; use weights of one type",
                            expert, layer, gate.typeName, up.typeName, down.typeName));
        }
        return place(gate, up, down);
    }

private:
    /// In the order of the file, so that matrices that lie side by side become one read.
    static ExpertPlacement place(const TensorInfo& gate, const TensorInfo& up, const TensorInfo& down) {
        ExpertPlacement placement;
        placement.type = gate.type;
        std::array parts = {std::pair(&gate, &placement.gateOffset), std::pair(&up, &placement.upOffset),
                            std::pair(&down, &placement.downOffset)};
        std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
            return std::pair(a.first->file, a.first->offset) < std::pair(b.first->file, b.first->offset);
        });
        for (const auto& [info, offsetInBuffer] : parts) {
            *offsetInBuffer = placement.bytes;
            placement.bytes += info->bytes;
            std::vector<FileRange>& ranges = placement.ranges;
            if (!ranges.empty() && ranges.back().file == info->file &&
                ranges.back().offset + ranges.back().length == info->offset) {
                ranges.back().length += info->bytes;
            } else {
                ranges.push_back({info->file, info->offset, info->bytes});
            }
        }
        return placement;
    }

    const TensorSource& m_source;
};

std::string nameOf(const std::filesystem::path& folder) {
    std::error_code ignored;
    const std::filesystem::path whole = std::filesystem::weakly_canonical(folder, ignored);
    return whole.filename().empty() ? folder.string() : whole.filename().string();
}

}  // namespace

Checkpoint Checkpoint::open(const std::filesystem::path& folder) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(folder, ignored)) {
        throw BadInputError(
            fmt::format("{} is not a folder; give the folder that holds a model's config.json and "
                        "safetensors files",
                        folder.string()));
    }
    Checkpoint checkpoint;
    checkpoint.m_folder = folder;
    checkpoint.m_name = nameOf(folder);
    const std::filesystem::path configFile = folder / "config.json";
    checkpoint.m_config = parseModelConfig(readWholeFile(configFile, kMaxConfigBytes), configFile.string());
    checkpoint.m_tensors = std::make_shared<SafetensorsSource>(folder);

    const ModelConfig& config = checkpoint.m_config;
    const TensorCheck check(*checkpoint.m_tensors);
    check.checkDense(config);
    for (std::int32_t l = 0; l < config.layers; ++l) {
        for (std::int32_t e = 0; e < config.experts; ++e) {
            checkpoint.m_experts.push_back(check.placeExpert(config, l, e));
            if (checkpoint.m_experts.back().bytes != checkpoint.m_experts.front().bytes) {
                throw BadInputError(
                    fmt::format("Expert {} of layer {} in {} has another size than the first expert, "
                                "which is not supported; use weights of one type",
                                e, l, folder.string()));
            }
        }
    }
    return checkpoint;
}

std::vector<float> Checkpoint::readFloats(const std::string& tensorName) const {
    const TensorInfo* info = m_tensors->find(tensorName);
    if (info == nullptr || info->type == ElementType::Other) {
        throw BadInputError(
            fmt::format("The model in {} has no tensor \"{}\" of type F32, F16 or BF16; download it again",
                        m_folder.string(), tensorName));
    }
    std::vector<std::byte> raw(static_cast<std::size_t>(info->bytes));
    m_tensors->read(*info, raw);
    std::vector<float> values(raw.size() / elementSize(info->type));
    convertToFloats(info->type, raw, values);
    return values;
}

const ExpertPlacement& Checkpoint::expert(ExpertRef expert) const {
    return m_experts.at(expert.layer.index() * static_cast<std::size_t>(m_config.experts) + expert.expert.index());
}

Bytes Checkpoint::expertBytes() const { return Bytes(m_experts.front().bytes); }

Bytes Checkpoint::totalExpertBytes() const { return expertBytes() * static_cast<std::int64_t>(m_experts.size()); }

ModelFacts Checkpoint::facts() const {
    ModelFacts facts;
    facts.name = m_name;
    facts.family = m_config.family;
    facts.path = m_folder.string();
    facts.fingerprint = fingerprint(m_config, *m_tensors);
    facts.layers = m_config.layers;
    facts.experts = m_config.experts;
    facts.topK = m_config.topK;
    facts.hidden = m_config.hidden;
    facts.vocabulary = m_config.vocabulary;
    facts.context = m_config.context;
    facts.expertBytes = expertBytes();
    facts.totalExpertBytes = totalExpertBytes();
    facts.hasPreGates = m_config.preGates;
    return facts;
}

Checkpoint Checkpoint::choosing(int topK) const {
    if (topK < 1 || topK > m_config.experts)
        throw UsageError(fmt::format("'{}' has {} experts a layer: choose from 1 to {} of them a token, not {}.",
                                     m_name, m_config.experts, m_config.experts, topK));
    Checkpoint other = *this;
    other.m_config.topK = topK;
    return other;
}

}  // namespace expertscope
