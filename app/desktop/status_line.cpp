// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/status_line.h"

#include <QAction>
#include <QLabel>
#include <QProgressBar>
#include <QToolButton>

#include "app/desktop/progress_lines.h"
#include "views/base/number_format.h"
#include "views/base/session_model.h"

namespace expertscope {

QString progressText(const ProgressEvent& event) {
    const QString speed = event.generated > 0 ? numberText(event.tokensPerSecond, "tok/s") : QString("starting");
    QString text = QString("● %1 · run %2 of %3 · %4").arg(speed).arg(event.run).arg(event.runs).arg(event.policy);
    if (!event.label.isEmpty()) text += " · " + event.label;
    return text;
}

StatusLine::StatusLine(SessionModel& session, QAction* toggleTheme, QWidget* parent)
    : QStatusBar(parent),
      m_session(session),
      m_live(new QLabel(this)),
      m_progress(new QProgressBar(this)),
      m_capture(new QLabel(this)),
      m_amount(new QLabel(this)) {
    m_live->setObjectName("liveStatus");
    m_progress->setFixedWidth(180);
    m_progress->setMaximumHeight(fontMetrics().height() + 2);
    m_progress->setFormat("%v of %m tokens");
    m_progress->hide();
    auto* theme = new QToolButton(this);
    theme->setDefaultAction(toggleTheme);
    theme->setAutoRaise(true);
    addWidget(m_live);
    addWidget(m_progress);
    addPermanentWidget(m_capture);
    addPermanentWidget(m_amount);
    addPermanentWidget(theme);
    connect(&session, &SessionModel::sessionChanged, this, &StatusLine::showSession);
    connect(&session, &SessionModel::currentRunChanged, this, &StatusLine::showSession);
    connect(&session, &SessionModel::runsChanged, this, &StatusLine::showSession);
    connect(&session, &SessionModel::dataGrown, this, &StatusLine::showSession);
    connect(&session, &SessionModel::readingChanged, this, &StatusLine::showSession);
    showSession();
}

void StatusLine::showProgress(const ProgressEvent& event) {
    m_live->setText(progressText(event));
    m_progress->setVisible(event.planned > 0);
    m_progress->setRange(0, static_cast<int>(event.planned));
    m_progress->setValue(static_cast<int>(event.generated));
}

void StatusLine::showIdle(const QString& sentence) {
    m_live->setText(sentence);
    m_progress->hide();
}

void StatusLine::showSession() {
    const RunTrace* trace = m_session.trace();
    m_capture->setVisible(trace != nullptr);
    m_amount->setVisible(trace != nullptr);
    if (trace == nullptr) return;
    qint64 lost = 0;
    QString sentences;
    for (const DiagnosticRecord& diagnostic : trace->diagnostics()) {
        if (diagnostic.severity == Severity::DataLoss) lost += diagnostic.count;
        if (diagnostic.severity != Severity::Info) sentences += QString::fromStdString(diagnostic.sentence) + "\n";
    }
    if (trace->entry().summary) lost = std::max<qint64>(lost, trace->entry().summary->dropped);
    m_capture->setText(lost == 0 ? QString("capture: whole (0 dropped)")
                                 : QString("⚠ capture: %1 dropped").arg(countText(lost)));
    m_capture->setToolTip(sentences.isEmpty() ? QString("Every record of this run reached the session.")
                                              : sentences.trimmed());
    const QString reading =
        m_session.reading() ? QString("reading: %1 · ").arg(percentText(m_session.readShare())) : QString();
    m_amount->setText(reading + QString("%1 spans · %2 selections · %3")
                                    .arg(countText(static_cast<qint64>(trace->spans().size())),
                                         countText(static_cast<qint64>(trace->selections().size())),
                                         bytesText(m_session.sizeOnDisk())));
    m_amount->setToolTip("Of the current run; the size is that of the session file with all its runs.");
}

}  // namespace expertscope
