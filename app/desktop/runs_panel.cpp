// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/runs_panel.h"

#include <QFileInfo>
#include <QHeaderView>
#include <QLabel>
#include <QSignalBlocker>
#include <QTableView>
#include <QVBoxLayout>

#include "app/desktop/run_list_model.h"
#include "views/base/session_model.h"

namespace expertscope {

RunsPanel::RunsPanel(SessionModel& session, RunListModel& runs, QWidget* parent)
    : QWidget(parent), m_session(session), m_runs(runs), m_file(new QLabel(this)), m_table(new QTableView(this)) {
    m_file->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_table->setObjectName("runsTable");
    m_table->setModel(&runs);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->setShowGrid(false);
    m_table->setAlternatingRowColors(true);
    m_table->setTabKeyNavigation(false);
    m_table->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_table->verticalHeader()->hide();
    m_table->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    m_table->horizontalHeader()->setMinimumSectionSize(20);
    // Of the columns the policy's name is the one that can be cut; its tooltip has it whole.
    m_table->horizontalHeader()->setSectionResizeMode(RunListModel::Policy, QHeaderView::Stretch);
    m_table->setWordWrap(false);
    m_table->horizontalHeader()->setHighlightSections(false);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(4, 4, 4, 4);
    layout->addWidget(m_file);
    layout->addWidget(m_table, 1);

    connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& row) {
        if (row.isValid()) m_session.setCurrentRun(m_runs.runAt(row.row()));
    });
    connect(&runs, &QAbstractItemModel::modelReset, this, &RunsPanel::markCurrent);
    connect(&session, &SessionModel::currentRunChanged, this, &RunsPanel::markCurrent);
    connect(&session, &SessionModel::sessionChanged, this, &RunsPanel::showSession);
    showSession();
}

void RunsPanel::showSession() {
    const QString file = m_session.file();
    m_file->setText(file.isEmpty()
                        ? QString()
                        : m_file->fontMetrics().elidedText(QFileInfo(file).fileName(), Qt::ElideMiddle, 260));
    m_file->setToolTip(file);
    markCurrent();
}

void RunsPanel::markCurrent() {
    const std::optional<RunId> current = m_session.currentRun();
    const int row = current ? m_runs.rowOf(*current) : -1;
    // Showing which run is current must not make another one current.
    const QSignalBlocker blocker(m_table->selectionModel());
    m_table->setCurrentIndex(m_runs.index(row, 0));
    if (row >= 0) m_table->selectRow(row);
    m_table->viewport()->update();
}

}  // namespace expertscope
