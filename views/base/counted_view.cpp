// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/counted_view.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QVBoxLayout>
#include <algorithm>

#include "views/base/chart.h"
#include "views/base/empty_state.h"
#include "views/base/job_strip.h"
#include "views/base/lazy_table.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"
#include "views/base/view_export.h"

namespace expertscope {

CountedView::CountedView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : View(session, selection, parent),
      m_theme(&Theme::light()),
      m_table(new LazyTable(this)),
      m_controls(new QWidget(this)),
      m_row(new QHBoxLayout(m_controls)),
      m_countedText(new QLabel(this)) {
    m_row->setContentsMargins(0, 0, 0, 0);
    m_countedText->setWordWrap(true);
    m_countedText->setTextInteractionFlags(Qt::TextSelectableByMouse);
    setFocusPolicy(Qt::StrongFocus);
}

CountedView::~CountedView() = default;

void CountedView::addControl(const QString& name, QWidget* control) {
    auto* label = new QLabel(name, m_controls);
    control->setAccessibleName(name);
    label->setBuddy(control);
    m_row->addWidget(label);
    m_row->addWidget(control);
}

QComboBox* CountedView::addChoice(const QString& name, const QStringList& items) {
    auto* box = new QComboBox(m_controls);
    box->addItems(items);
    box->setSizeAdjustPolicy(QComboBox::AdjustToContents);
    addControl(name, box);
    return box;
}

void CountedView::addCharts(const std::vector<Chart*>& charts) {
    m_charts.insert(m_charts.end(), charts.begin(), charts.end());
}

void CountedView::layOut(QLayout* charts) {
    setAccessibleName(title());
    m_row->addStretch(1);
    auto* strip = new JobStrip(m_job, this);
    auto* page = new QVBoxLayout(this);
    page->setContentsMargins(10, 8, 10, 8);
    page->addWidget(m_controls);
    page->addLayout(charts, 1);
    page->addWidget(m_countedText);
    page->addWidget(strip);
    m_empty = new EmptyState(this);

    connect(m_empty, &EmptyState::commandWanted, this, &View::commandWanted);
    connect(strip, &JobStrip::againWanted, this, &CountedView::ask);
    connect(&m_job, &BackgroundJob::ended, this, &CountedView::ended);
    connect(&m_session, &SessionModel::sessionChanged, this, &CountedView::takeRun);
    connect(&m_session, &SessionModel::currentRunChanged, this, &CountedView::takeRun);
    connect(&m_session, &SessionModel::runsChanged, this, &CountedView::takeRun);
    connect(&m_selection, &SelectionModel::changed, this, &CountedView::takeSelection);
    connect(&m_selection, &SelectionModel::hoverChanged, this, &CountedView::drawMarks);
    setTheme(*m_theme);
    takeRun();
}

void CountedView::setTheme(const Theme& theme) {
    m_theme = &theme;
    setPalette(theme.palette());
    setAutoFillBackground(true);
    for (Chart* chart : m_charts)
        chart->setTheme(theme);
    m_empty->setTheme(theme);
    draw();
}

void CountedView::takeRun() {
    const std::optional<RunId> run = runToShow(*m_empty, m_session.trace());
    const QString file = run ? m_session.file() : QString();
    if (run == m_run && file == m_file) return;
    m_job.cancel();
    m_run = run;
    m_file = file;
    m_failure.clear();
    m_cancelled = false;
    forget();
    draw();
    if (isVisible()) ask();
}

void CountedView::ask() {
    m_failure.clear();
    m_cancelled = false;
    if (m_run) countNext();
    // What was cancelled is not wanted any more, or there by now: nothing to count on.
    if (auto* strip = findChild<JobStrip*>(); strip && !m_job.running()) strip->forget();
    tellMissing();
}

void CountedView::ended(const QString& failure, bool cancelled) {
    m_failure = failure;
    m_cancelled = cancelled;
    tellMissing();
}

void CountedView::tellCounted(const QString& sentence) { m_countedText->setText(sentence); }

void CountedView::tell(Chart* chart, bool there, const QString& missing, const QString& hint) const {
    if (there)
        chart->setMissing(missing, missing.isEmpty() ? QString() : hint);
    else if (m_cancelled)
        chart->setMissing(tr("Not counted"), tr("It was cancelled."));
    else
        chart->setMissing(m_failure.isEmpty() ? tr("Counting…") : tr("Not counted"), m_failure);
}

int CountedView::layerOr(int otherwise, const ModelFacts& model) const {
    const auto& selected = m_selection.current().layer;
    return selected && selected->value() < model.layers ? selected->value() : otherwise;
}

void CountedView::selectLayer(int layer) {
    Selection next = m_selection.current();
    next.layer = LayerIndex(layer);
    m_selection.set(next);
}

bool CountedView::moveSelection(const QKeyEvent& event, int layer, const ModelFacts& model) {
    const auto move = [&](int layers, int experts) {
        Selection next = m_selection.current();
        next.layer = LayerIndex(std::clamp(layer + layers, 0, model.layers - 1));
        if (experts != 0)
            next.expert = ExpertId(next.expert ? std::clamp(next.expert->value() + experts, 0, model.experts - 1) : 0);
        m_selection.set(next);
        return true;
    };
    switch (event.key()) {
        case Qt::Key_Up:
            return move(-1, 0);
        case Qt::Key_Down:
            return move(1, 0);
        case Qt::Key_Left:
            return move(0, -1);
        case Qt::Key_Right:
            return move(0, 1);
        default:
            return false;
    }
}

void CountedView::showEvent(QShowEvent* event) {
    View::showEvent(event);
    if (!m_cancelled && m_failure.isEmpty() && !m_job.running()) ask();
}

void CountedView::refresh() {
    takeRun();
    if (!m_job.running()) ask();
    m_job.wait();
    draw();
}

QAbstractItemModel* CountedView::table() { return m_table; }

void CountedView::exportTo(const QString& file, const QSize& size) {
    refresh();
    m_controls->setVisible(false);
    try {
        exportWidget(*this, file, size);
    } catch (...) {
        m_controls->setVisible(true);
        throw;
    }
    m_controls->setVisible(true);
}

}  // namespace expertscope
