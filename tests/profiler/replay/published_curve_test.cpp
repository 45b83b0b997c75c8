// SPDX-License-Identifier: GPL-3.0-or-later
// The hit rates that were published beside a real routing trace of Qwen3-30B-A3B (shared data, not part of the tree).
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "engine/offload/policy_registry.h"
#include "profiler/interchange/route_trace_import.h"
#include "profiler/replay/replay.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

struct Published {
    std::int64_t budgetMib = 0;
    std::string rule;
    double hitPercent = 0, decodeHitPercent = 0, readMib = 0;
};

std::vector<Published> readCurve(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::vector<Published> rows;
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) {
        std::istringstream fields(line);
        std::string budget, rule, hit, decode, read;
        std::getline(fields, budget, ',');
        std::getline(fields, rule, ',');
        std::getline(fields, hit, ',');
        std::getline(fields, decode, ',');
        std::getline(fields, read, ',');
        rows.push_back({std::stoll(budget), rule, std::stod(hit), std::stod(decode), std::stod(read)});
    }
    return rows;
}

double percent(std::int64_t part, std::int64_t whole) {
    return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

TEST(PublishedCurve, OfLruLfuAndBeladyIsReproduced) {
    const char* data = std::getenv("EXPERTSCOPE_TEST_DATA");
    if (!data) GTEST_SKIP() << "EXPERTSCOPE_TEST_DATA does not name the folder with routes/";
    const std::filesystem::path routes = std::filesystem::path(data) / "routes";
    TemporaryFolder folder;
    const ImportedRun imported = importRouteTrace(routes / "qwen3-30b-a3b.route.csv", folder / "s.esdb");
    EXPECT_EQ(imported.summary.accesses, 39'526);
    const SessionReader reader(folder / "s.esdb");
    const ReplayBench bench(readRecordedRun(reader, imported.run));

    const std::map<std::string, std::string> names{{"lru", "lru"},
                                                   {"lfu", "lfu"},
                                                   {"belady", "belady"},
                                                   {"layer", "lru:scope=layer"},
                                                   {"layerlfu", "lfu:scope=layer"}};
    int compared = 0;
    for (const Published& row : readCurve(routes / "qwen3-30b-a3b.curve.csv")) {
        const auto name = names.find(row.rule);
        if (name == names.end()) continue;
        const ReplayResult result =
            bench.replay({.eviction = name->second, .budget = Bytes(row.budgetMib << 20)}, Settle::Layer);
        EXPECT_NEAR(100 * result.hitRate(), row.hitPercent, 0.001) << row.rule << " at " << row.budgetMib;
        EXPECT_NEAR(percent(result.decodeHits, result.decodeAccesses), row.decodeHitPercent, 0.001)
            << row.rule << " at " << row.budgetMib;
        EXPECT_NEAR(static_cast<double>(result.bytesMoved) / (1 << 20), row.readMib, 0.06) << row.rule;
        ++compared;
    }
    EXPECT_EQ(compared, 55);
}

}  // namespace
}  // namespace expertscope
