// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/profile_job.h"

#include <QDateTime>
#include <QDir>
#include <QFileInfo>
#include <QRegularExpression>
#include <QStandardPaths>

#include "app/resource_paths.h"
#include "engine/base/error.h"

namespace expertscope {

QStringList ProfileJob::arguments() const {
    QStringList words{"run", "--model", model};
    words << (promptSource == PromptSource::File ? "--prompts" : "--prompt") << prompt;
    words << "--tokens" << QString::number(tokens);
    words << "--policy" << policies.join(',') << "--eviction" << eviction << "--budget" << budget;
    if (!prepared.isEmpty()) words << "--prepared" << prepared;
    if (!link.isEmpty()) words << "--link" << link;
    words << "--record" << record.join(',');
    words << "--out" << session;
    return words;
}

QString ProfileJob::commandLine() const {
    QStringList words{"expertscope"};
    for (const QString& word : arguments())
        words << shellQuoted(word);
    return words.join(' ');
}

QString shellQuoted(const QString& word) {
    static const QRegularExpression plain("^[A-Za-z0-9_@%+=:,./-]+$");
    if (plain.match(word).hasMatch()) return word;
    QString escaped = word;
    return "'" + escaped.replace("'", "'\\''") + "'";
}

QString sessionFolder() {
    return QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation) + "/expertscope/sessions";
}

QString newSessionPath(const QString& model) {
    const QString folder = sessionFolder();
    if (!QDir().mkpath(folder)) {
        throw FailedError("The folder for sessions " + folder.toStdString() +
                          " cannot be made: choose another place for the session in the Profile dialog.");
    }
    const QString name = QFileInfo(model).completeBaseName();
    const QString stem = folder + "/" + (name.isEmpty() ? "session" : name) + "-" +
                         QDateTime::currentDateTime().toString("yyyy-MM-dd-hhmmss");
    QString path = stem + ".esdb";
    for (int n = 2; QFileInfo::exists(path); ++n)
        path = QString("%1-%2.esdb").arg(stem).arg(n);
    return path;
}

ProfileJob firstRunJob() {
    ProfileJob job;
    job.promptSource = ProfileJob::PromptSource::File;
    job.prompt = QString::fromStdString(bundledPrompts().string());
    job.policies = first_run::kPolicies;
    job.budget = first_run::kBudget;
    job.link = first_run::kLink;
    job.tokens = first_run::kTokensPerPrompt;
    job.session = newSessionPath(job.model);
    return job;
}

}  // namespace expertscope
