// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QVariant>
#include <optional>

#include "views/base/counted_view.h"
#include "views/norms/norms_model.h"

class QComboBox;
class QLabel;
class QModelIndex;
class QMouseEvent;
class QSortFilterProxyModel;
class QSpinBox;
class QTableView;

namespace expertscope {

class MatrixChart;
class TableModel;

/// Output norms: over layers and experts, of one token beside the weights that chose its experts, rank against rank,
/// and what they make of the experts' importance. Of the experts that tokens chose, which every run records; of all
/// experts where a deep capture ran them. Counted off the UI thread once the run has ended.
class NormsView : public CountedView {
    Q_OBJECT
public:
    NormsView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~NormsView() override;

    QString name() const override { return QStringLiteral("norms"); }
    QString title() const override { return tr("Output norms"); }
    void setLayer(int layer) override { selectLayer(layer); }

    const NormsModel& model() const { return m_model; }
    void setMeasure(NormsModel::Measure measure);
    void setAllRanks(bool all);
    const MatrixChart& mapChart() const { return *m_map; }
    const MatrixChart& ranksChart() const { return *m_ranks; }
    const Chart& tokenChart() const { return *m_token; }
    const QTableView& importanceTable() const { return *m_importance; }

protected:
    void keyPressEvent(QKeyEvent* event) override;
    std::optional<RunId> runToShow(EmptyState& empty, const RunTrace* run) override;
    void forget() override;
    void countNext() override;
    void draw() override;
    void drawMarks() override;
    void tellMissing() override;
    void takeSelection() override;

private:
    void makeControls();
    void makeMaps();
    void makeToken();
    QWidget* makeImportance();
    int wantedLayer() const;
    int wantedToken() const;
    void selectToken(int token);
    void selectExpert(int expert);
    void drawToken();
    void fillImportance();
    void markImportance();
    std::optional<int> barAt(const QMouseEvent& event) const;

    NormsModel m_model;

    QComboBox *m_layer, *m_measureBox, *m_ranksBox;
    QSpinBox* m_tokenBox;
    MatrixChart *m_map, *m_ranks;
    Chart* m_token;
    QLabel* m_importanceHeading;
    QTableView* m_importance;
    TableModel* m_importanceRows;
    QSortFilterProxyModel* m_importanceOrder;
};

}  // namespace expertscope
