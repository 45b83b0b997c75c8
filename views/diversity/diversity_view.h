// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "views/base/counted_view.h"
#include "views/diversity/diversity_model.h"

class QComboBox;
class QHBoxLayout;
class QMouseEvent;

namespace expertscope {

class MatrixChart;
class ModelTables;

/// How alike the experts of the run's model are, from its weights: a layer's similarity matrices side by side, their
/// means over the layers with the experts that stand apart, experts on two principal components, and whether experts
/// that are alike have router rows that are. Matrices whose neurons were reordered are compared when asked for. Made
/// from the checkpoint off the UI thread once the run has ended (reading it would slow the run down), and kept in the
/// session.
class DiversityView : public CountedView {
    Q_OBJECT
public:
    DiversityView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~DiversityView() override;

    QString name() const override { return QStringLiteral("diversity"); }
    QString title() const override { return tr("Layer diversity"); }
    void setLayer(int layer) override { selectLayer(layer); }

    const DiversityModel& model() const { return m_model; }
    void setCompared(ComparedExperts what);
    void setRange(DiversityModel::Range range);
    void setMatrix(ExpertMatrix matrix);
    const MatrixChart& mapChart(std::size_t which) const { return *m_maps[which]; }
    const Chart& curveChart() const { return *m_curve; }
    const Chart& planeChart() const { return *m_plane; }
    const Chart& scatterChart() const { return *m_scatter; }

protected:
    void keyPressEvent(QKeyEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
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
    void makeCurve();
    void makePlane();
    void makeScatter();
    void define();
    int wantedLayer() const;
    void drawCurve();
    void drawPlane();
    void drawScatter();
    std::optional<std::size_t> pointAt(const QMouseEvent& event) const;
    void hoverPlane(QMouseEvent* event);
    void choosePoint(QMouseEvent* event);

    DiversityModel m_model;
    std::shared_ptr<ModelTables> m_tables;  ///< of the run's model; one job at a time asks it

    QComboBox *m_layer, *m_comparedBox, *m_rangeBox, *m_matrixBox;
    QHBoxLayout* m_mapRow;
    std::array<MatrixChart*, DiversityModel::kMaps> m_maps;
    Chart *m_curve, *m_plane, *m_scatter;
};

}  // namespace expertscope
