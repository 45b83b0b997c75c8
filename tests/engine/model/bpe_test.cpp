// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/bpe.h"

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

using Ids = std::vector<std::int32_t>;

/// Random merges over a small alphabet, in random order: a merge may come before those that make its parts.
struct RandomMerges {
    Bpe bpe;
    std::map<std::pair<std::int32_t, std::int32_t>, std::pair<std::int32_t, std::int32_t>> merges;  ///< → rank, id

    RandomMerges(std::mt19937& random, int letters, int count) {
        std::vector<std::string> tokens;
        std::map<std::string, std::int32_t> ids;
        const auto add = [&](const std::string& bytes) {
            const auto [found, isNew] = ids.emplace(bytes, static_cast<std::int32_t>(tokens.size()));
            if (isNew) {
                tokens.push_back(bytes);
                bpe.addToken(bytes, found->second);
            }
            return found->second;
        };
        for (int c = 0; c < letters; ++c)
            add(std::string(1, static_cast<char>('a' + c)));
        std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
        for (int m = 0; m < count; ++m) {
            const auto pick = [&] { return static_cast<std::int32_t>(random() % tokens.size()); };
            const std::pair pair(pick(), pick());
            add(tokens[static_cast<std::size_t>(pair.first)] + tokens[static_cast<std::size_t>(pair.second)]);
            pairs.push_back(pair);
        }
        std::shuffle(pairs.begin(), pairs.end(), random);
        for (const auto& pair : pairs) {
            const std::int32_t merged =
                ids.at(tokens[static_cast<std::size_t>(pair.first)] + tokens[static_cast<std::size_t>(pair.second)]);
            if (merges.contains(pair)) continue;
            bpe.addMerge(pair.first, pair.second, merged);
            merges[pair] = {static_cast<std::int32_t>(merges.size()), merged};
        }
    }

    /// The definition: merge the leftmost pair of the lowest rank, until there is none.
    Ids plain(const std::string& text) const {
        Ids ids;
        for (const char c : text)
            ids.push_back(c - 'a');
        while (true) {
            std::size_t best = ids.size();
            std::pair<std::int32_t, std::int32_t> bestMerge;
            for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
                const auto found = merges.find({ids[i], ids[i + 1]});
                if (found == merges.end()) continue;
                if (best == ids.size() || found->second.first < bestMerge.first) {
                    best = i;
                    bestMerge = found->second;
                }
            }
            if (best == ids.size()) return ids;
            ids[best] = bestMerge.second;
            ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
        }
    }
};

TEST(Bpe, MergesAsThePlainDefinitionDoes) {
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        const int letters = 1 + static_cast<int>(random() % 4);
        const RandomMerges merges(random, letters, static_cast<int>(random() % 30));
        for (int t = 0; t < 10; ++t) {
            std::string text(random() % 80, 'a');
            for (char& c : text)
                c = static_cast<char>('a' + random() % static_cast<unsigned>(letters));
            Ids ids;
            merges.bpe.encode(text, ids);
            ASSERT_EQ(ids, merges.plain(text)) << text << " in round " << round;
        }
    }
}

TEST(Bpe, EncodesAMegabyteInOnePieceWithoutQuadraticWork) {
    Bpe bpe;
    bpe.addToken("a", 0);
    std::int32_t id = 0;
    for (std::string token = "aa"; token.size() <= 1 << 10; token += token, ++id) {
        bpe.addToken(token, id + 1);
        bpe.addMerge(id, id, id + 1);
    }
    Ids ids;
    bpe.encode(std::string(1 << 20, 'a'), ids);  // a quadratic search would take hours
    EXPECT_EQ(ids, Ids(1 << 10, id));
}

TEST(Bpe, FindsWholeTokens) {
    Bpe bpe;
    bpe.addToken("ab", 5);
    EXPECT_EQ(bpe.find("ab"), 5);
    EXPECT_EQ(bpe.find("a"), Bpe::kNone);
    EXPECT_EQ(bpe.byteToken('a'), Bpe::kNone);
}

}  // namespace
}  // namespace expertscope
