// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/job_strip.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QProgressBar>
#include <QPushButton>
#include <cmath>

#include "views/base/background_job.h"

namespace expertscope {

JobStrip::JobStrip(BackgroundJob& job, QWidget* parent)
    : QWidget(parent), m_text(new QLabel(this)), m_bar(new QProgressBar(this)), m_button(new QPushButton(this)) {
    m_text->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_text->setWordWrap(true);
    m_bar->setTextVisible(false);
    m_bar->setMinimumWidth(40);  // there is room for it in a narrow panel, too
    m_bar->setMaximumWidth(160);
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(0, 0, 0, 0);
    row->addWidget(m_bar);
    row->addWidget(m_text, 1);
    row->addWidget(m_button);
    hide();
    m_patience.setSingleShot(true);
    connect(&m_patience, &QTimer::timeout, this, [this, &job] {
        if (job.running()) show();
    });
    connect(&job, &BackgroundJob::begun, this, [this] {
        m_text->setText(tr("Waiting…"));
        m_bar->setRange(0, 0);
        m_bar->show();
        m_button->setText(tr("Cancel"));
        if (m_patience.interval() == 0)
            show();
        else if (!isVisible())
            m_patience.start();
    });
    connect(&job, &BackgroundJob::progressed, this, [this](const QString& what, double share) {
        m_text->setText(what);
        m_bar->setRange(0, share < 0 ? 0 : 1000);
        if (share >= 0) m_bar->setValue(static_cast<int>(std::lround(1000 * share)));
    });
    connect(&job, &BackgroundJob::ended, this, [this](const QString& failure, bool cancelled) {
        m_bar->hide();
        m_text->setText(cancelled ? tr("Cancelled: what was counted before stays.") : failure);
        m_button->setText(cancelled ? tr("Count on") : tr("Try again"));
        setVisible(cancelled || !failure.isEmpty());
    });
    connect(m_button, &QPushButton::clicked, this, [this, &job] {
        if (job.running())
            job.cancel();
        else
            Q_EMIT againWanted();
    });
}

void JobStrip::forget() {
    m_patience.stop();
    hide();
}

}  // namespace expertscope
