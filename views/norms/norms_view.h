// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QVariant>
#include <optional>

#include "views/base/counted_view.h"
#include "views/norms/activation_model.h"
#include "views/norms/norms_model.h"

class QCheckBox;
class QComboBox;
class QGridLayout;
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
/// what they make of the experts' importance, and the activations of every neuron. Of the experts that tokens chose,
/// which every run records; of all experts where a deep capture ran them. Counted off the UI thread once the run has
/// ended.
class NormsView : public CountedView {
    Q_OBJECT
public:
    NormsView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~NormsView() override;

    QString name() const override { return QStringLiteral("norms"); }
    QString title() const override { return tr("Output norms"); }
    void setLayer(int layer) override { selectLayer(layer); }

    const NormsModel& model() const { return m_model; }
    const ActivationModel& activations() const { return m_active; }
    void setMeasure(NormsModel::Measure measure);
    void setAllRanks(bool all);
    /// Shows what every neuron made of the token, or says how it becomes known; shown where the run has it.
    void showActivations(bool show);
    const MatrixChart& mapChart() const { return *m_map; }
    const MatrixChart& ranksChart() const { return *m_ranks; }
    const Chart& tokenChart() const { return *m_token; }
    const MatrixChart& activationsChart() const { return *m_activeMap; }
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
    void makeActivations();
    QWidget* makeImportance();
    int wantedLayer() const;
    int wantedToken() const;
    void selectToken(int token);
    void selectExpert(int expert);
    void drawToken();
    void drawActivations();
    /// Whether the activations of the token and layer are still to be read.
    bool lacksActivations() const;
    std::vector<TableCell> tableRow(int row) const;
    void fillImportance();
    void markImportance();
    std::optional<int> barAt(const QMouseEvent& event) const;

    NormsModel m_model;
    ActivationModel m_active;

    QComboBox *m_layer, *m_measureBox, *m_ranksBox;
    QSpinBox* m_tokenBox;
    QCheckBox* m_activeBox;
    MatrixChart *m_map, *m_ranks, *m_activeMap;
    QGridLayout* m_charts;
    Chart* m_token;
    QLabel* m_importanceHeading;
    QTableView* m_importance;
    TableModel* m_importanceRows;
    QSortFilterProxyModel* m_importanceOrder;
};

}  // namespace expertscope
