// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/model_config.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/model/json_text.h"

namespace expertscope {

namespace {

using nlohmann::json;

constexpr const char* kArchitecture = "Qwen3MoeForCausalLM";
constexpr const char* kModelType = "qwen3_moe";
/// Above every published model by a factor of ten; products of two dimensions stay far from overflow.
constexpr std::int64_t kMaxDimension = 1 << 24;

/// Reads one config.json, its name at hand for messages.
class ConfigReader {
public:
    ConfigReader(const json& config, const std::string& file) : m_config(config), m_file(file) {}

    ModelConfig read() const {
        checkArchitecture();
        checkQuantisation();
        checkVariant();
        ModelConfig config;
        config.family = kModelType;
        config.vocabulary = dimension("vocab_size");
        config.hidden = dimension("hidden_size");
        config.layers = dimension("num_hidden_layers");
        config.heads = dimension("num_attention_heads");
        config.kvHeads = dimension("num_key_value_heads");
        config.headDim = present("head_dim") != nullptr ? dimension("head_dim") : config.hidden / config.heads;
        config.experts = dimension("num_experts");
        config.topK = dimension("num_experts_per_tok");
        config.expertWidth = dimension("moe_intermediate_size");
        if (present("num_moe_heads") != nullptr) config.subTokens = dimension("num_moe_heads");
        config.context = dimension("max_position_embeddings");
        config.normTopK = flag("norm_topk_prob");
        config.normEps = static_cast<float>(positive("rms_norm_eps", required("rms_norm_eps")));
        config.ropeTheta = ropeTheta();
        config.tiedHead = flag("tie_word_embeddings");
        config.preGates = flag("expertscope_pre_gate");
        config.bosId = tokenId("bos_token_id", config.vocabulary);
        config.eosId = tokenId("eos_token_id", config.vocabulary);
        checkProportions(config);
        return config;
    }

private:
    [[noreturn]] void refuse(const std::string& what) const {
        throw BadInputError(fmt::format("{} {}; use the config.json that belongs to the model", m_file, what));
    }

    [[noreturn]] void unsupported(const std::string& what) const {
        throw BadInputError(
            fmt::format("{} asks for {}, which is not supported; ExpertScope runs {} as published by "
                        "Hugging Face in float32, float16 or bfloat16",
                        m_file, what, kArchitecture));
    }

    /// Null for a key that is absent or null.
    const json* present(const char* key) const {
        const auto found = m_config.find(key);
        return found == m_config.end() || found->is_null() ? nullptr : &*found;
    }

    const json& required(const char* key) const {
        const json* value = present(key);
        if (value == nullptr) refuse(fmt::format("lacks \"{}\"", key));
        return *value;
    }

    std::int32_t dimension(const char* key) const {
        const json& value = required(key);
        if (!value.is_number_integer() || value < 1 || value > kMaxDimension) {
            refuse(fmt::format("has a \"{}\" that is not a whole number from 1 to {}", key, kMaxDimension));
        }
        return value.get<std::int32_t>();
    }

    double positive(const char* key, const json& value) const {
        const double number = value.is_number() ? value.get<double>() : 0;
        if (!std::isfinite(number) || number <= 0) {
            refuse(fmt::format("has a \"{}\" that is not a positive number", key));
        }
        return number;
    }

    /// False when absent, as in Hugging Face's Qwen3MoeConfig for every key that is read by this.
    bool flag(const char* key) const {
        const json* value = present(key);
        if (value == nullptr) return false;
        if (!value->is_boolean()) refuse(fmt::format("has a \"{}\" that is neither true nor false", key));
        return value->get<bool>();
    }

    /// A number, the first of a list, or −1 for none.
    std::int32_t tokenId(const char* key, std::int32_t vocabulary) const {
        const json* value = present(key);
        if (value != nullptr && value->is_array()) value = value->empty() ? nullptr : &value->front();
        if (value == nullptr) return -1;
        if (!value->is_number_integer() || *value < -1 || *value >= vocabulary) {
            refuse(fmt::format("has a \"{}\" outside its vocabulary of {}", key, vocabulary));
        }
        return value->get<std::int32_t>();
    }

