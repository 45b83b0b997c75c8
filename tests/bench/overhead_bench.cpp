// SPDX-License-Identifier: GPL-3.0-or-later
// What recording takes of a decode's speed: an engine over the demo model that tells nothing and one that records, in
// one process, take turns at a request. That short, because a machine that is shared changes its speed by half from one
// second to the next; and a number of pairs of engines, because where an engine's data come to lie in memory moves its
// speed by a few percent for as long as it lives; which of a pair is made first takes turns, too. Told apart are the
// decode, as the engine states it, and whole requests with all that is put off to their end.
//
// es_bench_overhead [THREADS=1] [PAIRS=16] [RECORD=routing,norms,spans,predictions] [SINK=file|nobody] [LINK=0]
//
// LINK 0: all experts resident. Else pre-gated with a budget of a quarter, over a link of so many MB/s.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/inference/engine.h"
#include "profiler/capture/recorder.h"
#include "storage/session_writer.h"

namespace expertscope {
namespace {

constexpr int kTurns = 31;    // of each engine of a pair; odd, so that one of them is the median
constexpr int kTokens = 240;  // the demo model's context, all but the prompt
constexpr int kWarmTokens = 12;

/// Of a turn.
struct Speeds {
    double decode = 0;    ///< tokens a second of decode time
    double requests = 0;  ///< requests a second
};

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

class Side {
public:
    /// Tells nobody where there is no writer.
    Side(const Checkpoint& checkpoint, const EngineOptions& options, SessionWriter* writer)
        : m_recorder(writer ? std::make_unique<Recorder>(*writer, RunDescription()) : nullptr),
          m_engine(checkpoint, nullptr, options, m_recorder ? static_cast<Observer&>(*m_recorder) : m_nobody) {
        m_engine.start();
    }

    Speeds turn() {
        generate(kWarmTokens);
        const Nanoseconds began = sessionNow();
        const double decode = generate(kTokens);
        return {.decode = decode, .requests = 1e9 / static_cast<double>((sessionNow() - began).count())};
    }

    /// The writer's processor time.
    Nanoseconds finish(RunSummary& summary) {
        summary = m_engine.finish();
        if (!m_recorder) return {};
        const Nanoseconds writing = m_recorder->processorTime();
        m_recorder->finish(summary, RunState::Complete);
        return writing;
    }

private:
    double generate(int tokens) {
        GenerationRequest wanted;
        wanted.promptIds = {66, 431, 97, 110, 100};
        wanted.tokens = tokens;
        const double speed = m_engine.generate(wanted).decodeTokensPerSecond;
        if (m_recorder) m_recorder->settle();
        return speed;
    }

    Observer m_nobody;
    std::unique_ptr<Recorder> m_recorder;
    Engine m_engine;
};

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
    long long dropped = 0, tokens = 0;
    Nanoseconds writing{};
    std::vector<double> ratios, ofRequests, offSpeeds, onSpeeds;
    for (int pair = 0; pair < pairs; ++pair) {
        std::optional<Side> sides[2];  // off, on
        for (const int side : {pair % 2, 1 - pair % 2})
            sides[side].emplace(checkpoint, options(threads, link, recordSet(side == 1 ? record : "")),
                                side == 1 && toFile ? &writer : nullptr);
        Side &off = *sides[0], &on = *sides[1];
        std::vector<double> decodes, requests;
        for (int turn = 0; turn < kTurns; ++turn) {
            const bool onFirst = turn % 2 == 1;
            const Speeds first = onFirst ? on.turn() : off.turn();
            const Speeds second = onFirst ? off.turn() : on.turn();
            const Speeds &withOut = onFirst ? second : first, &with = onFirst ? first : second;
            offSpeeds.push_back(withOut.decode);
            onSpeeds.push_back(with.decode);
            decodes.push_back(with.decode / withOut.decode);
            requests.push_back(with.requests / withOut.requests);
        }
        ratios.push_back(quantile(decodes, 0.5));
        ofRequests.push_back(quantile(requests, 0.5));
        RunSummary summary;
        off.finish(summary);
        writing += on.finish(summary);
        tokens += summary.generatedTokens;
        dropped += summary.dropped;
    }
    writer.close();
    std::printf(
        "%d threads, %s to %s: off %.0f, on %.0f tokens/s (half), ratio %.3f +- %.3f (quartiles %.3f to %.3f), "
        "of the means %.3f; of whole requests %.3f +- %.3f; %.1f us of a processor a token for writing, %lld dropped\n",
        threads, record.c_str(), toFile ? "a session" : "nobody", quantile(offSpeeds, 0.5), quantile(onSpeeds, 0.5),
        quantile(ratios, 0.5), errorOfMedian(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75),
        std::reduce(onSpeeds.begin(), onSpeeds.end()) / std::reduce(offSpeeds.begin(), offSpeeds.end()),
        quantile(ofRequests, 0.5), errorOfMedian(ofRequests),
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
    return expertscope::compare(std::max(1, std::atoi(word(1, "1"))), std::max(1, std::atoi(word(2, "16"))),
                                word(3, "routing,norms,spans,predictions"), sink == "file", std::atof(word(5, "0")));
}
