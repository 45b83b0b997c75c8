// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/session_import.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QtEndian>
#include <filesystem>

#include "app/desktop/profile_job.h"
#include "profiler/interchange/import_registry.h"
#include "storage/schema.h"
#include "views/base/number_format.h"

namespace expertscope {
namespace {

constexpr int kSqliteHeader = 100;
constexpr int kApplicationIdAt = 68;

std::filesystem::path pathOf(const QString& file) { return file.toStdString(); }

QString stageText(const QString& name, const ImportProgress& progress) {
    const QString what =
        progress.stage == ImportProgress::Stage::Reading ? "Reading %1: %2 rows" : "Writing %1: %2 rows";
    return what.arg(name, countText(progress.rows));
}

}  // namespace

QString ImportRequest::commandLine() const {
    QStringList words{"expertscope", "import", shellQuoted(file), "--out", shellQuoted(session)};
    if (format != "auto") words << "--format" << format;
    if (options.keepWarmUp) words << "--keep-warmup";
    if (!options.modelName.empty()) words << "--model-name" << shellQuoted(QString::fromStdString(options.modelName));
    if (options.layers > 0) words << "--layers" << QString::number(options.layers);
    if (options.experts > 0) words << "--experts" << QString::number(options.experts);
    if (options.topK > 0) words << "--top-k" << QString::number(options.topK);
    if (options.expertBytes.count() > 0) words << "--expert-bytes" << QString::number(options.expertBytes.count());
    return words.join(' ');
}

QString sessionBeside(const QString& file) {
    const QFileInfo source(file.endsWith(".gz", Qt::CaseInsensitive) ? file.chopped(3) : file);
    const QString folder = QFileInfo(source.absolutePath()).isWritable() ? source.absolutePath() : sessionFolder();
    const QString stem = QDir(folder).filePath(source.completeBaseName());
    QString path = stem + ".esdb";
    for (int n = 2; QFileInfo::exists(path); ++n)
        path = QString("%1-%2.esdb").arg(stem).arg(n);
    return path;
}

bool isSessionFile(const QString& file) {
    if (file.endsWith(".esdb", Qt::CaseInsensitive)) return true;
    QFile in(file);
    if (!in.open(QIODevice::ReadOnly)) return false;
    const QByteArray head = in.read(kSqliteHeader);
    return head.size() == kSqliteHeader && head.startsWith("SQLite format 3") &&
           qFromBigEndian<qint32>(head.constData() + kApplicationIdAt) == kApplicationId;
}

QString importedText(const ImportOutcome& outcome) {
    const RunSummary& summary = outcome.run.summary;
    QStringList parts;
    if (summary.selections > 0)
        parts << QString("%1 selections of %2 tokens of %3")
                     .arg(countText(summary.selections), countText(summary.promptTokens + summary.generatedTokens),
                          QString::fromStdString(outcome.run.model.name));
    if (summary.spans > 0) parts << countText(summary.spans) + " spans";
    if (parts.isEmpty()) parts << countText(outcome.run.rows) + " counts";
    QString text = QString("Imported as run %1 of %2 from %3: %4.")
                       .arg(outcome.run.run.value())
                       .arg(QFileInfo(outcome.request.session).fileName(), outcome.format, parts.join(", "));
    if (!outcome.run.notes.empty()) text += " Notes in the overview say what the file does not.";
    return text;
}

SessionImport::SessionImport(QObject* parent) : QObject(parent) {
    connect(&m_job, &BackgroundJob::ended, this, &SessionImport::ended);
}

void SessionImport::start(const ImportRequest& request) {
    m_request = request;
    m_appends = QFileInfo::exists(request.session);
    m_writes = std::make_shared<std::atomic<bool>>(false);
    m_job.start([this, request, writes = m_writes](const JobControl& control) -> BackgroundJob::Taker {
        const QString name = QFileInfo(request.file).fileName();
        control.at(tr("Reading %1").arg(name));
        const ImportFormat& format = importFormat(request.format.toStdString(), pathOf(request.file));
        ImportOptions options = request.options;
        options.progress = [&](const ImportProgress& progress) {
            if (progress.stage == ImportProgress::Stage::Writing) *writes = true;
            control.at(stageText(name, progress), progress.share);
        };
        const ImportedRun run = importFile(format, pathOf(request.file), pathOf(request.session), options);
        const QString word = QString::fromUtf8(format.name.data(), static_cast<qsizetype>(format.name.size()));
        return [this, outcome = ImportOutcome{request, word, run}] { emit imported(outcome); };
    });
}

void SessionImport::ended(const QString& failure, bool wasCancelled) {
    if (wasCancelled)
        emit cancelled(m_appends && *m_writes
                           ? QString("The import was cancelled; what it had written stays in %1 as a failed run.")
                                 .arg(QFileInfo(m_request.session).fileName())
                           : QString("The import was cancelled, and nothing of it was kept."));
    else if (!failure.isEmpty())
        emit failed(failure);
}

}  // namespace expertscope
