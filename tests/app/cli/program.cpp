// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/app/cli/program.h"

#include <array>
#include <cstdlib>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace expertscope::test {
namespace {

/// In the child, before it becomes the program.
void apply(const Surroundings& surroundings) {
    for (const std::string& entry : surroundings.environment) {
        const std::size_t equals = entry.find('=');
        if (equals == std::string::npos) {
            unsetenv(entry.c_str());
        } else {
            setenv(entry.substr(0, equals).c_str(), entry.substr(equals + 1).c_str(), 1);
        }
    }
    if (surroundings.largestFile > 0) {
        const auto limit = static_cast<rlim_t>(surroundings.largestFile);
        const rlimit limits{limit, limit};
        setrlimit(RLIMIT_FSIZE, &limits);
        ::signal(SIGXFSZ, SIG_IGN);  // so that the write fails, as on a full disk, instead of ending the process
    }
}

}  // namespace

nlohmann::json ProgramResult::json() const {
    nlohmann::json value = nlohmann::json::parse(out, nullptr, false);
    EXPECT_TRUE(value.is_object()) << "standard output is no JSON object: " << out << "\nstandard error: " << err;
    return value.is_object() ? value : nlohmann::json::object();
}

Program::Program(const Arguments& arguments, const Surroundings& surroundings) {
    std::array<int, 2> out{};
    std::array<int, 2> err{};
    if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipes");
    std::vector<char*> argv{const_cast<char*>(EXPERTSCOPE_PROGRAM)};
    for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    m_pid = fork();
    if (m_pid == 0) {
        apply(surroundings);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        execv(EXPERTSCOPE_PROGRAM, argv.data());
        _exit(127);
    }
    close(out[1]);
    close(err[1]);
    m_out = out[0];
    m_err = err[0];
}

Program::~Program() {
    if (m_pid > 0) {
        kill(m_pid, SIGKILL);
        waitpid(m_pid, nullptr, 0);
    }
    for (const int file : {m_out, m_err}) {
        if (file >= 0) close(file);
    }
}

void Program::signal(int number) const { kill(m_pid, number); }

bool Program::readSome(std::chrono::milliseconds patience) {
    std::array<pollfd, 2> files{pollfd{m_out, POLLIN, 0}, pollfd{m_err, POLLIN, 0}};
    if (poll(files.data(), files.size(), static_cast<int>(patience.count())) <= 0) return m_out >= 0 || m_err >= 0;
    for (const pollfd& file : files) {
        if (file.fd < 0 || file.revents == 0) continue;
        std::array<char, 65536> buffer{};
        const ssize_t count = read(file.fd, buffer.data(), buffer.size());
        if (count > 0) {
            (file.fd == m_out ? m_result.out : m_result.err).append(buffer.data(), static_cast<std::size_t>(count));
        } else {
            close(file.fd);
            (file.fd == m_out ? m_out : m_err) = -1;
        }
    }
    return m_out >= 0 || m_err >= 0;
}

bool Program::waitForError(const std::string& text, int times) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (occurrences(m_result.err, text) < static_cast<std::size_t>(times)) {
        if (!readSome(std::chrono::milliseconds(100)) || std::chrono::steady_clock::now() > end) return false;
    }
    return true;
}

ProgramResult Program::wait() {
    while (readSome(std::chrono::seconds(1))) {}
    int status = 0;
    waitpid(m_pid, &status, 0);
    m_pid = -1;
    m_result.exitCode = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return m_result;
}

void expectRefused(const ProgramResult& result, int exitCode, const std::vector<std::string>& words) {
    EXPECT_EQ(result.exitCode, exitCode) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, testing::StartsWith("expertscope: "));
    EXPECT_EQ(lineCount(result.err), 1U) << result.err;
    EXPECT_THAT(result.err, testing::EndsWith(".\n"));
    for (const std::string& word : words)
        EXPECT_THAT(result.err, testing::HasSubstr(word));
}

std::size_t occurrences(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
        ++count;
    return count;
}

}  // namespace expertscope::test
