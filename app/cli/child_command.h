// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace expertscope {

/// A program that the user named, run as a child. While it lives, SIGINT and SIGTERM reach the child and not this
/// process, which goes on until the child has ended.
class ChildCommand {
public:
    struct Ending {
        int exitCode = 0;  ///< 128 + its number where a signal ended it, as in a shell
        int signal = 0;    ///< that ended it; 0: none
    };

    /// Throws BadInputError when there is no such program.
    explicit ChildCommand(std::vector<std::string> words);
    /// Waits for the child.
    ~ChildCommand();
    ChildCommand(const ChildCommand&) = delete;
    ChildCommand& operator=(const ChildCommand&) = delete;

    /// Starts it with these variables added to its environment; with `outputToError` its standard output goes to
    /// standard error. Throws FailedError when it cannot be started.
    void start(const std::vector<std::pair<std::string, std::string>>& variables, bool outputToError);
    /// How it has ended; nothing while it runs.
    std::optional<Ending> ended();
    /// Waits for the end.
    Ending wait();
    /// Whether somebody has asked to stop.
    static bool stopAsked();

private:
    std::vector<std::string> m_words;
    pid_t m_pid = -1;
    bool m_started = false;
    std::optional<Ending> m_ending;
};

}  // namespace expertscope
