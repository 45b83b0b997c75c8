// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/empty_state.h"

#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

#include "profiler/analysis/run_trace.h"
#include "views/base/theme.h"

namespace expertscope {

EmptyState::EmptyState(QWidget* parent)
    : QWidget(parent), m_sentence(new QLabel(this)), m_hint(new QLabel(this)), m_buttons(new QHBoxLayout) {
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(24, 24, 24, 24);
    layout->addStretch();
    for (QLabel* label : {m_sentence, m_hint}) {
        label->setAlignment(Qt::AlignCenter);
        label->setWordWrap(true);
        layout->addWidget(label);
    }
    m_buttons->setAlignment(Qt::AlignHCenter);
    layout->addLayout(m_buttons);
    layout->addStretch();
    QFont large = font();
    large.setPointSizeF(14);
    m_sentence->setFont(large);
    setAutoFillBackground(true);
    setGeometry(parent->rect());
    parent->installEventFilter(this);
    hide();
}

void EmptyState::tell(const QString& sentence, const QString& hint, const std::vector<EmptyAction>& actions) {
    m_sentence->setText(sentence);
    m_hint->setText(hint);
    if (actions != m_actions) {
        while (QLayoutItem* item = m_buttons->takeAt(0)) {
            item->widget()->deleteLater();  // it may be the one that was just clicked
            delete item;
        }
        for (const EmptyAction& action : actions) {
            auto* button = new QPushButton(action.text, this);
            connect(button, &QPushButton::clicked, this,
                    [this, command = action.command] { emit commandWanted(command); });
            m_buttons->addWidget(button);
        }
        m_actions = actions;
    }
    setGeometry(parentWidget()->rect());
    raise();
    show();
}

QString EmptyState::sentence() const { return m_sentence->text(); }

void EmptyState::setTheme(const Theme& theme) {
    QPalette palette = theme.palette();
    palette.setColor(QPalette::Window, theme.background());
    setPalette(palette);
    QPalette muted = palette;
    muted.setColor(QPalette::WindowText, theme.mutedText());
    m_sentence->setPalette(palette);
    m_hint->setPalette(muted);
}

namespace {

QString capitalised(QString text) {
    if (!text.isEmpty()) text[0] = text[0].toUpper();
    return text;
}

}  // namespace

void tellWhyEmpty(EmptyState& state, const RunTrace* run, const EmptySubject& subject) {
    if (!run) {
        state.tell(QStringLiteral("No run to show"),
                   QStringLiteral("Open a session or profile a model: %1 appear here.").arg(subject.what),
                   {{QStringLiteral("Profile the bundled model"), QStringLiteral("run.bundled")},
                    {QStringLiteral("Open a session…"), QStringLiteral("session.open")}});
    } else if (!subject.asked) {
        state.tell(QStringLiteral("This run recorded no %1").arg(subject.recordWord),
                   QStringLiteral("Record it again with “%1” among what is recorded.").arg(subject.recordWord),
                   {{QStringLiteral("Profile…"), QStringLiteral("run.profile")}});
    } else if (!run->isWhole()) {
        state.tell(QStringLiteral("Reading the recording"),
                   QStringLiteral("%1 appear here as soon as they are read.").arg(capitalised(subject.what)));
    } else if (run->entry().state == RunState::Running) {
        state.tell(QStringLiteral("Waiting for the first step"),
                   QStringLiteral("The run has begun: %1 appear as soon as they are recorded.").arg(subject.what));
    } else {
        state.tell(QStringLiteral("This run ended before its first step"),
                   QStringLiteral("The Overview says how it ended."),
                   {{QStringLiteral("Show the Overview"), QStringLiteral("view.overview")}});
    }
}

bool EmptyState::eventFilter(QObject* watched, QEvent* event) {
    if (watched == parentWidget() && event->type() == QEvent::Resize) setGeometry(parentWidget()->rect());
    return QWidget::eventFilter(watched, event);
}

}  // namespace expertscope
