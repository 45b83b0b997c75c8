// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/model/refusal.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope {
namespace {

using namespace test;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

/// The tiny model's config with `changes` over it; a key changed to "(absent)" is taken out.
std::string configWith(const json& changes) {
    json config = json::parse(tinyConfig({}).dump());
    for (const auto& [key, value] : changes.items()) {
        if (value == "(absent)") {
            config.erase(key);
        } else {
            config[key] = value;
        }
    }
    return config.dump();
}

ModelConfig parse(const json& changes) { return parseModelConfig(configWith(changes), "config.json"); }

std::string configRefusal(const json& changes) {
    return refusalOf([&] { parse(changes); }).sentence;
}

TEST(ModelConfig, ReadsEveryHyperParameter) {
    const ModelConfig config = parse({{"rms_norm_eps", 1e-5}, {"rope_theta", 1e6}, {"expertscope_pre_gate", true}});
    EXPECT_EQ(config.family, "qwen3_moe");
    EXPECT_EQ(config.vocabulary, 97);
    EXPECT_EQ(config.hidden, 32);
    EXPECT_EQ(config.layers, 3);
    EXPECT_EQ(config.heads, 4);
    EXPECT_EQ(config.kvHeads, 2);
    EXPECT_EQ(config.headDim, 16);
    EXPECT_EQ(config.experts, 6);
    EXPECT_EQ(config.topK, 2);
    EXPECT_EQ(config.expertWidth, 16);
    EXPECT_EQ(config.context, 64);
    EXPECT_TRUE(config.normTopK);
    EXPECT_FLOAT_EQ(config.normEps, 1e-5F);
    EXPECT_EQ(config.ropeTheta, 1e6);
    EXPECT_TRUE(config.tiedHead);
    EXPECT_TRUE(config.preGates);
    EXPECT_EQ(config.bosId, 96);
    EXPECT_EQ(config.eosId, 96);
}

TEST(ModelConfig, FollowsHuggingFaceWhereAKeyIsAbsent) {
    const ModelConfig config = parse({{"head_dim", "(absent)"},
                                      {"norm_topk_prob", "(absent)"},
                                      {"tie_word_embeddings", "(absent)"},
                                      {"expertscope_pre_gate", "(absent)"},
                                      {"architectures", "(absent)"},
                                      {"hidden_act", "(absent)"},
                                      {"bos_token_id", nullptr},
                                      {"eos_token_id", {5, 6}}});
    EXPECT_EQ(config.headDim, 8);
    EXPECT_FALSE(config.normTopK);
    EXPECT_FALSE(config.tiedHead);
    EXPECT_FALSE(config.preGates);
    EXPECT_EQ(config.bosId, -1);
    EXPECT_EQ(config.eosId, 5);
}

TEST(ModelConfig, FindsRopeThetaWhereNewerFilesHaveIt) {
    EXPECT_EQ(parse({{"rope_theta", "(absent)"}, {"rope_parameters", {{"rope_theta", 5e5}, {"rope_type", "default"}}}})
                  .ropeTheta,
              5e5);
}

TEST(ModelConfig, NamesArchitecturesThatItDoesNotSupport) {
    for (const json& other : {json{{"architectures", {"MixtralForCausalLM"}}, {"model_type", "mixtral"}},
                              json{{"architectures", {"MixtralForCausalLM"}}},
                              json{{"architectures", "(absent)"}, {"model_type", "MixtralForCausalLM"}}}) {
        EXPECT_THAT(configRefusal(other), AllOf(HasSubstr("MixtralForCausalLM"), HasSubstr("Qwen3MoeForCausalLM")));
    }
    EXPECT_THAT(configRefusal({{"architectures", json::array()}, {"model_type", "(absent)"}}),
                HasSubstr("no architecture"));
}

TEST(ModelConfig, NamesQuantisationsThatItDoesNotSupport) {
    EXPECT_THAT(configRefusal({{"quantization_config", {{"quant_method", "fp8"}}}}),
                HasSubstr("unsupported quantisation: fp8"));
    EXPECT_THAT(configRefusal({{"quantization_config", json::object()}}), HasSubstr("unsupported quantisation"));
    EXPECT_NO_THROW(parse({{"quantization_config", nullptr}}));
}

TEST(ModelConfig, NamesVariantsThatItDoesNotSupport) {
    const std::vector<json> variants = {{{"decoder_sparse_step", 2}},
                                        {{"mlp_only_layers", {0}}},
                                        {{"attention_bias", true}},
                                        {{"use_sliding_window", true}},
                                        {{"hidden_act", "gelu"}},
                                        {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4}}}},
                                        {{"rope_scaling", {{"type", "linear"}, {"factor", 4}}}},
                                        {{"rope_scaling", {{"factor", 4}}}},
                                        {{"rope_parameters", {{"rope_theta", 1e4}, {"rope_type", "llama3"}}}}};
    for (const json& variant : variants) {
        EXPECT_THAT(configRefusal(variant), AllOf(HasSubstr("not supported"), HasSubstr(variant.begin().key())));
    }
    EXPECT_THAT(configRefusal(variants[5]), HasSubstr("yarn"));
}

TEST(ModelConfig, NamesKeysThatAreMissing) {
    for (const char* key :
         {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "num_experts",
          "num_experts_per_tok", "moe_intermediate_size", "max_position_embeddings", "rms_norm_eps", "rope_theta"}) {
        EXPECT_THAT(configRefusal({{key, "(absent)"}}), HasSubstr(key));
        EXPECT_THAT(configRefusal({{key, nullptr}}), HasSubstr(key));
    }
}

TEST(ModelConfig, NamesValuesThatCannotBe) {
    for (const char* key :
         {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim", "num_key_value_heads",
          "num_experts", "num_experts_per_tok", "moe_intermediate_size", "max_position_embeddings"}) {
        for (const json& value : {json(0), json(-1), json(1.5), json("8"), json(1LL << 40), json(~0ULL)}) {
            EXPECT_THAT(configRefusal({{key, value}}), HasSubstr(key)) << value;
        }
    }
    for (const char* key : {"rms_norm_eps", "rope_theta"}) {
        for (const json& value : {json(0), json(-1), json("x")})
            EXPECT_THAT(configRefusal({{key, value}}), HasSubstr(key));
    }
    EXPECT_THAT(configRefusal({{"norm_topk_prob", 1}}), HasSubstr("norm_topk_prob"));
    EXPECT_THAT(configRefusal({{"eos_token_id", 97}}), HasSubstr("eos_token_id"));
    EXPECT_THAT(configRefusal({{"num_key_value_heads", 3}}), HasSubstr("multiple of its 3"));
    EXPECT_THAT(configRefusal({{"num_experts_per_tok", 7}}), HasSubstr("7 experts"));
    EXPECT_THAT(configRefusal({{"head_dim", 15}}), HasSubstr("15"));
    EXPECT_THAT(configRefusal({{"head_dim", 1 << 23}}), HasSubstr("heads"));
}

TEST(ModelConfig, RefusesNumbersThatNothingCanHold) {
    EXPECT_THAT(refusalOf([] { parseModelConfig(R"({"rope_theta":1e400})", "config.json"); }).sentence,
                HasSubstr("too large"));
}

TEST(ModelConfig, RefusesWhatIsNotJson) {
    for (const std::string& text : {std::string(), std::string("{"), std::string("[]"), std::string("{}\0x", 4)}) {
        EXPECT_THAT(refusalOf([&] { parseModelConfig(text, "config.json"); }).sentence, HasSubstr("JSON")) << text;
    }
}

}  // namespace
}  // namespace expertscope
