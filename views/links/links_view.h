// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <optional>

#include "views/base/background_job.h"
#include "views/base/view.h"
#include "views/links/links_model.h"

class QComboBox;
class QLabel;
class QMouseEvent;

namespace expertscope {

class Chart;
class EmptyState;
class HeatPlot;
class JobStrip;
class LazyTable;

/// Which experts and layers go together: experts that the same tokens choose, experts of the next layer that follow
/// them, what a layer's choice says about the next one's, and how alike the layers' loads are; each beside what random
/// choices would give. Counted off the UI thread once the run has ended, pairs and transitions of the selected layer.
class LinksView : public View {
    Q_OBJECT
public:
    LinksView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~LinksView() override;

    QString name() const override { return QStringLiteral("links"); }
    QString title() const override { return tr("Links"); }
    void setTheme(const Theme& theme) override;
    /// Waits until everything has been counted.
    void refresh() override;
    void exportTo(const QString& file, const QSize& size) override;
    QAbstractItemModel* table() override;
    void setLayer(int layer) override;

    const LinksModel& model() const { return m_model; }
    void setMeasure(LinksModel::Measure measure);
    void setLikeness(LinksModel::Likeness likeness);
    void setPairs(TransitionPairs pairs);
    const Chart& togetherChart() const { return *m_together.chart; }
    const Chart& nextChart() const { return *m_next.chart; }
    const Chart& likenessChart() const { return *m_likeness.chart; }
    const Chart& informationChart() const { return *m_information; }
    HeatPlot* togetherPlot() const { return m_together.plot; }
    bool counting() const { return m_job.running(); }

protected:
    void showEvent(QShowEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    /// A heat map with the matrix of the model that it shows.
    struct Map {
        Chart* chart = nullptr;
        HeatPlot* plot = nullptr;
        std::function<const MatrixMap&()> matrix;
        std::function<QString(MatrixMap::Cell)> describe;
        /// What a cell stands for in the shared selection.
        std::function<Selection(MatrixMap::Cell)> subject;
        /// Row and column that a selection marks.
        std::function<std::pair<std::optional<int>, std::optional<int>>(const Selection&)> marked;
    };
    void makeControls();
    void makeMaps();
    void makeInformation();
    void connectMap(Map& map);
    void takeRun();
    void ask();
    void ended(const QString& failure, bool cancelled);
    void takeSelection();
    int wantedLayer() const;
    void fillLayers();
    void draw();
    void drawMap(Map& map);
    void markMap(Map& map);
    void drawMarks();
    void tellMissing();

    LinksModel m_model;
    const Theme* m_theme;
    std::optional<RunId> m_run;  ///< that is to be shown; none while it goes on
    QString m_file;              ///< its session
    TransitionPairs m_pairs = TransitionPairs::First;
    QString m_failure;
    bool m_cancelled = false;

    LazyTable* m_table;
    QWidget* m_controls;
    QComboBox *m_layer, *m_measureBox, *m_pairsBox, *m_likenessBox;
    Map m_together, m_next, m_likeness;
    Chart* m_information;
    QLabel* m_countedText;
    JobStrip* m_strip;
    EmptyState* m_empty;
    BackgroundJob m_job;  ///< last: ends before what it fills
};

}  // namespace expertscope
