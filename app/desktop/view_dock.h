// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDockWidget>
#include <QTimer>

class QStackedWidget;
class QTableView;

namespace expertscope {

class Theme;
class View;

/// A view in its dock, with its table twin behind it.
class ViewDock : public QDockWidget {
    Q_OBJECT
public:
    ViewDock(View* view, QWidget* parent);
    View& view() const { return *m_view; }
    bool showsTable() const;
    void toggleTable();
    /// Writes the table twin as comma-separated values. Throws FailedError when the file cannot be written.
    void exportTable(const QString& file) const;

private:
    void setOnTop(bool onTop);

    View* m_view;
    QTableView* m_table;
    QStackedWidget* m_stack;
    bool m_onTop = false;    ///< as the dock said last
    bool m_settled = false;  ///< the window has been shown and docks are where they belong
    QTimer m_follow;         ///< brings the table of a live run up to date, as its hidden view rests
};

}  // namespace expertscope
