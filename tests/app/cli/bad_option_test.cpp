// SPDX-License-Identifier: GPL-3.0-or-later
// Options of `run` that name what does not exist or cannot be: exit code 2 (1 for a device), one sentence, no session.
#include <filesystem>

#include <gmock/gmock.h>

#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;

class BadOption : public testing::Test {
protected:
    BadOption() : m_session(m_folder.path() / "s.esdb") { writeTinyQwen3Moe(m_folder.path()); }

    void expect(int exitCode, const Arguments& more, const std::vector<std::string>& words) const {
        Arguments arguments{"run",   "--model", m_folder.path(), "--tokens", "2",
                            "--out", m_session, "--progress",    "none"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        SCOPED_TRACE(testing::PrintToString(more));
        expectRefused(runProgram(arguments), exitCode, words);
        EXPECT_FALSE(fs::exists(m_session));
    }
    void expectWithPrompt(int exitCode, Arguments more, const std::vector<std::string>& words) const {
        more.insert(more.end(), {"--prompt-ids", "1,2,3"});
        expect(exitCode, more, words);
    }

    const TemporaryFolder m_folder;
    const fs::path m_session;
};

TEST_F(BadOption, UnknownNamesAreRefusedWithThoseThatExist) {
    expectWithPrompt(2, {"--policy", "magic"}, {"magic", "on-demand", "pre-gated"});
    expectWithPrompt(2, {"--policy", "resident,magic"}, {"magic"});
    expectWithPrompt(2, {"--eviction", "magic"}, {"magic", "lru", "lfu"});
    expectWithPrompt(2, {"--device", "tpu"}, {"tpu", "cpu"});
    expectWithPrompt(2, {"--io", "mmap"}, {"mmap", "direct", "buffered"});
    expectWithPrompt(2, {"--record", "everything"}, {"everything", "routing"});
    expectWithPrompt(2, {"--record", "router"}, {"router", "routing"});
    expectWithPrompt(2, {"--record", "deep:layers=9"}, {"layer 9", "0 to 2"});
    expectWithPrompt(2, {"--policy", "on-demand:depth=2"}, {"on-demand", "parameters"});
    expectWithPrompt(2, {"--eviction", "lru:depth=2"}, {"lru", "depth", "scope"});
    expectWithPrompt(2, {"--eviction", "slru:probation=3"}, {"slru", "probation", "from 0 to 1"});
}

TEST_F(BadOption, OneOptionTwiceIsRefused) {
    expectWithPrompt(2, {"--progress", "json"}, {"--progress"});  // every run of these tests has one already
}

TEST_F(BadOption, BeladyIsForReplayOnly) {
    expectWithPrompt(2, {"--policy", "belady"}, {"belady", "replay"});
    expectWithPrompt(2, {"--eviction", "belady-bypass"}, {"belady-bypass", "replay"});
    expectWithPrompt(2, {"--eviction", "lru,belady:scope=layer"}, {"belady", "replay"});
}

TEST_F(BadOption, ACudaDeviceIsNotInThisBuild) { expectWithPrompt(1, {"--device", "cuda"}, {"CUDA", "--device cpu"}); }

TEST_F(BadOption, ImpossibleBudgetsAreRefused) {
    expectWithPrompt(2, {"--policy", "on-demand", "--budget", "1"}, {"budget"});
    expectWithPrompt(2, {"--policy", "on-demand", "--budget", "0%"}, {"budget"});
    expectWithPrompt(2, {"--policy", "on-demand", "--budget", "50%,1"}, {"budget"});  // before the possible one has run
    expectWithPrompt(2, {"--policy", "on-demand", "--budget", "lots"}, {"--budget", "lots"});
    expectWithPrompt(2, {"--policy", "on-demand", "--budget", "25%,,50%"}, {"--budget"});
}

TEST_F(BadOption, PreGatedNeedsPreGates) { expectWithPrompt(2, {"--policy", "pre-gated"}, {"pre-gate"}); }

TEST_F(BadOption, NumbersOutOfRangeAreRefused) {
    expectWithPrompt(2, {"--tokens", "0"}, {"--tokens"});
    expectWithPrompt(2, {"--tokens", "many"}, {"--tokens"});
    expectWithPrompt(2, {"--repeat", "0"}, {"--repeat"});
    expectWithPrompt(2, {"--temperature", "-1"}, {"--temperature"});
    expectWithPrompt(2, {"--top-p", "0"}, {"--top-p"});
    expectWithPrompt(2, {"--threads", "-2"}, {"--threads"});
    expectWithPrompt(2, {"--link", "fast"}, {"fast"});
}

TEST_F(BadOption, ExactlyOneKindOfPromptIsNeeded) {
    expect(2, {}, {"--prompt", "--prompts", "--prompt-ids"});
    expectWithPrompt(2, {"--prompt", "x"}, {"--prompt-ids"});
    expect(3, {"--prompts", "/no/such/prompts"}, {"/no/such/prompts"});
}

TEST_F(BadOption, UnwritableOutputIsRefused) {
    const Arguments base{"run", "--model", m_folder.path(), "--prompt-ids", "1", "--tokens", "2", "--progress", "none"};
    Arguments out = base;
    out.insert(out.end(), {"--out", "/no/such/folder/s.esdb"});
    expectRefused(runProgram(out), 1, {"/no/such/folder"});
    Arguments logits = base;
    logits.insert(logits.end(), {"--logits", "/no/such/folder/l.npy"});
    expectRefused(runProgram(logits), 1, {"/no/such/folder"});
    Arguments notASession = base;
    notASession.insert(notASession.end(), {"--out", m_folder.path() / "config.json"});
    expectRefused(runProgram(notASession), 3, {"config.json"});
}

}  // namespace
}  // namespace expertscope::test
