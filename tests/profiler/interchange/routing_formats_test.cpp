// SPDX-License-Identifier: GPL-3.0-or-later
// Arrays, responses and traces of serving engines, from samples that tests/data/interchange/make_samples.py wrote.

#include <cmath>
#include <sstream>

#include <fmt/format.h>

#include "profiler/interchange/base64.h"
#include "profiler/interchange/npy.h"
#include "tests/profiler/interchange/import_fixture.h"

namespace expertscope {
namespace {

using testing::Contains;
using testing::HasSubstr;

/// The weights of the samples, as their script says them.
float weightOf(int token, int layer, int slot) {
    const float top = 0.5F + 0.0625F * static_cast<float>((token + layer) % 7);
    return slot == 0 ? top : 1 - top;
}

class RoutingFormats : public ImportTest {
protected:
    ImportedRun importSample(const char* name, const ImportOptions& options = {}) {
        std::filesystem::remove(session());
        return import(sampleFile(name), options);
    }
    std::string refusalOf(const char* name, const ImportOptions& options = {}, const std::string& format = "auto") {
        return refusal(sampleFile(name), options, format);
    }
    /// Every choice of `tokens` tokens from `first` on, in layers from `firstLayer` on.
    void expectRouting(int first, int tokens, int slots = 2, int firstLayer = 0, bool weights = false) {
        const RecordBatch batch = records();
        ASSERT_EQ(batch.selections.size(), static_cast<std::size_t>(tokens * 3 * slots));
        for (const SelectionRecord& s : batch.selections) {
            const int token = first + s.token.value(), layer = s.layer.value() - firstLayer;
            EXPECT_EQ(s.expert.value(), expertOf(token, layer, s.slot)) << "token " << token << " layer " << layer;
            if (weights)
                EXPECT_EQ(s.weight, weightOf(token, layer, s.slot));
            else
                EXPECT_TRUE(std::isnan(s.weight));
        }
    }
};

TEST_F(RoutingFormats, Npy) {
    for (const char* name : {"routes_int16.npy", "routes_big_endian.npy", "routes.npy.gz"}) {
        const ImportedRun imported = importSample(name);
        EXPECT_EQ(imported.model.layers, 3) << name;
        EXPECT_EQ(imported.model.topK, 2);
        EXPECT_EQ(imported.model.experts, 8);
        EXPECT_EQ(imported.summary.generatedTokens, 6);
        expectRouting(0, 6);
    }
}

TEST_F(RoutingFormats, NpyOfTheFirstChoiceAlone) {
    EXPECT_EQ(importSample("routes_top1.npy").model.topK, 1);
    expectRouting(0, 6, 1);
}

TEST_F(RoutingFormats, NpzWithWeightsAndPhases) {
    const ImportedRun imported = importSample("routes.npz");
    EXPECT_EQ(imported.summary.promptTokens, 3);
    EXPECT_EQ(imported.summary.generatedTokens, 3);
    EXPECT_EQ(imported.steps, 4);
    expectRouting(0, 6, 2, 0, true);
}

TEST_F(RoutingFormats, NpzWithHalfPrecisionWeights) {
    importSample("routes_half.npz");
    expectRouting(0, 6, 2, 0, true);
}

TEST_F(RoutingFormats, NamesWhatIsWrongWithAnArray) {
    EXPECT_THAT(refusalOf("fortran.npy"), HasSubstr("ascontiguousarray"));
    EXPECT_THAT(refusalOf("floats.npy"), HasSubstr("whole numbers"));
    EXPECT_THAT(refusalOf("no_routes.npz"), HasSubstr("routed_experts"));
    const std::string whole = [] {
        std::ifstream in(sampleFile("routes_int16.npy"), std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(in), {});
    }();
    const auto npy = [&](const std::string& bytes) { return refusal(write("x.npy", bytes), {}, "npy"); };
    EXPECT_THAT(npy(whole.substr(0, whole.size() - 1)), HasSubstr("ends too early"));
    EXPECT_THAT(npy(whole + "x"), HasSubstr("goes on"));
    EXPECT_THAT(npy(whole.substr(0, 20)), HasSubstr("byte 20"));
    EXPECT_THAT(npy("no array"), HasSubstr("no NumPy array"));
    const auto header = [&](const std::string& type, const std::vector<std::int64_t>& shape) {
        return npy(npyHeader(type, shape));
    };
    EXPECT_THAT(header("<i8", {1, 3, 2}), HasSubstr("1 x 3 x 2"));
    EXPECT_THAT(header("<c8", {1, 3, 2}), HasSubstr("<c8"));
    EXPECT_THAT(header("<i8", {1, 5000, 2}), HasSubstr("no model"));
    EXPECT_THAT(header("<i8", {1'000'000'000, 1'000'000'000, 1'000'000}), HasSubstr("more values"));
    EXPECT_THAT(header("<i8", {1}), HasSubstr("[tokens, layers, k]"));
    std::string same = npyHeader("|u1", {1, 1, 2}) + "\x05\x05";
    EXPECT_THAT(npy(same), HasSubstr("Token 0")) << "an expert twice";
    std::string large = npyHeader("<i4", {1, 1, 1});
    large += std::string("\x00\x00\x01\x00", 4);
    EXPECT_THAT(npy(large), HasSubstr("expert 65536"));
}

TEST_F(RoutingFormats, NamesWhatIsWrongWithAZip) {
    std::ifstream in(sampleFile("routes.npz"), std::ios::binary);
    const std::string whole{std::istreambuf_iterator<char>(in), {}};
    const auto npz = [&](const std::string& bytes) { return refusal(write("x.npz", bytes), {}, "npz"); };
    EXPECT_THAT(npz(whole.substr(0, whole.size() - 30)), HasSubstr("end of the directory is missing"));
    EXPECT_THAT(npz("PK"), HasSubstr("no whole ZIP"));
    std::string damaged = whole;
    damaged[70] = static_cast<char>(~damaged[70]);
    EXPECT_NE(npz(damaged), "") << "neither zlib nor the checksum noticed";
    // A flipped bit in the directory's offset.
    std::string lost = whole;
    lost[whole.size() - 4] = '\x7f';
    EXPECT_THAT(npz(lost), HasSubstr("points outside"));
}

TEST_F(RoutingFormats, VllmResponse) {
    const ImportedRun imported = importSample("vllm_completion.json");
    EXPECT_EQ(imported.model.name, "org/Some-MoE");
    EXPECT_EQ(imported.summary.promptTokens, 4);
    EXPECT_EQ(imported.summary.generatedTokens, 2);
    expectRouting(0, 6);
}

/// Expert numbers of tokens [from, 6) of the samples as nested lists.
std::string listsFrom(int from) {
    std::string text;
    for (int token = from; token < 6; ++token) {
        text += token == from ? "[" : ",[";
        for (int layer = 0; layer < 3; ++layer)
            text +=
                fmt::format("{}[{},{}]", layer == 0 ? "" : ",", expertOf(token, layer, 0), expertOf(token, layer, 1));
        text += "]";
    }
    return "[" + text + "]";
}

TEST_F(RoutingFormats, VllmResponseWithoutTheBeginningOfItsPrompt) {
    import(write("x.json",
                 R"({"prompt_token_ids":[10,11,12,13],"usage":{"prompt_tokens":4,"completion_tokens":3},)" +
                     fmt::format(R"("choices":[{{"token_ids":[14,15,16],"routed_experts":{}}}]}})", listsFrom(2))));
    const RecordBatch batch = records();
    ASSERT_EQ(batch.tokens.size(), 4u);
    EXPECT_EQ(batch.tokens[0].position, 2) << "two tokens were left out";
    EXPECT_EQ(batch.tokens[0].id, 12);
    EXPECT_EQ(batch.tokens[1].phase, Phase::Prefill);
    EXPECT_EQ(batch.tokens[2].phase, Phase::Decode);
    EXPECT_EQ(batch.tokens[2].id, 14);
    expectRouting(2, 4);
}

TEST_F(RoutingFormats, VllmListsWithThePromptApart) {
    const ImportedRun imported = importSample("vllm_lists.jsonl");
    const auto requests = SessionReader(session()).requests(imported.run);
    ASSERT_EQ(requests.size(), 3u) << "one response of one completion, one of two, one without routing";
    EXPECT_EQ(requests[0].promptTokens, 3) << "the first position came from the prefix cache";
    EXPECT_EQ(requests[0].generatedTokens, 2);
    EXPECT_EQ(requests[1].promptTokens, 2);
    EXPECT_EQ(requests[2].promptTokens, 0) << "a prompt runs once for both completions";
    EXPECT_EQ(requests[2].generatedTokens, 2);
    EXPECT_THAT(imported.notes, Contains(HasSubstr("6 choices are negative")));
    EXPECT_THAT(imported.notes, Contains(HasSubstr("1 responses hold no routing")));
    const RecordBatch batch = records();
    EXPECT_EQ(batch.tokens[5].id, 11);
    EXPECT_EQ(batch.tokens[8].id, 14);
    EXPECT_EQ(batch.tokens[9].position, 2);
}

TEST_F(RoutingFormats, SglangResponseWhoseLayersTheUserTells) {
    for (const ImportOptions& options : {ImportOptions{.layers = 4}, ImportOptions{.topK = 2}}) {
        const ImportedRun imported = importSample("sglang_generate.json", options);
        EXPECT_EQ(imported.model.layers, 4);
        EXPECT_EQ(imported.model.topK, 2);
        EXPECT_EQ(imported.summary.promptTokens, 4);
        EXPECT_EQ(imported.summary.generatedTokens, 2);
        EXPECT_THAT(imported.notes, Contains(HasSubstr("dense")));
        expectRouting(0, 6, 2, 1);
    }
    EXPECT_THAT(refusalOf("sglang_generate.json"), HasSubstr("8 numbers for a token"));
    EXPECT_THAT(refusalOf("sglang_generate.json", {.layers = 3}), HasSubstr("do not divide"));
}

TEST_F(RoutingFormats, SglangChatFromTheMiddleOfItsSequence) {
    const ImportedRun imported = importSample("sglang_chat.json", {.layers = 4});
    EXPECT_EQ(imported.summary.promptTokens, 2);
    EXPECT_EQ(records().tokens[0].position, 2);
    expectRouting(2, 4, 2, 1);
}

TEST_F(RoutingFormats, SglangTellsTheFirstCompletionBesideTheChoices) {
    for (const ImportOptions& options : {ImportOptions{.layers = 4}, ImportOptions{.layers = 4, .topK = 2}}) {
        const ImportedRun imported = importSample("sglang_beside.json", options);
        EXPECT_EQ(imported.model.name, "org/Some-MoE");
        EXPECT_EQ(imported.summary.promptTokens, 4);
        EXPECT_EQ(imported.summary.generatedTokens, 2);
        expectRouting(0, 6, 2, 1);
    }
}

TEST_F(RoutingFormats, SglangsStartFollowsFromLayersAndExperts) {
    std::ifstream in(sampleFile("sglang_chat.json"));
    std::string text{std::istreambuf_iterator<char>(in), {}};
    const std::string told = "\"routed_experts_start_len\": 2";
    ASSERT_NE(text.find(told), std::string::npos);
    text.replace(text.find(told), told.size(), "\"index\": 0");
    import(write("x.json", text), {.layers = 4, .topK = 2});
    EXPECT_EQ(records().tokens[0].position, 2);
    expectRouting(2, 4, 2, 1);
    EXPECT_THAT(refusal(folder / "x.json", {.layers = 4}), HasSubstr("not int32 for 6 tokens"));
}

TEST_F(RoutingFormats, SglangCountsSeveralCompletionsTogether) {
    std::ifstream in(sampleFile("sglang_beside.json"));
    std::string text{std::istreambuf_iterator<char>(in), {}};
    text.replace(text.find("\"choices\": ["), 12, "\"choices\": [{\"index\": 1}, ");
    text.replace(text.find("\"completion_tokens\": 3"), 22, "\"completion_tokens\": 7");
    EXPECT_THAT(refusal(write("x.json", text), {.layers = 4}), HasSubstr("several completions"));
    EXPECT_EQ(import(folder / "x.json", {.layers = 4, .topK = 2}).summary.generatedTokens, 2);
    expectRouting(0, 6, 2, 1);
}

TEST_F(RoutingFormats, NamesTheResponseThatIsWrong) {
    const auto vllm = [&](const std::string& text) { return refusal(write("x.json", text), {}, "vllm"); };
    const std::string good = R"({"choices":[{"routed_experts":[[[1,2]]]}]})";
    EXPECT_THAT(vllm(good + "\n" + R"({"choices":[{"routed_experts":"*"}]})"), HasSubstr("Response 2"));
    EXPECT_THAT(vllm(good + "\n{\"choices\":[}"), HasSubstr("Value 2"));
    EXPECT_THAT(vllm(R"({"choices":[{"routed_experts":"aGVsbG8h"}]})"), HasSubstr("array routed_experts"));
    EXPECT_THAT(vllm(R"({"choices":[{"routed_experts":[[[1,2],[3]]]}]})"), HasSubstr("differ in length"));
    EXPECT_THAT(vllm(R"({"choices":[{"routed_experts":[[[1,"x"]]]}]})"), HasSubstr("no whole numbers"));
    EXPECT_THAT(vllm(good + R"({"choices":[{"routed_experts":[[[1,2,3]]]}]})"), HasSubstr("an earlier one"));
    EXPECT_THAT(vllm("[" + good), HasSubstr("no end"));
    EXPECT_THAT(vllm("[7]"), HasSubstr("no object"));
    EXPECT_THAT(vllm(R"({"error":"x"})"), HasSubstr("no choices"));
    EXPECT_THAT(vllm(R"({"choices":[]})"), HasSubstr("no selection"));
    const auto sglang = [&](const std::string& text) {
        return refusal(write("x.json", text), {.layers = 1}, "sglang");
    };
    EXPECT_THAT(sglang(R"({"meta_info":{"prompt_tokens":1,"completion_tokens":1,"routed_experts":"AAAA"}})"),
                HasSubstr("3 bytes"));
    EXPECT_THAT(sglang(R"({"meta_info":{"routed_experts":"AAAAAA=="}})"), HasSubstr("prompt_tokens"));
    EXPECT_THAT(sglang("{}"), HasSubstr("neither meta_info"));
}

TEST_F(RoutingFormats, MegatronTrace) {
    const ImportedRun imported = importSample("router_trace_rank0.jsonl");
    EXPECT_EQ(imported.steps, 3);
    EXPECT_EQ(imported.summary.promptTokens, 4);
    EXPECT_EQ(imported.summary.generatedTokens, 2);
    EXPECT_THAT(imported.notes, Contains(HasSubstr("1 lines of multi-token prediction")));
    expectRouting(0, 6);
}

TEST_F(RoutingFormats, MegatronTrainingWithMicroBatches) {
    const ImportedRun imported = importSample("megatron_training.jsonl");
    EXPECT_EQ(imported.steps, 2) << "two micro-batches of one iteration";
    EXPECT_EQ(SessionReader(session()).requests(imported.run).size(), 2u);
    expectRouting(0, 6);
}

TEST_F(RoutingFormats, MegatronsOlderTracesCountLayersFromOne) {
    std::ifstream in(sampleFile("router_trace_rank0.jsonl"));
    std::string text;
    for (std::string line; std::getline(in, line);) {
        if (line.find("\"mtp\"") != std::string::npos) continue;
        const std::string block = " \"block\": \"decoder\",", layer = "\"layer\": ";
        ASSERT_NE(line.find(block), std::string::npos);
        line.erase(line.find(block), block.size());
        ++line[line.find(layer) + layer.size()];
        text += line + "\n";
    }
    EXPECT_EQ(import(write("x.jsonl", text)).model.layers, 3);
    expectRouting(0, 6);
    EXPECT_THAT(refusal(write("x.jsonl", text + "{\"step\":9,\"layer\":0,\"num_tokens\":1,\"top_indices\":[[3]]}")),
                HasSubstr("counts layers from 1"));
}

TEST_F(RoutingFormats, NamesTheLineOfATraceThatIsWrong) {
    const std::string good = "{\"step\":1,\"layer\":0,\"num_tokens\":1,\"topk\":1,\"top_indices\":[[3]]}\n";
    const auto trace = [&](const std::string& line) { return refusal(write("x.jsonl", good + line), {}, "megatron"); };
    EXPECT_THAT(trace("{"), HasSubstr("Line 2"));
    EXPECT_THAT(trace("[]"), HasSubstr("no object"));
    EXPECT_THAT(trace("{\"step\":0,\"layer\":0,\"num_tokens\":1,\"top_indices\":[[3]]}"),
                HasSubstr("goes back to step 0"));
    EXPECT_THAT(trace("{\"step\":2,\"layer\":0,\"num_tokens\":2,\"top_indices\":[[3]]}"),
                HasSubstr("1 lists of experts for 2"));
    EXPECT_THAT(trace("{\"step\":1,\"layer\":1,\"num_tokens\":2,\"top_indices\":[[3],[4]]}"),
                HasSubstr("first layer had 1"));
    EXPECT_THAT(trace("{\"step\":2,\"layer\":0,\"num_tokens\":1,\"top_indices\":[[-3]]}"), HasSubstr("expert -3"));
    EXPECT_THAT(trace("{\"step\":2,\"layer\":-1,\"num_tokens\":1,\"top_indices\":[[3]]}"), HasSubstr("layer=-1"));
    EXPECT_THAT(trace("{\"step\":2,\"num_tokens\":1,\"top_indices\":[[3]]}"), HasSubstr("no whole number for layer"));
}

TEST(Base64, IsThatOfRfc4648) {
    EXPECT_EQ(fromBase64(""), "");
    EXPECT_EQ(fromBase64("Zg=="), "f");
    EXPECT_EQ(fromBase64("Zm8"), "fo");
    EXPECT_EQ(fromBase64("Zm9vYmE="), "fooba");
    EXPECT_EQ(fromBase64("+/+/"), "\xfb\xff\xbf");
    EXPECT_FALSE(fromBase64("Zm9v!"));
    EXPECT_FALSE(fromBase64("Z"));
}

}  // namespace
}  // namespace expertscope
