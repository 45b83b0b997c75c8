// SPDX-License-Identifier: GPL-3.0-or-later
// What recording takes of a decode's speed: two engines over the demo model in one process, one that tells nothing and
// one that records, take turns, so that what the machine does besides meets both. Between the turns both wait, so that
// the writer's work for one turn is not done in the other's.
//
// es_bench_overhead [THREADS=1] [PAIRS=20] [RECORD=routing,norms,spans,predictions] [SINK=file|nobody]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/inference/engine.h"
#include "profiler/capture/recorder.h"
#include "storage/session_writer.h"

namespace expertscope {
namespace {

constexpr int kRequests = 3;  // a turn
constexpr int kTokens = 240;  // a request: the demo model's context, all but the prompt
constexpr std::chrono::milliseconds kPause(150);

RecordSet recordSet(std::string_view words) {
    const auto holds = [&](std::string_view word) { return words.find(word) != std::string_view::npos; };
    return {.routing = holds("routing"),
            .spans = holds("spans"),
            .norms = holds("norms"),
            .predictions = holds("predictions")};
}

EngineOptions options(int threads, const RecordSet& record) {
    EngineOptions options;
    options.threads = threads;
    options.record = record;
    return options;
}

/// Decoded tokens a second of one turn.
double turn(Engine& engine) {
    std::this_thread::sleep_for(kPause);
    double seconds = 0;
    for (std::int32_t request = 0; request < kRequests; ++request) {
        GenerationRequest wanted;
        wanted.promptIds = {65 + request, 400 + 31 * request, 97, 110, 100};
        wanted.tokens = kTokens;
        seconds += (kTokens - 1) / engine.generate(wanted).decodeTokensPerSecond;
    }
    return kRequests * (kTokens - 1) / seconds;
}

double quantile(std::vector<double> values, double share) {
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

int compare(int threads, int pairs, const std::string& record, bool toFile) {
    const auto file = std::filesystem::temp_directory_path() / "expertscope-overhead-bench.esdb";
    const auto removeFile = [&] {
        for (const char* suffix : {"", "-wal", "-shm"})
            std::filesystem::remove(file.string() + suffix);
    };
    removeFile();
    const Checkpoint checkpoint = Checkpoint::open(std::filesystem::path(EXPERTSCOPE_RESOURCES) / "demo_model");
    Observer nobody;
    Engine off(checkpoint, nullptr, options(threads, recordSet("")), nobody);
    off.start();

    SessionWriter writer(file);
    Recorder recorder(writer, RunDescription());
    Engine on(checkpoint, nullptr, options(threads, recordSet(record)), toFile ? recorder : nobody);
    on.start();

    std::vector<double> ratios, offSpeeds, onSpeeds;
    for (int pair = 0; pair < pairs; ++pair) {
        double speeds[2];
        for (const int side : {pair % 2, 1 - pair % 2})
            speeds[side] = turn(side == 0 ? off : on);
        offSpeeds.push_back(speeds[0]);
        onSpeeds.push_back(speeds[1]);
        ratios.push_back(speeds[1] / speeds[0]);
    }
    const RunSummary without = off.finish();
    RunSummary summary = on.finish();
    recorder.finish(summary, RunState::Complete);
    writer.close();
    std::printf("%d threads, %s to %s: off %.0f, on %.0f tokens/s, ratio %.3f (quartiles %.3f to %.3f), %lld dropped\n",
                threads, record.c_str(), toFile ? "a session" : "nobody", quantile(offSpeeds, 0.5),
                quantile(onSpeeds, 0.5), quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75),
                static_cast<long long>(summary.dropped));
    const auto perToken = [](const char* side, const RunSummary& run) {
        std::printf("  %s: a token takes %.0f us (half), %.0f (nine tenths), %.0f (99 of 100), %.0f (mean)\n", side,
                    run.tpotP50Ms * 1e3, run.tpotP90Ms * 1e3, run.tpotP99Ms * 1e3, 1e6 / run.decodeTokensPerSecond);
    };
    perToken("off", without);
    perToken("on", summary);
    removeFile();
    return 0;
}

}  // namespace
}  // namespace expertscope

int main(int count, char** words) {
    const auto word = [&](int at, const char* otherwise) { return count > at ? words[at] : otherwise; };
    const std::string sink = word(4, "file");
    if (sink != "file" && sink != "nobody") {
        std::fputs("The sink is 'file' or 'nobody'.\n", stderr);
        return 2;
    }
    return expertscope::compare(std::max(1, std::atoi(word(1, "1"))), std::max(1, std::atoi(word(2, "20"))),
                                word(3, "routing,norms,spans,predictions"), sink == "file");
}
