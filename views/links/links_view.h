// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>

#include "views/base/counted_view.h"
#include "views/links/links_model.h"

class QComboBox;

namespace expertscope {

class MatrixChart;

/// Which experts and layers go together: experts that the same tokens choose, experts of the next layer that follow
/// them, what a layer's choice says about the next one's, and how alike the layers' loads are; each beside what random
/// choices would give. Counted off the UI thread once the run has ended, pairs and transitions of the selected layer.
class LinksView : public CountedView {
    Q_OBJECT
public:
    LinksView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~LinksView() override;

    QString name() const override { return QStringLiteral("links"); }
    QString title() const override { return tr("Links"); }
    void setLayer(int layer) override { selectLayer(layer); }

    const LinksModel& model() const { return m_model; }
    void setMeasure(LinksModel::Measure measure);
    void setLikeness(LinksModel::Likeness likeness);
    void setPairs(TransitionPairs pairs);
    const Chart& togetherChart() const;
    const Chart& nextChart() const;
    const Chart& likenessChart() const;
    const Chart& informationChart() const { return *m_information; }

protected:
    void keyPressEvent(QKeyEvent* event) override;
    std::optional<RunId> runToShow(EmptyState& empty, const RunTrace* run) override;
    void forget() override { m_model.setRun(nullptr); }
    void countNext() override;
    void draw() override;
    void drawMarks() override;
    void tellMissing() override;
    void takeSelection() override;

private:
    void makeControls();
    void makeMaps();
    void makeInformation();
    int wantedLayer() const;
    void fillLayers();
    void drawInformation();

    LinksModel m_model;
    TransitionPairs m_pairs = TransitionPairs::First;

    QComboBox *m_layer, *m_measureBox, *m_pairsBox, *m_likenessBox;
    MatrixChart *m_together, *m_next, *m_likeness;
    Chart* m_information;
};

}  // namespace expertscope
