// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <stdexcept>
#include <string>

namespace expertscope {

/// Why a job ended, as the exit codes of the command line name it.
enum class ErrorKind {
    Failed = 1,        ///< the job failed: no such device, no room on disk
    Usage = 2,         ///< unknown name, impossible budget
    BadInput = 3,      ///< an input file is missing or unusable
    Interrupted = 130  ///< the user stopped it
};

/// Base of every error that crosses a room: what() is one sentence for the user (what, where, what to do);
/// detail() is the technical part, which may be empty.
class Error : public std::runtime_error {
public:
    Error(ErrorKind kind, const std::string& sentence, std::string detail = {})
        : std::runtime_error(sentence), m_kind(kind), m_detail(std::move(detail)) {}
    ErrorKind kind() const { return m_kind; }
    const std::string& detail() const { return m_detail; }

private:
    ErrorKind m_kind;
    std::string m_detail;
};

struct FailedError : Error {
    explicit FailedError(const std::string& sentence, std::string detail = {})
        : Error(ErrorKind::Failed, sentence, std::move(detail)) {}
};
struct UsageError : Error {
    explicit UsageError(const std::string& sentence, std::string detail = {})
        : Error(ErrorKind::Usage, sentence, std::move(detail)) {}
};
struct BadInputError : Error {
    explicit BadInputError(const std::string& sentence, std::string detail = {})
        : Error(ErrorKind::BadInput, sentence, std::move(detail)) {}
};

}  // namespace expertscope
