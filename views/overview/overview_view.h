// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QElapsedTimer>
#include <QTimer>
#include <vector>

#include "views/base/view.h"
#include "views/overview/overview_model.h"

class QCPGraph;
class QCustomPlot;
class QGridLayout;
class QLabel;
class QScrollArea;

namespace expertscope {

class Badge;
class Card;
class EmptyState;
class Figure;
class RunTexts;
class StackedBar;
class WrappedLabel;
class TableModel;

/// A run at a glance: what was run, how fast, what its experts were found as, what moved, where the time went, what it
/// said. While a run is live its numbers follow at once, and what takes reading (texts, notes, facts, the curve) twice
/// a second.
class OverviewView : public View {
    Q_OBJECT
public:
    OverviewView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~OverviewView() override;

    QString name() const override { return QStringLiteral("overview"); }
    QString title() const override { return QStringLiteral("Overview"); }
    void setTheme(const Theme& theme) override;
    void refresh() override;
    void exportTo(const QString& file, const QSize& size) override;
    QAbstractItemModel* table() override;
    const OverviewModel& model() const { return m_model; }

protected:
    void resizeEvent(QResizeEvent* event) override;
    void showEvent(QShowEvent* event) override;

private:
    void buildHeader(QGridLayout* grid);
    void buildFigures();
    void buildCards();
    void arrange(int width);
    void takeTrace();
    void bringUpToDate();
    void follow();
    void updateNumbers();
    void updateReading();
    void updateHeader();
    void updateFigures();
    void updateFacts();
    void updateBars();
    void updateSpeed();
    void updateTexts();
    void updateNotes();
    void updateTable();

    OverviewModel m_model;
    const Theme* m_theme;
    QScrollArea* m_scroll;
    QWidget* m_page;
    EmptyState* m_empty;
    TableModel* m_table;
    QTimer m_refreshTimer;
    QElapsedTimer m_sinceReading;  ///< since the slow parts were brought up to date
    bool m_stale = false;          ///< something came while the page was hidden

    QLabel* m_headline;
    QLabel* m_state;
    Badge* m_exactBadge;
    Badge* m_pacedBadge;
    Badge* m_liveBadge;
    QWidget* m_figureRow;
    QGridLayout* m_figureGrid;
    Figure *m_decode, *m_prefill, *m_ttft, *m_tpot, *m_hitRate, *m_waitShare;
    QWidget* m_columns;
    QGridLayout* m_columnGrid;
    Card *m_factsCard, *m_speedCard, *m_barsCard, *m_textCard, *m_notesCard;
    QGridLayout* m_factsGrid;
    QCustomPlot* m_speedPlot;
    QCPGraph* m_speedGraph;
    StackedBar *m_accessBar, *m_transferBar, *m_timeBar;
    RunTexts* m_text;
    QLabel* m_notes;
    std::vector<OverviewFact> m_shownFacts;
    std::vector<std::pair<QLabel*, WrappedLabel*>> m_factLabels;  ///< name and value, a row each
    int m_arrangedColumns = 0;
    int m_arrangedFigures = 0;
};

}  // namespace expertscope
