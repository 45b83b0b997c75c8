// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QStringList>

namespace expertscope {

/// Everything that the profile dialog decides: one `expertscope run` command.
struct ProfileJob {
    enum class PromptSource { Text, File };

    QString model = "demo";
    PromptSource promptSource = PromptSource::Text;
    QString prompt;        ///< the text, or the file's path
    QStringList policies;  ///< one run each
    QString eviction = "lru";
    QString budget = "25%";  ///< as --budget takes it: one, or several separated by commas
    QString link;            ///< as --link takes it; empty: transfers are not paced
    QString prepared;        ///< file that --prepared takes; empty: none
    int tokens = 64;         ///< a request
    QStringList record = {"routing", "spans", "norms", "predictions"};
    QString session;  ///< file to write

    /// The arguments after the program's name, without --progress.
    QStringList arguments() const;
    /// The command as a shell takes it, for "Copy as command".
    QString commandLine() const;
};

/// A word as a POSIX shell takes it: quoted where it must be.
QString shellQuoted(const QString& word);

/// Where sessions go unless the user says otherwise.
QString sessionFolder();

/// A new session file's path in sessionFolder() (made when missing), named after the model and the time.
QString newSessionPath(const QString& model);

/// The first-run job, "Profile the bundled model": twelve domain prompts under three policies, on a link so slow that a
/// person can watch (20 to 30 seconds each). tools/start plays the same job where there is no display.
namespace first_run {
inline constexpr int kTokensPerPrompt = 160;
inline constexpr const char* kBudget = "25%";
inline constexpr const char* kLink = "210MB/s@20us";
inline const QStringList kPolicies = {"on-demand", "mixtral-offloading", "pre-gated"};
}  // namespace first_run

/// The first-run job, writing to a new session. Throws FailedError when the bundled prompts are missing.
ProfileJob firstRunJob();

}  // namespace expertscope
