// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/inspector_panel.h"

#include <QFormLayout>
#include <QLabel>
#include <QPushButton>
#include <QScrollArea>
#include <QVBoxLayout>
#include <memory>
#include <utility>

#include "app/desktop/inspector_facts.h"
#include "views/base/job_strip.h"
#include "views/base/session_model.h"

namespace expertscope {
namespace {

constexpr int kCoalesceMs = 250;  // numbers that change faster cannot be read
constexpr int kPatienceMs = 300;  // most counting has ended by then
/// Counted in some milliseconds.
constexpr std::size_t kCountAtOnce = 500'000;

QLabel* valueLabel(const Fact& fact, QWidget* parent) {
    auto* label = new QLabel(fact.value, parent);
    label->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    label->setWordWrap(true);
    label->setToolTip(fact.meaning);
    return label;
}

}  // namespace

InspectorPanel::InspectorPanel(SessionModel& session, SelectionModel& selection,
                               const QList<std::pair<QString, QString>>& views, QWidget* parent)
    : QWidget(parent),
      m_session(session),
      m_selection(selection),
      m_title(new QLabel(this)),
      m_subtitle(new QLabel(this)),
      m_facts(new QWidget),
      m_form(new QFormLayout(m_facts)),
      m_buttons(new QWidget(this)),
      m_countAtOnce(kCountAtOnce) {
    m_title->setObjectName("inspectorTitle");
    QFont bold = m_title->font();
    bold.setBold(true);
    m_title->setFont(bold);
    m_title->setWordWrap(true);
    m_subtitle->setEnabled(false);
    m_form->setContentsMargins(0, 6, 6, 6);
    m_form->setHorizontalSpacing(10);
    auto* scroll = new QScrollArea(this);
    scroll->setWidget(m_facts);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);

    auto* buttons = new QVBoxLayout(m_buttons);
    buttons->setContentsMargins(0, 0, 0, 0);
    for (const auto& [name, title] : views) {
        auto* button = new QPushButton("Show in " + title, m_buttons);
        button->setObjectName("showIn_" + name);
        connect(button, &QPushButton::clicked, this, [this, view = name] { emit showIn(view); });
        buttons->addWidget(button);
    }
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(8, 6, 4, 6);
    layout->addWidget(m_title);
    layout->addWidget(m_subtitle);
    layout->addWidget(scroll, 1);
    layout->addWidget(m_strip = new JobStrip(m_job, this));
    layout->addWidget(m_buttons);

    m_strip->setPatience(kPatienceMs);
    connect(m_strip, &JobStrip::againWanted, this, &InspectorPanel::countAgain);
    connect(&m_job, &BackgroundJob::ended, this, &InspectorPanel::ended);
    m_pending.setSingleShot(true);
    m_pending.setInterval(kCoalesceMs);
    connect(&m_pending, &QTimer::timeout, this, &InspectorPanel::refresh);
    connect(&selection, &SelectionModel::changed, this, &InspectorPanel::refresh);
    connect(&session, &SessionModel::currentRunChanged, this, &InspectorPanel::refresh);
    connect(&session, &SessionModel::sessionChanged, this, &InspectorPanel::refresh);
    connect(&session, &SessionModel::runsChanged, this, &InspectorPanel::refresh);
    connect(&session, &SessionModel::dataGrown, this, [this] {
        if (!m_pending.isActive()) m_pending.start();
    });
    refresh();
}

void InspectorPanel::refresh() {
    const RunTrace* trace = m_session.trace();
    m_buttons->setVisible(trace != nullptr);
    if (trace == nullptr) {
        drop();
        show({.title = "Nothing to inspect yet", .subtitle = "Open a session or profile a model.", .facts = {}});
        return;
    }
    const Subject subject{m_session.file(), trace->entry().id, m_selection.current()};
    if (recordsToInspect(*trace, subject.selection) <= m_countAtOnce) {
        drop();
        show(inspect(*trace, subject.selection));
        return;
    }
    if (m_asked == subject) {
        // The numbers of before stay until newer ones are there.
        if (!m_job.running() && !m_refused && trace->revision() != m_revision) count(subject);
        return;
    }
    drop();
    m_asked = subject;
    showUncounted("counting…", "The run is long: its numbers come in a moment.");
    count(subject);
}

void InspectorPanel::countAgain() {
    if (m_asked) count(*m_asked);
}

void InspectorPanel::count(const Subject& subject) {
    std::shared_ptr<const RunTrace> lent = m_session.lend(subject.run);
    m_refused = false;
    m_revision = lent->revision();
    m_job.start([this, trace = std::move(lent), selection = subject.selection](const JobControl& control) {
        control.at(tr("Counting…"));
        const InspectorText text =
            inspect(*trace, selection, [&](double share) { control.at(tr("Counting…"), share); });
        return [this, text] {
            m_counted = true;
            show(text);
            m_pending.start();  // it may have grown meanwhile
        };
    });
}

/// Ends what is counted: something else is shown.
void InspectorPanel::drop() {
    m_asked.reset();
    m_counted = m_refused = false;
    m_job.cancel();
    m_strip->forget();
}

void InspectorPanel::ended(const QString& failure, bool cancelled) {
    if (!m_asked || (failure.isEmpty() && !cancelled)) return;
    m_refused = true;
    if (!m_counted) showUncounted("not counted", cancelled ? QString("It was cancelled.") : failure);
}

/// Shows what is known without counting.
void InspectorPanel::showUncounted(const QString& state, const QString& meaning) {
    InspectorText text = inspectAtOnce(*m_session.trace(), m_asked->selection);
    text.facts.push_back({"numbers", state, meaning});
    show(text);
}

void InspectorPanel::show(const InspectorText& text) {
    m_title->setText(text.title);
    m_subtitle->setText(text.subtitle);
    while (m_form->rowCount() > static_cast<int>(text.facts.size()))
        m_form->removeRow(m_form->rowCount() - 1);
    for (int row = 0; row < static_cast<int>(text.facts.size()); ++row) {
        const Fact& fact = text.facts[static_cast<std::size_t>(row)];
        if (row == m_form->rowCount()) {
            auto* name = new QLabel(fact.name, m_facts);
            m_form->addRow(name, valueLabel(fact, m_facts));
        }
        // Rows are reused: making them anew several times a second would flicker and lose a text selection.
        auto* name = qobject_cast<QLabel*>(m_form->itemAt(row, QFormLayout::LabelRole)->widget());
        auto* value = qobject_cast<QLabel*>(m_form->itemAt(row, QFormLayout::FieldRole)->widget());
        name->setText(fact.name);
        name->setToolTip(fact.meaning);
        if (value->text() != fact.value) value->setText(fact.value);
        value->setToolTip(fact.meaning);
    }
}

}  // namespace expertscope
