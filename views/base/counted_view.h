// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/run_facts.h"
#include "views/base/background_job.h"
#include "views/base/selection.h"
#include "views/base/view.h"

class QComboBox;
class QHBoxLayout;
class QLabel;
class QLayout;

namespace expertscope {

class Chart;
class EmptyState;
class JobStrip;
class LazyTable;
class RunTrace;

/// A view of what has to be counted first: a page of charts below a row of choices and above a sentence that says what
/// was counted. One job off the UI thread fills it, piece after piece, while it is shown or before it is exported; it
/// can be cancelled and goes on where it stopped.
///
/// Who derives makes its choices and charts, then calls layOut() once; the base asks it for what is left to count.
class CountedView : public View {
    Q_OBJECT
public:
    void setTheme(const Theme& theme) override;
    /// Waits until everything has been counted.
    void refresh() override;
    void exportTo(const QString& file, const QSize& size) override;
    QAbstractItemModel* table() override;
    bool counting() const { return m_job.running(); }

protected:
    CountedView(SessionModel& session, SelectionModel& selection, QWidget* parent);
    ~CountedView() override;

    /// The run to show, and why there is none in `empty` (see runToCount()). `run` may be null.
    virtual std::optional<RunId> runToShow(EmptyState& empty, const RunTrace* run) = 0;
    /// Drops what was counted: another run is to be shown.
    virtual void forget() = 0;
    /// Begins, by count(), the next piece that is missing; nothing where all is there. Not called without a run.
    virtual void countNext() = 0;
    /// Draws everything anew.
    virtual void draw() = 0;
    /// Draws the marks of what is selected and hovered alone.
    virtual void drawMarks() = 0;
    /// Says in each chart's place what is missing there, by tell().
    virtual void tellMissing() = 0;
    virtual void takeSelection() = 0;

    /// A labelled box in the row of choices.
    QComboBox* addChoice(const QString& name, const QStringList& items = {});
    void addControl(const QString& name, QWidget* control);
    /// Charts that follow the theme.
    void addCharts(const std::vector<Chart*>& charts);
    /// Builds the page and begins with the session's run; last in the constructor.
    void layOut(QLayout* charts);

    /// Makes a piece off the UI thread, `make(control)`, which may use nothing of the view; then takes it over,
    /// `take(made)`, draws, and goes on with what is still missing.
    template <class Make, class Take>
    void count(Make make, Take take) {
        m_job.start([this, make = std::move(make), take = std::move(take)](const JobControl& control) {
            auto made = make(control);
            return [this, made, take] {
                take(made);
                draw();
                ask();
            };
        });
    }
    /// Counts what is missing, also what was cancelled or has failed.
    void ask();
    void takeRun();
    const std::optional<RunId>& run() const { return m_run; }
    std::filesystem::path file() const { return m_file.toStdString(); }
    const Theme& theme() const { return *m_theme; }
    LazyTable& rows() { return *m_table; }
    void tellCounted(const QString& sentence);
    /// Where `there`, the sentence of the chart that has nothing to draw (empty: it draws); else how counting stands.
    void tell(Chart* chart, bool there, const QString& missing, const QString& hint) const;
    /// The selected layer where the model has it, else `otherwise`.
    int layerOr(int otherwise, const ModelFacts& model) const;
    void selectLayer(int layer);
    /// Up and down choose another layer than `layer`, left and right another expert; false for other keys.
    bool moveSelection(const QKeyEvent& event, int layer, const ModelFacts& model);

    void showEvent(QShowEvent* event) override;

private:
    void ended(const QString& failure, bool cancelled);

    const Theme* m_theme;
    std::optional<RunId> m_run;  ///< that is to be shown
    QString m_file;              ///< its session
    QString m_failure;
    bool m_cancelled = false;

    LazyTable* m_table;
    QWidget* m_controls;
    QHBoxLayout* m_row;
    std::vector<Chart*> m_charts;
    QLabel* m_countedText;
    EmptyState* m_empty = nullptr;
    BackgroundJob m_job;
};

}  // namespace expertscope
