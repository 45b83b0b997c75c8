// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QTimer>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "engine/base/ids.h"
#include "views/base/background_job.h"
#include "views/base/view.h"
#include "views/compare/compare_model.h"
#include "views/compare/matched_timeline.h"

class QComboBox;
class QCPAxisTickerText;
class QCustomPlot;
class QGridLayout;
class QLabel;
class QSpinBox;

namespace expertscope {

class DrawListPlottable;
class EmptyState;
class JobStrip;
class LegendStrip;

/// The runs of the session side by side: speed with intervals, time per token, where the time went, bytes by fate, hit
/// rate by layer, and two of them on one time axis, with a verdict in a sentence. Everything is counted off the UI
/// thread, one run after the other, while the view is shown.
class CompareView : public View {
    Q_OBJECT
public:
    CompareView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~CompareView() override;

    QString name() const override { return QStringLiteral("compare"); }
    QString title() const override { return QStringLiteral("Compare"); }
    void setTheme(const Theme& theme) override;
    /// Waits until every run has been read and counted.
    void refresh() override;
    void exportTo(const QString& file, const QSize& size) override;
    QAbstractItemModel* table() override;
    const CompareModel& model() const { return m_model; }
    const MatchedTimeline& matched() const { return m_matched; }
    bool counting() const { return m_job.running(); }

protected:
    void resizeEvent(QResizeEvent* event) override;
    void showEvent(QShowEvent* event) override;

private:
    /// A plot with one draw list and a heading.
    struct Chart {
        QWidget* box = nullptr;
        QLabel* heading = nullptr;
        QCustomPlot* plot = nullptr;
        DrawListPlottable* marks = nullptr;
        LegendStrip* legend = nullptr;  ///< null where colours say which run it is
    };
    Chart makeChart(const QString& heading, const QString& definition, const QString& keyLabel, bool withLegend);
    void makeControls();
    void arrange(int width);
    /// A run and a request, of which the time axis shows the decoding.
    using Decoding = std::pair<std::int64_t, int>;
    /// What has been counted of one, and of which revision of the run.
    struct CountedLanes {
        std::int64_t revision = -1;
        std::shared_ptr<const MatchedLanes> lanes;
    };
    void takeSession();
    bool findGrown();
    void ask();
    void askAgain();
    void countFigures(RunId run);
    void countLanes(const Decoding& decoding);
    void ended(const QString& failure, bool cancelled);
    Decoding decodingOf(int run) const;
    void chosen();
    void showCounted();
    void fillRuns();
    void draw();
    void drawRows(Chart& chart, CompareModel::Panel panel);
    void drawMatched();

    CompareModel m_model;
    std::map<std::int64_t, std::int64_t> m_taken;  ///< by run: the revision of its trace that the model has
    std::set<std::int64_t> m_due;                  ///< runs whose figures are to be counted
    std::map<Decoding, CountedLanes> m_lanes;
    MatchedTimeline m_matched;
    const Theme* m_theme;
    TableModel* m_table;
    JobStrip* m_strip;
    EmptyState* m_empty;
    QWidget* m_page;
    QLabel* m_verdict;
    QWidget* m_controls;
    QComboBox *m_runA, *m_runB;
    QSpinBox* m_request;
    QGridLayout* m_grid;
    std::array<Chart, 4> m_rows;  ///< by CompareModel::Panel
    Chart m_hitRates, m_timeline;
    QTimer m_later;
    bool m_stale = false;    ///< the session has, or may have, more than what was asked for
    bool m_refused = false;  ///< counting was cancelled or failed: it goes on when it is asked to
    int m_columns = 0;
    BackgroundJob m_job;
};

}  // namespace expertscope
