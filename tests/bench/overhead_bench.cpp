// SPDX-License-Identifier: GPL-3.0-or-later
// What recording takes of a decode's speed: an engine over the demo model that tells nothing and one that records take
// turns. Each turn's engine is a new one, since where its weights come to lie in memory moves its speed by several
// percent, for as long as it lives. Before a turn there is a pause, so that the writer's work for one turn is not done
// in the other's.
//
// es_bench_overhead [THREADS=1] [PAIRS=20] [RECORD=routing,norms,spans,predictions] [SINK=file|nobody] [LINK=0]
//
// LINK 0: all experts resident. Else pre-gated with a budget of a quarter, over a link of so many MB/s.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/inference/engine.h"
#include "profiler/capture/recorder.h"
#include "storage/session_writer.h"

namespace expertscope {
namespace {

constexpr int kRequests = 2;  // a turn
constexpr int kTokens = 240;  // a request: the demo model's context, all but the prompt
constexpr std::chrono::milliseconds kPause(150);

RecordSet recordSet(std::string_view words) {
    const auto holds = [&](std::string_view word) { return words.find(word) != std::string_view::npos; };
    return {.routing = holds("routing"),
            .spans = holds("spans"),
            .norms = holds("norms"),
            .predictions = holds("predictions")};
}

EngineOptions options(int threads, double link, const RecordSet& record) {
    EngineOptions options;
    options.threads = threads;
    options.record = record;
    if (link > 0) {
        options.policy = "pre-gated";
        options.budget = {.share = 0.25, .bytes = {}};
        options.io = IoMode::Buffered;
        options.link = LinkSpec{};
        options.link->bytesPerSecond = link * 1e6;
        options.link->text = "bench";
    }
    return options;
}

/// One engine's turn: decoded tokens a second, after a request that nobody counts.
double turn(const Checkpoint& checkpoint, const EngineOptions& options, Observer& observer, RunSummary& summary) {
    Engine engine(checkpoint, nullptr, options, observer);
    engine.start();
    double seconds = 0;
    for (std::int32_t request = 0; request <= kRequests; ++request) {
        GenerationRequest wanted;
        wanted.promptIds = {65 + request, 400 + 31 * request, 97, 110, 100};
        wanted.tokens = kTokens;
        if (request == 1) std::this_thread::sleep_for(kPause);
        const double taken = (kTokens - 1) / engine.generate(wanted).decodeTokensPerSecond;
        if (request > 0) seconds += taken;
    }
    summary = engine.finish();
    return kRequests * (kTokens - 1) / seconds;
}

double quantile(std::vector<double> values, double share) {
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
}

/// The quartiles' distance gives the median's standard error, were the ratios normally distributed.
double errorOfMedian(const std::vector<double>& values) {
    return 0.93 * (quantile(values, 0.75) - quantile(values, 0.25)) / std::sqrt(static_cast<double>(values.size()));
}

int compare(int threads, int pairs, const std::string& record, bool toFile, double link) {
    const auto file = std::filesystem::temp_directory_path() / "expertscope-overhead-bench.esdb";
    const auto removeFile = [&] {
        for (const char* suffix : {"", "-wal", "-shm"})
            std::filesystem::remove(file.string() + suffix);
    };
    removeFile();
    const Checkpoint checkpoint = Checkpoint::open(std::filesystem::path(EXPERTSCOPE_RESOURCES) / "demo_model");
    SessionWriter writer(file);
    Observer nobody;
    long long dropped = 0, tokens = 0;
    Nanoseconds writing{};
    const auto offTurn = [&] {
        RunSummary summary;
        return turn(checkpoint, options(threads, link, recordSet("")), nobody, summary);
    };
    const auto onTurn = [&] {
        RunSummary summary;
        if (!toFile) return turn(checkpoint, options(threads, link, recordSet(record)), nobody, summary);
        Recorder recorder(writer, RunDescription());
        const double speed = turn(checkpoint, options(threads, link, recordSet(record)), recorder, summary);
        writing += recorder.processorTime();
        tokens += summary.generatedTokens;
        recorder.finish(summary, RunState::Complete);
        dropped += summary.dropped;
        return speed;
    };
    std::vector<double> ratios, offSpeeds, onSpeeds;
    for (int pair = 0; pair < pairs; ++pair) {
        double off = 0, on = 0;
        if (pair % 2 == 0) off = offTurn();
        on = onTurn();
        if (pair % 2 == 1) off = offTurn();
        offSpeeds.push_back(off);
        onSpeeds.push_back(on);
        ratios.push_back(on / off);
    }
    writer.close();
    std::printf(
        "%d threads, %s to %s: off %.0f, on %.0f tokens/s (half), ratio %.3f +- %.3f (quartiles %.3f to %.3f), "
        "of the means %.3f, %.1f us of a processor a token for writing, %lld dropped\n",
        threads, record.c_str(), toFile ? "a session" : "nobody", quantile(offSpeeds, 0.5), quantile(onSpeeds, 0.5),
        quantile(ratios, 0.5), errorOfMedian(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75),
        std::reduce(onSpeeds.begin(), onSpeeds.end()) / std::reduce(offSpeeds.begin(), offSpeeds.end()),
        tokens > 0 ? static_cast<double>(writing.count()) / 1e3 / static_cast<double>(tokens) : 0.0, dropped);
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
                                word(3, "routing,norms,spans,predictions"), sink == "file", std::atof(word(5, "0")));
}
