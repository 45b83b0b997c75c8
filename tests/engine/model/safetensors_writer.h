// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Writes small safetensors files and tiny random Qwen3-MoE checkpoints for tests.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "engine/model/tensor_source.h"

namespace expertscope::test {

/// A new empty folder under the system's temporary folder; removed with everything in it at the end of the scope.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "expertscope-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
        m_path = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(m_path, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const { return m_path; }

private:
    std::filesystem::path m_path;
};

inline void writeFile(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

inline std::string readFile(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path.string());
    return {std::istreambuf_iterator<char>(file), {}};
}

/// A tensor as it goes into the file: `data` are its bytes, row-major, little-endian.
struct RawTensor {
    std::string name;
    std::string dtype;
    std::vector<std::int64_t> shape;
    std::string data;
};

/// Round to nearest even.
inline std::uint16_t toBf16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

/// Nearest even for finite values below 65504; values below 2^-24 in magnitude may become 0.
inline std::uint16_t toF16(float value) {
    const std::uint16_t sign = std::signbit(value) ? 0x8000U : 0U;
    const float magnitude = std::fabs(value);
    if (magnitude < 0x1p-14F) return static_cast<std::uint16_t>(sign | std::lrint(magnitude * 0x1p24F));
    int exponent = 0;
    const float fraction = std::frexp(magnitude, &exponent);  // magnitude = fraction · 2^exponent, fraction in [½, 1)
    // A mantissa that rounds up to 2048 carries into the exponent by the addition.
    const long mantissa = std::lrint(fraction * 2048.0F) - 1024;
    return static_cast<std::uint16_t>(sign | (((exponent + 14) << 10) + mantissa));
}

inline RawTensor floatTensor(std::string name, ElementType type, std::vector<std::int64_t> shape,
                             std::span<const float> values) {
    RawTensor tensor{std::move(name), "F32", std::move(shape), {}};
    if (type == ElementType::F32) {
        tensor.data.assign(reinterpret_cast<const char*>(values.data()), values.size_bytes());
        return tensor;
    }
    tensor.dtype = type == ElementType::F16 ? "F16" : "BF16";
    for (const float value : values) {
        const std::uint16_t bits = type == ElementType::F16 ? toF16(value) : toBf16(value);
        tensor.data.push_back(static_cast<char>(bits & 0xFFU));
        tensor.data.push_back(static_cast<char>(bits >> 8));
    }
    return tensor;
}

/// u64 length, header, data.
inline std::string safetensorsFile(const std::string& header, const std::string& data) {
    std::string file;
    for (int i = 0; i < 8; ++i) {
        file.push_back(static_cast<char>((static_cast<std::uint64_t>(header.size()) >> (8 * i)) & 0xFFU));
    }
    return file + header + data;
}

/// A whole file of `tensors` in the order given, its header padded to a multiple of 8 as the reference writer does.
inline std::string safetensorsFile(const std::vector<RawTensor>& tensors) {
    nlohmann::ordered_json header;
    header["__metadata__"] = {{"format", "pt"}};
    std::string data;
    for (const RawTensor& tensor : tensors) {
        header[tensor.name] = {{"dtype", tensor.dtype},
                               {"shape", tensor.shape},
                               {"data_offsets", {data.size(), data.size() + tensor.data.size()}}};
        data += tensor.data;
    }
    std::string text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    return safetensorsFile(text, data);
}

/// What the tiny checkpoint is like. The defaults make a model of about 100 kB.
struct TinyQwen3Moe {
    std::int32_t layers = 3;
    std::int32_t experts = 6;
    std::int32_t topK = 2;
    std::int32_t hidden = 32;
    std::int32_t heads = 4;
    std::int32_t kvHeads = 2;
    std::int32_t headDim = 16;
    std::int32_t expertWidth = 16;
    std::int32_t vocabulary = 97;
    std::int32_t context = 64;
    ElementType type = ElementType::BF16;
    bool tied = true;
    bool preGates = false;
    bool normTopK = true;
    int shards = 1;          ///< more than 1: model-0000n-of-0000m.safetensors with an index
    std::uint64_t seed = 1;  ///< other seeds, other weights
};

inline nlohmann::ordered_json tinyConfig(const TinyQwen3Moe& options) {
    return {{"architectures", {"Qwen3MoeForCausalLM"}},
            {"model_type", "qwen3_moe"},
            {"vocab_size", options.vocabulary},
            {"hidden_size", options.hidden},
            {"intermediate_size", 2 * options.expertWidth},
            {"moe_intermediate_size", options.expertWidth},
            {"num_hidden_layers", options.layers},
            {"num_attention_heads", options.heads},
            {"num_key_value_heads", options.kvHeads},
            {"head_dim", options.headDim},
            {"num_experts", options.experts},
            {"num_experts_per_tok", options.topK},
            {"norm_topk_prob", options.normTopK},
            {"decoder_sparse_step", 1},
            {"mlp_only_layers", nlohmann::json::array()},
            {"hidden_act", "silu"},
            {"max_position_embeddings", options.context},
            {"rms_norm_eps", 1e-6},
            {"rope_theta", 10000.0},
            {"rope_scaling", nullptr},
            {"attention_bias", false},
            {"tie_word_embeddings", options.tied},
            {"bos_token_id", options.vocabulary - 1},
            {"eos_token_id", options.vocabulary - 1},
            {"expertscope_pre_gate", options.preGates}};
}

/// Values of one tensor: uniform in centre ± spread, determined by name and seed alone.
inline std::vector<float> tinyValues(const std::string& name, std::uint64_t seed, std::int64_t count, float centre,
                                     float spread) {
    std::uint64_t state = seed;
    for (const char c : name)
        state = (state ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) {  // splitmix64
        state += 0x9E3779B97F4A7C15U;
        std::uint64_t mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9U;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
        const double unit = static_cast<double>((mixed ^ (mixed >> 31)) >> 11) * 0x1p-53;
        value = centre + spread * static_cast<float>(2 * unit - 1);
    }
    return values;
}

/// Every tensor of the checkpoint, sorted by name as Hugging Face writes them. Matrices keep the variance of their
/// input; routers are four times larger, so that close calls between experts are rare.
inline std::vector<RawTensor> tinyTensors(const TinyQwen3Moe& options) {
    std::vector<RawTensor> tensors;
    const auto matrix = [&](const std::string& name, std::int64_t rows, std::int64_t columns, float gain = 1) {
        const float spread = gain * std::sqrt(3.0F / static_cast<float>(columns));
        tensors.push_back(floatTensor(name, options.type, {rows, columns},
                                      tinyValues(name, options.seed, rows * columns, 0, spread)));
    };
    const auto norm = [&](const std::string& name, std::int64_t size) {
        tensors.push_back(floatTensor(name, options.type, {size}, tinyValues(name, options.seed, size, 1, 0.25F)));
    };
    matrix("model.embed_tokens.weight", options.vocabulary, options.hidden);
    norm("model.norm.weight", options.hidden);
    if (!options.tied) matrix("lm_head.weight", options.vocabulary, options.hidden);
    for (std::int32_t l = 0; l < options.layers; ++l) {
        const std::string layer = "model.layers." + std::to_string(l) + ".";
        norm(layer + "input_layernorm.weight", options.hidden);
        norm(layer + "post_attention_layernorm.weight", options.hidden);
        norm(layer + "self_attn.q_norm.weight", options.headDim);
        norm(layer + "self_attn.k_norm.weight", options.headDim);
        matrix(layer + "self_attn.q_proj.weight", options.heads * options.headDim, options.hidden);
        matrix(layer + "self_attn.k_proj.weight", options.kvHeads * options.headDim, options.hidden);
        matrix(layer + "self_attn.v_proj.weight", options.kvHeads * options.headDim, options.hidden);
        matrix(layer + "self_attn.o_proj.weight", options.hidden, options.heads * options.headDim);
        matrix(layer + "mlp.gate.weight", options.experts, options.hidden, 4);
        if (options.preGates && l + 1 < options.layers) {
            matrix(layer + "mlp.pre_gate.weight", options.experts, options.hidden, 4);
        }
        for (std::int32_t e = 0; e < options.experts; ++e) {
            const std::string expert = layer + "mlp.experts." + std::to_string(e) + ".";
            matrix(expert + "gate_proj.weight", options.expertWidth, options.hidden);
            matrix(expert + "up_proj.weight", options.expertWidth, options.hidden);
            matrix(expert + "down_proj.weight", options.hidden, options.expertWidth);
        }
    }
    std::sort(tensors.begin(), tensors.end(), [](const RawTensor& a, const RawTensor& b) { return a.name < b.name; });
    return tensors;
}

/// Writes model.safetensors, or `shards` files and their index when there are more than one.
inline void writeTensors(const std::filesystem::path& folder, const std::vector<RawTensor>& tensors, int shards = 1) {
    if (shards == 1) {
        writeFile(folder / "model.safetensors", safetensorsFile(tensors));
        return;
    }
    std::size_t total = 0;
    for (const RawTensor& tensor : tensors)
        total += tensor.data.size();
    nlohmann::ordered_json index = {{"metadata", {{"total_size", total}}}, {"weight_map", nlohmann::json::object()}};
    for (int s = 0; s < shards; ++s) {
        char name[64];
        std::snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", s + 1, shards);
        const auto at = [&](int n) {
            return tensors.begin() + static_cast<std::ptrdiff_t>(tensors.size()) * n / shards;
        };
        const std::vector<RawTensor> part(at(s), at(s + 1));
        writeFile(folder / name, safetensorsFile(part));
        for (const RawTensor& tensor : part)
            index["weight_map"][tensor.name] = name;
    }
    writeFile(folder / "model.safetensors.index.json", index.dump(1));
}

/// Writes config.json and the weights into `folder`, which must exist. The same options give the same bytes.
inline void writeTinyQwen3Moe(const std::filesystem::path& folder, const TinyQwen3Moe& options = {}) {
    writeFile(folder / "config.json", tinyConfig(options).dump(1));
    writeTensors(folder, tinyTensors(options), options.shards);
}

}  // namespace expertscope::test
