// SPDX-License-Identifier: GPL-3.0-or-later
// What the analyses of weights hold in memory at most, and that they end where they are stopped.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "engine/compute/thread_pool.h"
#include "profiler/analysis/weights/weight_slices.h"
#include "tests/profiler/analysis/tiny_model.h"

namespace expertscope {
namespace {

using nlohmann::ordered_json;

constexpr std::int64_t kLayers = 4, kExperts = 16, kHidden = 256, kWidth = 1024;
constexpr std::int64_t kLayerBytes = kExperts * 3 * kHidden * kWidth * 2;

/// A checkpoint of zeros with 25 MB of experts in each of four layers: a file with a hole, which takes no disk.
class HollowModel {
public:
    HollowModel() {
        test::TinyQwen3Moe options{.layers = kLayers, .experts = kExperts, .hidden = kHidden, .expertWidth = 1};
        ordered_json header;
        std::int64_t end = 0;
        for (const test::RawTensor& tensor : tinyTensors(options)) {
            std::vector<std::int64_t> shape = tensor.shape;
            if (tensor.name.find(".experts.") != std::string::npos)
                shape[tensor.name.find("down_proj") != std::string::npos ? 1 : 0] = kWidth;
            std::int64_t bytes = 2;
            for (const std::int64_t size : shape)
                bytes *= size;
            header[tensor.name] = {{"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {end, end + bytes}}};
            end += bytes;
        }
        const std::string begin = test::safetensorsFile(header.dump(), {});
        options.expertWidth = kWidth;
        test::writeFile(folder.path() / "config.json", tinyConfig(options).dump());
        test::writeFile(folder.path() / "model.safetensors", begin);
        std::filesystem::resize_file(folder.path() / "model.safetensors",
                                     begin.size() + static_cast<std::uintmax_t>(end));
    }
    test::TemporaryFolder folder;
};

/// VmRSS or VmHWM of this process.
std::int64_t memory(const std::string& what) {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;)
        if (std::int64_t kib = 0; word == what + ":" && status >> kib) return kib * 1024;
    return -1;
}

/// From now on VmHWM is of what comes; false where the system does not let it.
bool forgetPeak() {
    std::ofstream clear("/proc/self/clear_refs");
    clear << "5";
    return static_cast<bool>(clear.flush()) && memory("VmHWM") > 0;
}

TEST(WeightMemory, IsLessThanTwoLayersOfExperts) {
    if (!forgetPeak()) GTEST_SKIP() << "this system does not tell a process's peak anew";
    const HollowModel model;
    const Checkpoint checkpoint = Checkpoint::open(model.folder.path());
    for (const char* name : {"weight-similarity", "neuron-similarity", "weight-norms", "layer-diversity", "expert-pca",
                             "neuron-pca", "stable-rank:every=2", "neuron-matching:pairs=2:every=3"}) {
        ASSERT_TRUE(forgetPeak());
        const std::int64_t before = memory("VmRSS");
        EXPECT_FALSE(analyse(name, checkpoint).counted.empty()) << name;
        const std::int64_t most = memory("VmHWM") - before;
        EXPECT_LT(most, 2 * kLayerBytes) << name;
    }
}

struct Enough {};

/// However long an item takes: the other thread's goes on until it is stopped, and this one's never ends.
TEST(LongItems, EndWhereTellingProgressThrows) {
    ThreadPool pool(2);
    std::atomic<bool> otherBegan{false};
    std::atomic<int> abandoned{0};
    const auto progress = [&](double) {
        if (otherBegan) throw Enough();
    };
    EXPECT_THROW(forEachLongItem(pool, 100, progress,
                                 [&](std::size_t, std::size_t worker, const auto& pause) {
                                     struct Leaving {
                                         std::atomic<int>& count;
                                         ~Leaving() { ++count; }
                                     } const leaving{abandoned};
                                     if (worker != 0) otherBegan = true;
                                     while (true)
                                         pause(0.5);
                                 }),
                 Enough);
    EXPECT_EQ(abandoned, 2) << "no other item was begun";
}

}  // namespace
}  // namespace expertscope
