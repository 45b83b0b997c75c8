// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QTimer>
#include <memory>

#include "views/base/view.h"
#include "views/whatif/replay_jobs.h"
#include "views/whatif/whatif_model.h"

class QCheckBox;
class QCustomPlot;
class QLabel;
class QSlider;

namespace expertscope {

class DrawListPlottable;
class EmptyState;
class LegendStrip;

/// What another budget, link, eviction rule or policy would do with the run that is looked at: hit rate and predicted
/// speed against budget, beside Belady, the LRU cliff and what was measured. What the sliders ask is answered at once
/// from the LRU curve; replays fill the lines in from another thread.
class WhatIfView : public View {
    Q_OBJECT
public:
    WhatIfView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~WhatIfView() override;

    QString name() const override { return QStringLiteral("whatif"); }
    QString title() const override { return QStringLiteral("What if"); }
    void setTheme(const Theme& theme) override;
    /// Waits until everything that was asked for has been replayed.
    void refresh() override;
    void exportTo(const QString& file, const QSize& size) override;
    QAbstractItemModel* table() override;
    const WhatIfModel& model() const { return m_model; }

protected:
    void showEvent(QShowEvent* event) override;

private:
    struct Chart {
        QLabel* heading = nullptr;
        QCustomPlot* plot = nullptr;
        DrawListPlottable* marks = nullptr;
        LegendStrip* legend = nullptr;
    };
    Chart makeChart(const QString& heading, const QString& valueLabel);
    QWidget* makeControls();
    QWidget* makeChoices();
    void takeRun();
    void loadIfNeeded();
    void loaded(const std::shared_ptr<const ReplayBench>& bench, const QString& failure);
    void seriesChosen();
    void linkMoved();
    void ask();
    void takeAnswers();
    void draw();

    WhatIfModel m_model;
    ReplayJobs m_jobs;
    const Theme* m_theme;
    TableModel* m_table;
    EmptyState* m_empty;
    QLabel *m_answer, *m_progress, *m_budgetText, *m_linkText;
    QSlider *m_budget, *m_link;
    std::vector<std::pair<QCheckBox*, WhatIfSeries>> m_choices;
    Chart m_hits, m_speeds;
    QTimer m_settles;  ///< what a slider asks is replayed once it rests
    std::int64_t m_revision = -1;
    std::optional<RunId> m_run;
};

}  // namespace expertscope
