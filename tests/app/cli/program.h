// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/types.h>

namespace expertscope::test {

/// What a finished program said.
struct ProgramResult {
    int exitCode = -1;  ///< 128 + signal where a signal ended it
    std::string out, err;

    /// Standard output as the one JSON object that --json promises. Fails the test when it is anything else.
    nlohmann::json json() const;
};

using Arguments = std::vector<std::string>;

/// How a child differs from this process.
struct Surroundings {
    Arguments environment;         ///< NAME=VALUE sets, NAME alone removes
    std::int64_t largestFile = 0;  ///< bytes that a file may grow to, as on a full disk; 0: no limit
};

/// The built `expertscope` as a child process.
class Program {
public:
    explicit Program(const Arguments& arguments, const Surroundings& surroundings = {});
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    void signal(int number) const;
    /// Reads what it says until standard error holds `text` so many times; false when it ends or 60 s pass first.
    bool waitForError(const std::string& text, int times = 1);
    /// Reads everything and waits for the end.
    ProgramResult wait();

private:
    bool readSome(std::chrono::milliseconds patience);

    pid_t m_pid = -1;
    int m_out = -1, m_err = -1;
    ProgramResult m_result;
};

inline ProgramResult runProgram(const Arguments& arguments, const Surroundings& surroundings = {}) {
    return Program(arguments, surroundings).wait();
}

/// Expects the exit code, nothing on standard output, and exactly one sentence on standard error that begins with
/// "expertscope: " and holds `words`.
void expectRefused(const ProgramResult& result, int exitCode, const std::vector<std::string>& words);

std::size_t occurrences(const std::string& text, const std::string& part);

/// Number of lines that end in a line feed.
inline std::size_t lineCount(const std::string& text) { return occurrences(text, "\n"); }

}  // namespace expertscope::test
