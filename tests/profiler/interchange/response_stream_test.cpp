// SPDX-License-Identifier: GPL-3.0-or-later
// Answers that servers streamed, from samples that tests/data/interchange/make_samples.py wrote.
#include "profiler/interchange/response_stream.h"

#include <fstream>
#include <regex>

#include "tests/profiler/interchange/import_fixture.h"

namespace expertscope {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class ResponseStreams : public ImportTest {
protected:
    static std::string sample(const char* name) {
        std::ifstream in(sampleFile(name));
        return {std::istreambuf_iterator<char>(in), {}};
    }
    ImportedRun importText(const std::string& text, const ImportOptions& options = {}) {
        std::filesystem::remove(session());
        return import(write("x.txt", text), options);
    }
    std::string refusalOf(const std::string& text, const ImportOptions& options = {},
                          const std::string& format = "auto") {
        return refusal(write("x.txt", text), options, format);
    }
    /// The samples' six tokens, of each request.
    void expectRouting(int firstLayer = 0) {
        const RecordBatch batch = records();
        EXPECT_FALSE(batch.selections.empty());
        EXPECT_EQ(batch.selections.size() % 36, 0U);
        for (const SelectionRecord& s : batch.selections)
            EXPECT_EQ(s.expert.value(), expertOf(s.token.value() % 6, s.layer.value() - firstLayer, s.slot));
    }
};

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), by);
}

/// Without the events from that which holds `mark` on.
std::string until(const std::string& text, const std::string& mark) {
    return text.substr(0, text.rfind("data:", text.find(mark)));
}

TEST_F(ResponseStreams, OfVllmTellTheirRoutingWithTheirLastChunk) {
    const ImportedRun imported = importText(sample("vllm_stream.txt"));
    EXPECT_EQ(imported.model.layers, 3);
    EXPECT_EQ(imported.summary.promptTokens, 4);
    EXPECT_EQ(imported.summary.generatedTokens, 2) << "the last one was never run";
    EXPECT_EQ(records().tokens[4].id, 14) << "the chunks' token ids one after the other";
    EXPECT_EQ(records().tokens[5].id, 15);
    EXPECT_THAT(imported.notes, Not(Contains(HasSubstr("[DONE]"))));
    expectRouting();
}

TEST_F(ResponseStreams, OfSglangsChatTellItBesideTheChoices) {
    for (const ImportOptions& options : {ImportOptions{.layers = 4}, ImportOptions{.layers = 4, .topK = 2}}) {
        const ImportedRun imported = importText(sample("sglang_stream_chat.txt"), options);
        EXPECT_EQ(imported.model.name, "org/Some-MoE");
        EXPECT_EQ(imported.summary.promptTokens, 4);
        EXPECT_EQ(imported.summary.generatedTokens, 2);
        expectRouting(1);
    }
    // Without stream_options.include_usage.
    EXPECT_THAT(refusalOf(until(sample("sglang_stream_chat.txt"), "\"usage\"") + "data: [DONE]\n", {.layers = 4}),
                HasSubstr("include_usage"));
}

TEST_F(ResponseStreams, OfSglangsGenerateTellEachCompletionApart) {
    const ImportedRun imported = importText(sample("sglang_stream_generate.txt"), {.layers = 4});
    const auto requests = SessionReader(session()).requests(imported.run);
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_EQ(requests[1].promptTokens, 4);
    EXPECT_EQ(requests[1].generatedTokens, 2);
    expectRouting(1);
    // Where such an answer ends without [DONE], the next one's completions have the same indices and other ids.
    const std::string one = sample("sglang_stream_generate.txt");
    const ImportedRun both =
        importText(replaced(one, "data: [DONE]", "") + std::regex_replace(one, std::regex("\"r([01])\""), "\"s$1\""),
                   {.layers = 4});
    EXPECT_EQ(SessionReader(session()).requests(both.run).size(), 4U);
    EXPECT_THAT(both.notes, Contains(HasSubstr("1 streamed responses end without 'data: [DONE]'")));
    expectRouting(1);
}