    void checkArchitecture() const {
        const json* type = present("model_type");
        const json* list = present("architectures");
        std::string named = type != nullptr && type->is_string() ? type->get<std::string>() : "";
        bool known = named == kModelType;
        if (list != nullptr && list->is_array() && !list->empty() && list->front().is_string()) {
            named = list->front().get<std::string>();
            known = (known || type == nullptr) && named == kArchitecture;
        }
        if (named.empty()) refuse("names no architecture (\"model_type\", \"architectures\")");
        if (!known) {
            throw BadInputError(
                fmt::format("{} is of the architecture {}, which is not supported; ExpertScope runs "
                            "Qwen3-MoE models ({})",
                            m_file, named, kArchitecture));
        }
    }

    void checkQuantisation() const {
        const json* quantisation = present("quantization_config");
        if (quantisation == nullptr) return;
        std::string method = "unnamed";
        if (quantisation->is_object()) {
            const auto found = quantisation->find("quant_method");
            if (found != quantisation->end() && found->is_string()) method = found->get<std::string>();
        }
        throw BadInputError(
            fmt::format("{} has an unsupported quantisation: {}; use the model's weights in float32, "
                        "float16 or bfloat16",
                        m_file, method));
    }

    /// Options of the family that change the forward pass and that no published checkpoint of it uses.
    void checkVariant() const {
        if (const json* step = present("decoder_sparse_step"); step != nullptr && *step != 1) {
            unsupported("dense layers between the sparse ones (\"decoder_sparse_step\")");
        }
        if (const json* dense = present("mlp_only_layers"); dense != nullptr && !dense->empty()) {
            unsupported("layers without experts (\"mlp_only_layers\")");
        }
        if (flag("attention_bias")) unsupported("biases in attention (\"attention_bias\")");
        if (flag("use_sliding_window")) unsupported("sliding-window attention (\"use_sliding_window\")");
        if (const json* activation = present("hidden_act"); activation != nullptr && *activation != "silu") {
            unsupported("another activation than silu (\"hidden_act\")");
        }
        for (const char* key : {"rope_scaling", "rope_parameters"})
            checkRope(key);
    }

    void checkRope(const char* key) const {
        const json* rope = present(key);
        if (rope == nullptr) return;
        if (!rope->is_object()) refuse(fmt::format("has a \"{}\" that is not an object", key));
        for (const char* typeKey : {"rope_type", "type"}) {
            const auto type = rope->find(typeKey);
            if (type == rope->end()) continue;
            if (*type == "default") return;
            unsupported(fmt::format("scaled rotary embeddings (\"{}\": {})", key,
                                    type->is_string() ? type->get<std::string>() : "of no name"));
        }
        if (rope->contains("factor")) unsupported(fmt::format("scaled rotary embeddings (\"{}\")", key));
    }

    double ropeTheta() const {
        if (const json* theta = present("rope_theta")) return positive("rope_theta", *theta);
        if (const json* parameters = present("rope_parameters")) {
            const auto found = parameters->find("rope_theta");
            if (found != parameters->end()) return positive("rope_theta", *found);
        }
        refuse("lacks \"rope_theta\"");
    }

    void checkProportions(const ModelConfig& config) const {
        if (config.heads % config.kvHeads != 0) {
            refuse(fmt::format("has {} attention heads, no multiple of its {} key/value heads", config.heads,
                               config.kvHeads));
        }
        if (config.hidden % config.subTokens != 0) {
            refuse(
                fmt::format("splits {} hidden values into {} sub-tokens (\"num_moe_heads\"), which do not divide them",
                            config.hidden, config.subTokens));
        }
        if (config.topK > config.experts) {
            refuse(fmt::format("chooses {} experts a token but has {}", config.topK, config.experts));
        }
        if (config.headDim < 2 || config.headDim % 2 != 0) {
            refuse(fmt::format("has a head dimension of {}, but rotary embeddings need an even one", config.headDim));
        }
        if (static_cast<std::int64_t>(config.heads) * config.headDim > kMaxDimension) {
            refuse(fmt::format("has attention heads of {} values together, more than the {} that can be",
                               static_cast<std::int64_t>(config.heads) * config.headDim, kMaxDimension));
        }
    }

    const json& m_config;
    const std::string& m_file;
};

}  // namespace

ModelConfig parseModelConfig(std::string_view text, const std::string& file) {
    const json config = parseJsonObject(text, file);
    return ConfigReader(config, file).read();
}

}  // namespace expertscope
