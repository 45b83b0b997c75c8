// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QByteArray>
#include <QByteArrayList>
#include <QString>
#include <optional>

namespace expertscope {

/// What `expertscope run --progress json` tells on standard error, one JSON object a line.
struct ProgressEvent {
    enum class Kind {
        Run,       ///< a run begins: run, runs, runId, policy, budgetBytes, planned
        Progress,  ///< it goes on: run, generated, planned, tokensPerSecond, request, label
        Done,      ///< it has ended: run
        Error,     ///< the job has failed: sentence
    };
    Kind kind = Kind::Progress;
    int run = 0;   ///< from 1, of `runs`
    int runs = 0;  ///< 0 where the line does not say
    qint64 runId = 0;
    QString policy;
    qint64 budgetBytes = 0;
    qint64 generated = 0, planned = 0;
    double tokensPerSecond = 0;
    int request = 0;
    QString label;
    QString sentence;
};

/// The event on one line, or nothing when the line is not one (a library's message, say).
std::optional<ProgressEvent> parseProgressLine(const QByteArray& line);

/// Cuts a stream that arrives in pieces into lines. A line longer than `kLongestLine` is cut there, so that a child
/// that never ends its line cannot fill the memory.
class LineSplitter {
public:
    static constexpr qsizetype kLongestLine = 64 * 1024;

    /// Takes the next piece and gives the lines that it completed, without their ends.
    QByteArrayList feed(const QByteArray& piece);
    /// What is left when the stream has ended.
    QByteArray rest();

private:
    QByteArray m_partial;
};

}  // namespace expertscope
