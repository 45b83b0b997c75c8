// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/start_page.h"

#include <QCommandLinkButton>
#include <QFileInfo>
#include <QLabel>
#include <QListWidget>
#include <QVBoxLayout>

namespace expertscope {
namespace {

constexpr int kColumnWidth = 560;

QLabel* heading(const QString& text, double scale, QWidget* parent) {
    auto* label = new QLabel(text, parent);
    QFont font = label->font();
    font.setPointSizeF(font.pointSizeF() * scale);
    label->setFont(font);
    return label;
}

}  // namespace

StartPage::StartPage(QWidget* parent)
    : QWidget(parent), m_recentBox(new QWidget(this)), m_recent(new QListWidget(this)) {
    setObjectName("startPage");
    auto* column = new QWidget(this);
    column->setFixedWidth(kColumnWidth);
    auto* layout = new QVBoxLayout(column);
    layout->setSpacing(10);
    layout->addWidget(heading("ExpertScope", 2.4, column));
    auto* what = new QLabel(
        "Where does a Mixture-of-Experts model spend its time, what do its experts do, and which offload "
        "policy suits it?",
        column);
    what->setWordWrap(true);
    layout->addWidget(what);
    layout->addSpacing(12);

    const auto addAction = [&](const QString& name, const QString& text, const QString& description, auto signal) {
        auto* button = new QCommandLinkButton(text, description, column);
        button->setObjectName(name);
        button->setMinimumHeight(72);
        connect(button, &QCommandLinkButton::clicked, this, signal);
        layout->addWidget(button);
        return button;
    };
    addAction(
        "profileBundled", "Profile the bundled model",
        "Generates twelve short texts under three offload policies, about a minute, and shows its experts at work.",
        &StartPage::profileBundled)
        ->setDefault(true);
    addAction("openSession", "Open a session…",
              "A recorded run (*.esdb). Or drop it on this window; another tool's trace is imported.",
              &StartPage::openSession);
    addAction("takeTour", "Take the tour", "What the window shows and how to read it, in seven short pages.",
              &StartPage::takeTour);

    auto* recentLayout = new QVBoxLayout(m_recentBox);
    recentLayout->setContentsMargins(0, 12, 0, 0);
    recentLayout->addWidget(new QLabel("Recent sessions", m_recentBox));
    m_recent->setObjectName("recentSessions");
    m_recent->setFrameShape(QFrame::NoFrame);
    m_recent->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_recent->setTextElideMode(Qt::ElideMiddle);
    recentLayout->addWidget(m_recent);
    layout->addWidget(m_recentBox);
    connect(m_recent, &QListWidget::itemActivated, this,
            [this](QListWidgetItem* item) { emit openRecent(item->data(Qt::UserRole).toString()); });
    connect(m_recent, &QListWidget::itemClicked, m_recent, &QListWidget::itemActivated);

    auto* page = new QVBoxLayout(this);
    page->addStretch(1);
    page->addWidget(column, 0, Qt::AlignHCenter);
    page->addStretch(2);
    setRecent({});
}

void StartPage::setRecent(const QStringList& files) {
    m_recent->clear();
    for (const QString& file : files) {
        const QFileInfo info(file);
        auto* item = new QListWidgetItem(info.fileName() + "   —   " + info.absolutePath(), m_recent);
        item->setData(Qt::UserRole, file);
        item->setToolTip(file);
    }
    m_recentBox->setVisible(!files.isEmpty());
    const int rowHeight = m_recent->fontMetrics().height() + 6;
    m_recent->setFixedHeight(rowHeight * static_cast<int>(std::min<qsizetype>(files.size(), 8)) + 8);
}

}  // namespace expertscope
