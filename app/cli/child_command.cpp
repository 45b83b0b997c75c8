// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/child_command.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

// A signal handler reaches nothing but what is global; both are lock-free.
std::atomic<pid_t> g_child{-1};
std::atomic<bool> g_stopAsked{false};

/// The terminal's Ctrl+C reaches the child by itself; what another process sends to us alone is handed on.
extern "C" void passOn(int signal, siginfo_t* sender, void*) {
    const int before = errno;
    g_stopAsked.store(true);
    const pid_t child = g_child.load();
    if (child > 0 && sender && sender->si_code != SI_KERNEL) kill(child, signal);
    errno = before;
}

constexpr std::array kSignals{SIGINT, SIGTERM};
std::array<struct sigaction, kSignals.size()> g_before{};

void takeSignals() {
    struct sigaction action {};
    action.sa_sigaction = passOn;
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < kSignals.size(); ++i)
        sigaction(kSignals[i], &action, &g_before[i]);
}

/// As they were: a command of a script in the background ignores Ctrl+C.
void giveSignalsBack() {
    for (std::size_t i = 0; i < kSignals.size(); ++i)
        sigaction(kSignals[i], &g_before[i], nullptr);
}

bool isProgram(const std::filesystem::path& file) {
    std::error_code error;
    return std::filesystem::is_regular_file(file, error) && access(file.c_str(), X_OK) == 0;
}

/// As execvp() finds it, so that a mistyped name is told before a session is made.
bool canBeFound(const std::string& name) {
    if (name.find('/') != std::string::npos) return isProgram(name);
    const char* variable = std::getenv("PATH");
    std::string_view path = variable ? variable : "/bin:/usr/bin";
    while (true) {
        const std::size_t end = path.find(':');
        if (isProgram(std::filesystem::path(path.substr(0, end)) / name)) return true;
        if (end == std::string_view::npos) return false;
        path.remove_prefix(end + 1);
    }
}

[[noreturn]] void failToStart(const std::string& name, int reason) {
    throw FailedError(fmt::format("The command '{}' cannot be started: {}.", name, std::strerror(reason)));
}

}  // namespace

ChildCommand::ChildCommand(std::vector<std::string> words) : m_words(std::move(words)) {
    if (!canBeFound(m_words.front()))
        throw BadInputError(
            fmt::format("There is no program '{}' to record: check its name, or give its path.", m_words.front()));
}

ChildCommand::~ChildCommand() {
    if (m_pid > 0) wait();
    g_child.store(-1);
    if (m_started) giveSignalsBack();
}

void ChildCommand::start(const std::vector<std::pair<std::string, std::string>>& variables, bool outputToError) {
    std::array<int, 2> failure{};
    if (pipe2(failure.data(), O_CLOEXEC) != 0) failToStart(m_words.front(), errno);
    std::vector<char*> arguments;
    for (std::string& word : m_words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    g_stopAsked.store(false);
    takeSignals();
    m_started = true;
    m_pid = fork();
    if (m_pid == 0) {
        giveSignalsBack();
        if (outputToError) dup2(STDERR_FILENO, STDOUT_FILENO);
        for (const auto& [name, value] : variables)
            setenv(name.c_str(), value.c_str(), 1);
        execvp(arguments[0], arguments.data());
        const int reason = errno;
        [[maybe_unused]] const ssize_t told = write(failure[1], &reason, sizeof reason);
        _exit(127);
    }
    const int forkError = errno;
    close(failure[1]);
    int reason = 0;
    const bool failed = m_pid > 0 && read(failure[0], &reason, sizeof reason) == sizeof reason;
    close(failure[0]);
    if (m_pid < 0) failToStart(m_words.front(), forkError);
    if (failed) failToStart(m_words.front(), reason);
    g_child.store(m_pid);
}

std::optional<ChildCommand::Ending> ChildCommand::ended() {
    if (m_pid <= 0) return m_ending;
    int status = 0;
    if (waitpid(m_pid, &status, WNOHANG) != m_pid) return std::nullopt;
    g_child.store(-1);
    m_pid = -1;
    m_ending = WIFSIGNALED(status) ? Ending{128 + WTERMSIG(status), WTERMSIG(status)} : Ending{WEXITSTATUS(status), 0};
    return m_ending;
}

ChildCommand::Ending ChildCommand::wait() {
    while (m_pid > 0) {
        siginfo_t info{};
        waitid(P_PID, static_cast<id_t>(m_pid), &info, WEXITED | WNOWAIT);
        ended();
    }
    return m_ending.value_or(Ending{});
}

bool ChildCommand::stopAsked() { return g_stopAsked.load(); }

}  // namespace expertscope
