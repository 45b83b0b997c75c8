// SPDX-License-Identifier: GPL-3.0-or-later
// Replays a fuzz target over mutations of its seeds. The mutations are the same in every run, so a failure repeats.

#include <algorithm>
#include <chrono>
#include <random>

#include <gtest/gtest.h>

#include "tests/fuzz/fuzz_target.h"

namespace expertscope::test {
namespace {

constexpr int kMutations = 20'000;
constexpr std::chrono::seconds kMost(3);

void feed(const std::string& input) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

class Mutator {
public:
    explicit Mutator(FuzzSeeds seeds) : m_seeds(std::move(seeds)) {}

    std::string next() {
        std::string input = pick(m_seeds.inputs);
        for (std::size_t edits = 1 + below(4); edits > 0; --edits)
            edit(input);
        return input;
    }

private:
    std::size_t below(std::size_t count) { return count == 0 ? 0 : m_random() % count; }
    const std::string& pick(const std::vector<std::string>& from) { return from[below(from.size())]; }

    void edit(std::string& input) {
        const std::size_t at = below(input.size() + 1);
        const std::size_t length = std::min(input.size() - at, below(1 + (std::size_t{1} << below(8))));
        switch (below(7)) {
            case 0:
                input.resize(at);
                break;
            case 1:
                input.erase(at, length);
                break;
            case 2:
                input.insert(at, std::string(input, at, length));
                break;
            case 3:
                input.insert(at, pick(m_seeds.fragments));
                break;
            case 4:
                input.replace(at, length, pick(m_seeds.fragments));
                break;
            case 5:
                if (at < input.size()) input[at] = static_cast<char>(m_random() & 0xFFU);
                break;
            default:
                if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1U << below(8)));
        }
    }

    FuzzSeeds m_seeds;
    std::mt19937_64 m_random{20'250'101};
};

TEST(Fuzz, SeedsAndTheirTruncationsAreAcceptedOrRefused) {
    for (const std::string& seed : fuzzSeeds().inputs) {
        feed(seed);
        const std::size_t step = std::max<std::size_t>(1, seed.size() / 200);
        for (std::size_t length = 0; length < seed.size(); length += step)
            feed(seed.substr(0, length));
    }
}

TEST(Fuzz, MutationsAreAcceptedOrRefused) {
    Mutator mutator(fuzzSeeds());
    const auto start = std::chrono::steady_clock::now();
    int done = 0;
    while (done < kMutations && std::chrono::steady_clock::now() - start < kMost) {
        feed(mutator.next());
        ++done;
    }
    EXPECT_GE(done, 100);
    RecordProperty("mutations", done);
}

}  // namespace
}  // namespace expertscope::test