TEST_F(ResponseStreams, FollowEachOtherInOneFile) {
    const std::string one = sample("vllm_stream.txt");
    const std::string other = replaced(
        replaced(replaced(replaced(one, "tokens-1", "tokens-2"), "tokens-1", "tokens-2"), "tokens-1", "tokens-2"),
        "tokens-1", "tokens-2");
    // Comments, names and numbers of events, blank lines and carriage returns mean nothing.
    const ImportedRun imported = importText(": ping\nevent: message\r\nid: 4\n\n" + one + other);
    EXPECT_EQ(SessionReader(session()).requests(imported.run).size(), 2U);
    EXPECT_EQ(imported.summary.promptTokens, 8);
    // Where an answer ends without [DONE], another's id tells where the next one begins.
    const ImportedRun cut = importText(replaced(one, "data: [DONE]", "") + other);
    EXPECT_EQ(SessionReader(session()).requests(cut.run).size(), 2U);
    EXPECT_THAT(cut.notes, Contains(HasSubstr("1 streamed responses end without 'data: [DONE]'")));
}

TEST_F(ResponseStreams, ThatEndEarlySayThatTheRoutingIsMissing) {
    const std::string whole = sample("vllm_stream.txt");
    const std::string early = until(whole, "\"length\"");
    const std::string told = refusalOf(early, {}, "vllm");
    EXPECT_THAT(told, HasSubstr("Response 1 of"));
    EXPECT_THAT(told, HasSubstr("ends at line 4 without 'data: [DONE]' and before its routing came"));
    EXPECT_THAT(told, HasSubstr("save the whole answer"));
    // In the middle of an event, also of the first one.
    const std::size_t routing = whole.find("\"routed_experts\": \"");
    EXPECT_THAT(refusalOf(whole.substr(0, routing + 40), {}, "vllm"), HasSubstr("before its routing came"));
    EXPECT_THAT(refusalOf("data: {\"choi", {}, "vllm"), HasSubstr("Response 1 of"));
    EXPECT_THAT(refusalOf(whole + early, {}, "vllm"), HasSubstr("Response 2 of"));
    // The counts alone are missing: all is a decode step then.
    const ImportedRun imported = importText(until(whole, "\"usage\": {"));
    EXPECT_EQ(imported.summary.generatedTokens, 6);
    EXPECT_THAT(imported.notes, Contains(HasSubstr("'data: [DONE]'; their routing had come")));
}

TEST_F(ResponseStreams, JoinArraysOfSeveralChunks) {
    const auto chunk = [](const char* lists) {
        return R"(data: {"choices":[{"index":0,"routed_experts":)" + std::string(lists) + "}]}\n";
    };
    const std::string end = "data: [DONE]\n";
    const auto experts = [&](const std::string& text) {
        importText(text);
        std::vector<int> numbers;
        for (const SelectionRecord& s : records().selections)
            numbers.push_back(s.expert.value());
        return numbers;
    };
    EXPECT_EQ(experts(chunk("[[[1,2]],[[3,4]]]") + chunk("[[[5,6]]]") + end), (std::vector<int>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(experts(chunk("[[[1,2]]]") + chunk("[[[1,2]],[[3,4]]]") + chunk("[[[1,2]],[[3,4]],[[5,6]]]") + end),
              (std::vector<int>{1, 2, 3, 4, 5, 6}))
        << "each holds what came before it";
    EXPECT_THAT(refusalOf(chunk("[[[1,2]]]") + chunk("[[[1,2,3]]]") + end), HasSubstr("in a later chunk"));
}

TEST_F(ResponseStreams, NameTheLineThatIsNoEvent) {
    const std::string good = sample("vllm_stream.txt");
    EXPECT_THAT(refusalOf(good + "HTTP/1.1 200 OK\n", {}, "vllm"), HasSubstr("Line 11 of"));
    EXPECT_THAT(refusalOf(good + "data: {\"choices\":[}\n\n", {}, "vllm"), HasSubstr("is no JSON"));
    EXPECT_THAT(refusalOf(good + "data: 7\n\n", {}, "vllm"), HasSubstr("is no object"));
    EXPECT_TRUE(beginsAsEventStream("\n\ndata: {}"));
    EXPECT_FALSE(beginsAsEventStream("{\"data\": 1}"));
    EXPECT_FALSE(beginsAsEventStream(""));
}

}  // namespace
}  // namespace expertscope
