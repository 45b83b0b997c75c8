// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/deep_arrays.h"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "storage/session_writer.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

TEST(DeepArrays, ComeBackByLayerAndNameAndReplaceThoseOfTheRun) {
    const TemporaryFolder folder;
    const std::filesystem::path session = folder / "s.esdb";
    SessionWriter(session).close();
    EXPECT_TRUE(deepArrays(session, RunId(1)).empty()) << "no table yet";
    EXPECT_FALSE(holdsDeepArrays(session, RunId(1)));
    const std::vector<DeepArray> old{{LayerIndex(4), "b", 1, 1, {9}}};
    keepDeepArrays(session, RunId(1), old);
    keepDeepArrays(session, RunId(2), old);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<DeepArray> arrays{{LayerIndex(3), "b", 2, 2, {0.1, -1e300, nan, 4}},
                                        {LayerIndex(3), "a", 0, 5, {}},
                                        {LayerIndex(-1), "options", 1, 1, {-0.0}}};
    keepDeepArrays(session, RunId(1), arrays);
    const std::vector<DeepArray> read = deepArrays(session, RunId(1));
    ASSERT_EQ(read.size(), 3U);
    EXPECT_EQ(read[0].name, "options");
    EXPECT_TRUE(std::signbit(read[0].values[0]));
    EXPECT_EQ(read[1].name, "a");
    EXPECT_EQ(read[1].columns, 5);
    EXPECT_EQ(read[2].layer, LayerIndex(3));
    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_EQ(std::bit_cast<std::uint64_t>(read[2].values[i]), std::bit_cast<std::uint64_t>(arrays[0].values[i]));
    EXPECT_EQ(deepArrays(session, RunId(2)).size(), 1U) << "of another run";
    EXPECT_TRUE(holdsDeepArrays(session, RunId(2)));
    EXPECT_FALSE(holdsDeepArrays(session, RunId(3)));
}

TEST(DeepArrays, AreRefusedWhereTheFileIsNoSession) {
    const TemporaryFolder folder;
    EXPECT_THROW(deepArrays(folder / "none.esdb", RunId(1)), BadInputError);
}

}  // namespace
}  // namespace expertscope
