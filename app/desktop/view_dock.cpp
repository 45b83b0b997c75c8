// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/view_dock.h"

#include <QFile>
#include <QHeaderView>
#include <QSortFilterProxyModel>
#include <QStackedWidget>
#include <QTableView>
#include <QTextStream>
#include <QVBoxLayout>

#include "engine/base/error.h"
#include "views/base/view.h"

namespace expertscope {
namespace {

constexpr int kTableMs = 500;  // a table that changes faster cannot be read

QString csvCell(const QVariant& value) {
    QString text = value.toString();
    if (!text.contains(',') && !text.contains('"') && !text.contains('\n')) return text;
    return "\"" + text.replace("\"", "\"\"") + "\"";
}

}  // namespace

ViewDock::ViewDock(View* view, QWidget* parent)
    : QDockWidget(view->title(), parent), m_view(view), m_table(new QTableView), m_stack(new QStackedWidget(this)) {
    setObjectName("view_" + view->name());
    auto* sorted = new QSortFilterProxyModel(m_table);
    sorted->setSortRole(Qt::EditRole);  // numbers by value, not by their text
    m_table->setModel(sorted);
    m_table->setObjectName("table_" + view->name());
    m_table->setSortingEnabled(true);
    m_table->sortByColumn(-1, Qt::AscendingOrder);
    m_table->setAlternatingRowColors(true);
    m_table->verticalHeader()->hide();
    m_stack->addWidget(view);
    m_stack->addWidget(m_table);
    // A dock behind another tab still counts as visible: hidden contents let the view rest.
    auto* frame = new QWidget(this);
    auto* layout = new QVBoxLayout(frame);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(m_stack);
    setWidget(frame);
    m_stack->hide();
    connect(this, &QDockWidget::visibilityChanged, this, &ViewDock::setOnTop);
    m_follow.setInterval(kTableMs);
    connect(&m_follow, &QTimer::timeout, this, [this] {
        if (m_table->isVisible()) m_view->refresh();
    });
}

/// When the window is first shown every dock says that it is visible, before those behind tabs are put there: a view
/// that believed it would read and count a whole run for nobody.
void ViewDock::setOnTop(bool onTop) {
    m_onTop = onTop;
    if (m_settled) return m_stack->setVisible(onTop);
    QTimer::singleShot(0, this, [this] {
        m_settled = true;
        m_stack->setVisible(m_onTop);
    });
}

bool ViewDock::showsTable() const { return m_stack->currentWidget() == m_table; }

void ViewDock::toggleTable() {
    auto* sorted = static_cast<QSortFilterProxyModel*>(m_table->model());
    if (showsTable()) {
        // A hidden table must not sort every time that a live run grows.
        m_follow.stop();
        sorted->setSourceModel(nullptr);
        m_stack->setCurrentWidget(m_view);
        m_view->refresh();
        m_view->setFocus();
        return;
    }
    m_view->refresh();
    sorted->setSourceModel(m_view->table());
    m_follow.start();
    m_table->resizeColumnsToContents();
    m_stack->setCurrentWidget(m_table);
    m_table->setFocus();
}

void ViewDock::exportTable(const QString& file) const {
    const QAbstractItemModel& model = *m_view->table();
    QFile out(file);
    if (!out.open(QIODevice::WriteOnly | QIODevice::Truncate)) {
        throw FailedError("The table cannot be written to " + file.toStdString() + " (" +
                          out.errorString().toStdString() + "): choose another place.");
    }
    QTextStream stream(&out);
    const auto writeRow = [&](const auto& cell) {
        for (int column = 0; column < model.columnCount(); ++column)
            stream << (column > 0 ? "," : "") << csvCell(cell(column));
        stream << '\n';
    };
    writeRow([&](int column) { return model.headerData(column, Qt::Horizontal); });
    for (int row = 0; row < model.rowCount(); ++row) {
        writeRow([&](int column) { return model.index(row, column).data(Qt::EditRole); });
    }
    stream.flush();
    if (!out.flush()) {
        throw FailedError("The table cannot be written to " + file.toStdString() + " (" +
                          out.errorString().toStdString() + "): make room or choose another place.");
    }
}

}  // namespace expertscope
