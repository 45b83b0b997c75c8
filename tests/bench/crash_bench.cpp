// SPDX-License-Identifier: GPL-3.0-or-later
// Kills a recording process at random moments, a hundred times or as often as the argument says, and looks at what is
// left: whether the session opens, whether SQLite finds it whole, and how much time of the recording is lost. Ends with
// 1 where something is wrong.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/capture/recorder.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"

namespace expertscope {
namespace {

constexpr double kMostLostMs = 200;

/// What both processes see: when the last span ended that was told to the recorder.
std::atomic<std::int64_t>& lastTold() {
    static void* const shared =
        mmap(nullptr, sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static auto* const time = new (shared) std::atomic<std::int64_t>(0);
    return *time;
}

/// Tells spans, some every 50 µs and each with the time it ended at, until it is killed.
[[noreturn]] void recordForEver(const std::filesystem::path& file) {
    SessionWriter writer(file);
    Recorder recorder(writer, {});
    for (std::int64_t number = 0;;) {
        for (int i = 0; i < 10; ++i) {
            SpanRecord span;
            span.end = sessionNow();
            span.start = span.end - Nanoseconds(1000);
            span.amount = number++;
            recorder.onSpan(span);
            lastTold() = span.end.count();
        }
        std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
}

bool isWhole(const std::filesystem::path& file) {
    sqlite3* database = nullptr;
    std::string answer;
    if (sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK) {
        const auto keep = [](void* out, int, char** values, char**) {
            *static_cast<std::string*>(out) += values[0];
            return 0;
        };
        sqlite3_exec(database, "PRAGMA integrity_check", keep, &answer, nullptr);
    }
    sqlite3_close(database);
    return answer == "ok";
}

struct Left {
    bool whole = false;
    std::int64_t spans = 0;
    double lostMs = 0;  ///< from the last span that is there to the last that was told
};

/// Opens the session before anything else touches the file, as a user would.
Left look(const std::filesystem::path& file) {
    Left left;
    const SessionReader reader(file);
    ReadCursor cursor;
    std::int64_t last = 0;
    bool inOrder = reader.run(RunId(1)).state == RunState::Crashed;
    for (RecordBatch batch; !(batch = reader.readNew(RunId(1), cursor)).empty();)
        for (const SpanRecord& span : batch.spans) {
            inOrder = inOrder && span.amount == left.spans++;
            last = span.end.count();
        }
    left.whole = inOrder && isWhole(file);
    left.lostMs = static_cast<double>(lastTold() - last) / 1e6;
    return left;
}

int killOften(int rounds) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() / "expertscope-crash-bench.esdb";
    std::mt19937 random{std::random_device{}()};
    lastTold() = 0;  // before the first child, so that all share it
    std::vector<double> lost;
    int broken = 0;
    for (int round = 0; round < rounds; ++round) {
        for (const char* suffix : {"", "-wal", "-shm"})
            std::filesystem::remove(file.string() + suffix);
        const pid_t child = fork();
        if (child == 0) recordForEver(file);
        std::this_thread::sleep_for(std::chrono::milliseconds(300 + random() % 900));
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
        const Left left = look(file);
        lost.push_back(left.lostMs);
        if (!left.whole) {
            ++broken;
            std::printf("round %d: not whole, %lld spans\n", round, static_cast<long long>(left.spans));
        }
    }
    for (const char* suffix : {"", "-wal", "-shm"})
        std::filesystem::remove(file.string() + suffix);
    std::ranges::sort(lost);
    std::printf("%d kills: %d sessions not whole; lost of the recording: median %.0f ms, most %.0f ms\n", rounds,
                broken, lost[lost.size() / 2], lost.back());
    return broken == 0 && lost.back() <= kMostLostMs ? 0 : 1;
}

}  // namespace
}  // namespace expertscope

int main(int count, char** words) { return expertscope::killOften(count > 1 ? std::max(1, std::atoi(words[1])) : 100); }
