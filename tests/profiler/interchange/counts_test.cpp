// SPDX-License-Identifier: GPL-3.0-or-later
// Importance matrices, PyTorch files and dumps of SGLang's recorder, and what must not happen when they are read.

#include <map>

#include <fmt/format.h>

#include "profiler/interchange/pickle.h"
#include "profiler/interchange/torch_file.h"
#include "storage/expert_counts.h"
#include "storage/sql.h"
#include "tests/profiler/interchange/import_fixture.h"

namespace expertscope {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class Counts : public ImportTest {
protected:
    std::string refusalOf(const char* name) { return refusal(sampleFile(name)); }
    static std::string bytesOf(const char* name) {
        std::ifstream in(sampleFile(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
};

TEST_F(Counts, OfAnImportanceMatrix) {
    const ImportedRun imported = import(sampleFile("imatrix.gguf"));
    EXPECT_EQ(imported.model.layers, 2);
    EXPECT_EQ(imported.model.experts, 4);
    std::vector<ExpertCount> expected;
    for (int layer = 0; layer < 2; ++layer)
        for (int expert = 0; expert < 4; ++expert)
            expected.push_back({StepIndex(0), LayerIndex(layer), ExpertId(expert), (layer + 1) * 100 + expert});
    EXPECT_EQ(readExpertCounts(session(), imported.run), expected);
    EXPECT_TRUE(records().selections.empty()) << "counts are no selections";
    EXPECT_THAT(imported.notes, Contains(HasSubstr("no tokens, no order and no weights")));
    EXPECT_THAT(imported.notes, Contains(HasSubstr("wiki.test.raw")));
    EXPECT_EQ(runSql(session(), "SELECT sum(count) FROM expert_count").rows[0][0], SqlValue(std::int64_t{1212}));
}

TEST_F(Counts, NameWhatIsWrongWithAnImportanceMatrix) {
    EXPECT_THAT(refusalOf("imatrix_dense.gguf"), HasSubstr("its model is dense"));
    const std::string whole = bytesOf("imatrix.gguf");
    const auto gguf = [&](const std::string& bytes) { return refusal(write("x.gguf", bytes), {}, "imatrix"); };
    for (const std::size_t size : {3U, 20U, 60U, 400U})
        EXPECT_THAT(gguf(whole.substr(0, size)), HasSubstr("ends too early")) << size;
    EXPECT_THAT(gguf(whole.substr(0, whole.size() - 230)), HasSubstr("ends too early"));
    EXPECT_THAT(gguf("GGML"), HasSubstr("no GGUF"));
    std::string version = whole;
    version[4] = 9;
    EXPECT_THAT(gguf(version), HasSubstr("version 9"));
    std::string model = whole;
    model.replace(model.find("imatrix", 40), 7, "mmatrix");
    EXPECT_THAT(gguf(model), HasSubstr("'mmatrix'"));
}

TEST_F(Counts, OfSglangsStatistics) {
    const ImportedRun imported = import(sampleFile("sglang_stat.pt"));
    std::map<std::tuple<int, int, int>, std::int64_t> expected;
    for (int token = 0; token < 6; ++token)
        for (int layer = 0; layer < 3; ++layer)
            for (int slot = 0; slot < 2; ++slot)
                ++expected[{token < 4 ? 0 : 1, layer, expertOf(token, layer, slot)}];
    const std::vector<ExpertCount> counts = readExpertCounts(session(), imported.run);
    EXPECT_EQ(counts.size(), expected.size());
    for (const ExpertCount& count : counts)
        EXPECT_EQ(count.count, (expected[{count.step.value(), count.layer.value(), count.expert.value()}]));
    EXPECT_EQ(imported.steps, 2);
}

TEST_F(Counts, OfSglangsPassesAddUpReplicas) {
    const ImportedRun imported = import(sampleFile("sglang_per_pass.pt"));
    const std::vector<ExpertCount> counts = readExpertCounts(session(), imported.run);
    ASSERT_EQ(counts.size(), 48u);
    for (const ExpertCount& count : counts)
        EXPECT_EQ(count.count, (count.step.value() + 1) * (count.expert.value() == 0 ? 2 : 1));
}

TEST_F(Counts, SglangsTokensAreRouting) {
    for (const char* name : {"sglang_per_token.pt", "sglang_per_token_deflated.pt", "sglang_per_token_sequence.pt"}) {
        std::filesystem::remove(session());
        const ImportedRun imported = import(sampleFile(name));
        EXPECT_EQ(imported.model.experts, 8) << "the ninth physical expert is a replica";
        EXPECT_EQ(imported.steps, 3);
        EXPECT_EQ(imported.summary.promptTokens, 4);
        EXPECT_EQ(imported.summary.generatedTokens, 2);
        const RecordBatch batch = records();
        ASSERT_EQ(batch.selections.size(), 36u);
        for (const SelectionRecord& s : batch.selections)
            EXPECT_EQ(s.expert.value(), expertOf(s.token.value(), s.layer.value(), s.slot));
        EXPECT_EQ(batch.tokens[5].id, 105);
    }
}

TEST_F(Counts, SglangDecodesSeveralSequencesInOnePass) {
    const ImportedRun imported = import(sampleFile("sglang_batched.pt"));
    EXPECT_EQ(imported.steps, 3);
    EXPECT_EQ(imported.summary.promptTokens, 2);
    EXPECT_EQ(imported.summary.generatedTokens, 4);
    const RecordBatch batch = records();
    ASSERT_EQ(batch.selections.size(), 36u);
    for (const SelectionRecord& s : batch.selections) {
        EXPECT_EQ(s.step.value(), s.token.value() / 2);
        EXPECT_EQ(s.expert.value(), expertOf(s.token.value(), s.layer.value(), s.slot));
    }
}

TEST_F(Counts, SaysThatADumpOfSglangHoldsNothing) {
    EXPECT_THAT(refusalOf("sglang_nothing.pt"), HasSubstr("holds no record"));
}

TEST_F(Counts, NameWhatIsWrongWithASequenceOfPickles) {
    const std::string whole = bytesOf("sglang_per_token_sequence.pt");
    const auto pt = [&](const std::string& bytes) { return refusal(write("x.pt", bytes)); };
    EXPECT_THAT(pt(whole.substr(0, whole.size() - 1)), HasSubstr("ends before its storages do"));
    EXPECT_THAT(pt(whole.substr(0, 40)), HasSubstr("ends too early"));
    std::string big = whole;
    big[whole.find("little_endian") + 15] = '\x89';  // False
    EXPECT_THAT(pt(big), HasSubstr("big-endian"));
    std::string evil = whole;
    const std::string name = "_rebuild_tensor_v2";
    evil.replace(evil.find(name), name.size(), "_rebuild_tensor_v3");
    EXPECT_THAT(pt(evil), HasSubstr("names torch._utils._rebuild_tensor_v3"));
}

TEST_F(Counts, AreWholeNumbersOfAnyType) {
    // 1 and 3 in each type, little-endian.
    const std::pair<const char*, std::string> types[] = {
        {"BFloat16Storage", std::string("\x80\x3f\x40\x40", 4)},
        {"HalfStorage", std::string("\x00\x3c\x00\x42", 4)},
        {"FloatStorage", std::string("\x00\x00\x80\x3f\x00\x00\x40\x40", 8)},
        {"DoubleStorage", std::string("\x00\x00\x00\x00\x00\x00\xf0\x3f\x00\x00\x00\x00\x00\x00\x08\x40", 16)},
        {"ShortStorage", std::string("\x01\x00\x03\x00", 4)},
    };
    for (const auto& [storage, bytes] : types) {
        const SavedTensor tensor{"logical_count", storage, {1, 1, 2}, bytes, 2};
        writeTorchFile(folder / "x.pt", std::span(&tensor, 1), {});
        std::filesystem::remove(session());
        const ImportedRun imported = import(folder / "x.pt");
        const std::vector<ExpertCount> counts = readExpertCounts(session(), imported.run);
        ASSERT_EQ(counts.size(), 2u) << storage;
        EXPECT_EQ(counts[0].count, 1) << storage;
        EXPECT_EQ(counts[1].count, 3) << storage;
    }
    const std::string fractions[] = {std::string("\xc0\x3f\x40\x40", 4), std::string("\x80\x7f\x40\x40", 4)};
    for (const std::string& bytes : fractions) {  // 1.5, infinity
        const SavedTensor tensor{"logical_count", "BFloat16Storage", {1, 1, 2}, bytes, 2};
        writeTorchFile(folder / "x.pt", std::span(&tensor, 1), {});
        EXPECT_THAT(refusal(folder / "x.pt"), HasSubstr("fractions"));
    }
}

TEST_F(Counts, NothingInAPickleRuns) {
    EXPECT_THAT(refusalOf("evil_reduce.pt"), HasSubstr("names posix.system"));
    EXPECT_THAT(refusalOf("evil_stack_global.pt"), HasSubstr("names builtins.eval"));
    EXPECT_THAT(refusalOf("evil_object.pt"), HasSubstr("names os.system"));
}

std::string pickleFault(std::string_view pickle) {
    try {
        const Unpickled read(pickle, "x.pt");
    } catch (const BadInputError& error) { return error.what(); }
    return "";
}

TEST(Pickle, RefusesWhatIsNoPlainData) {
    EXPECT_THAT(pickleFault("\x80\x02"), HasSubstr("ends too early"));
    EXPECT_THAT(pickleFault("X\xff\xff\xff\x7fx."), HasSubstr("ends too early"));
    EXPECT_THAT(pickleFault("."), HasSubstr("more or less than one value"));
    EXPECT_THAT(pickleFault("a."), HasSubstr("not there"));
    EXPECT_THAT(pickleFault("NNa."), HasSubstr("no list"));
    EXPECT_THAT(pickleFault("}NNNu."), HasSubstr("no mark"));
    EXPECT_THAT(pickleFault("h\x05."), HasSubstr("never had"));
    EXPECT_THAT(pickleFault("NNR."), HasSubstr("no class"));
    EXPECT_THAT(pickleFault("NQ."), HasSubstr("no storage"));
    EXPECT_THAT(pickleFault("Nb."), HasSubstr("0x62")) << "BUILD gives an object a state";
    EXPECT_THAT(pickleFault("\x82\x01."), HasSubstr("0x82")) << "an extension's number may name any class";
    EXPECT_THAT(pickleFault("ccollections\nOrderedDict\n(NtR."), HasSubstr("in a way"));
    EXPECT_THAT(pickleFault("ctorch._utils\n_rebuild_tensor_v2\n)R."), HasSubstr("without storage"));
    EXPECT_THAT(pickleFault("(."), HasSubstr("one value")) << "a mark is no value";
}

TEST(Pickle, ReadsPlainData) {
    // {"a": [1, -2, 3.5], "b": (True, None), "c": OrderedDict()} by Python's pickle, protocol 2.
    const std::string_view bytes(
        "\x80\x02}q\x00(X\x01\x00\x00\x00"
        "aq\x01]q\x02(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00"
        "eX\x01\x00\x00\x00"
        "bq\x03\x88N\x86q\x04X\x01\x00\x00\x00"
        "cq\x05"
        "ccollections\nOrderedDict\nq\x06)Rq\x07u.",
        89);
    const Unpickled read(bytes, "x.pt");
    const PickleNode* list = read.root().find("a");
    ASSERT_NE(list, nullptr);
    EXPECT_EQ(list->items[1]->integer, -2);
    EXPECT_EQ(list->items[2]->real, 3.5);
    EXPECT_EQ(read.root().find("b")->items[0]->integer, 1);
    EXPECT_TRUE(read.root().find("c")->is(PickleNode::Kind::Dictionary));
    EXPECT_EQ(read.root().find("d"), nullptr);
}

TEST(TorchFiles, WhatIsWrittenIsReadAgain) {
    TemporaryFolder folder;
    SavedTensor tensor{"numbers", "IntStorage", {2, 3}, {}, 6};
    for (int i = 0; i < 6; ++i)
        tensor.bytes += std::string{static_cast<char>(i), 0, 0, 0};
    writeTorchFile(folder / "x.pt", std::span(&tensor, 1), {{"rank", 7}});
    TorchFile file(folder / "x.pt");
    EXPECT_EQ(file.root().find("rank")->integer, 7);
    EXPECT_EQ(file.root().find("numbers")->tensor.shape, (std::vector<std::int64_t>{2, 3}));
    EXPECT_THAT(file.integers(file.root().find("numbers")->tensor), ElementsAre(0, 1, 2, 3, 4, 5));
    PickledTensor transposed = file.root().find("numbers")->tensor;
    transposed.shape = {3, 2};
    transposed.strides = {1, 3};
    EXPECT_THAT(file.integers(transposed), ElementsAre(0, 3, 1, 4, 2, 5));
    transposed.offset = 1;
    EXPECT_THROW(file.integers(transposed), BadInputError) << "one value beyond the storage";
    transposed.strides = {std::int64_t{1} << 40, 1};
    EXPECT_THROW(file.integers(transposed), BadInputError);
}

}  // namespace
}  // namespace expertscope
