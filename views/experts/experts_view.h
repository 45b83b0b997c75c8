// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QElapsedTimer>
#include <QPoint>
#include <QTimer>
#include <cstddef>
#include <optional>

#include "profiler/analysis/trace_view.h"
#include "views/base/selection.h"
#include "views/base/view.h"
#include "views/experts/expert_map_model.h"
#include "views/experts/token_expert_model.h"

class QCheckBox;
class QComboBox;
class QLabel;
class QSpinBox;
class QStackedWidget;
class QTabBar;

namespace expertscope {

class BackgroundJob;
class EmptyState;
class ExpertTable;
class HeatPlot;
class RunTrace;
class TokenExpertTable;

/// The expert heat map: layers × experts by any measure, with each layer's router diversity and repeat rate beside it,
/// or tokens × experts of one layer over what was resident. Follows the current run while it grows.
class ExpertsView : public View {
    Q_OBJECT
public:
    enum class Mode { Layers, Tokens };

    ExpertsView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);
    ~ExpertsView() override;

    QString name() const override { return QStringLiteral("experts"); }
    QString title() const override { return tr("Expert heat map"); }
    void setTheme(const Theme& theme) override;
    void refresh() override;
    void exportTo(const QString& file, const QSize& size) override;
    QAbstractItemModel* table() override;
    /// Shows tokens × experts of this layer.
    void setLayer(int layer) override;

    Mode mode() const;
    void setMode(Mode mode);
    void setMeasure(ExpertMeasure measure);
    const ExpertMapModel& mapModel() const { return m_map; }
    const TokenExpertModel& tokenModel() const { return m_tokens; }
    /// The plot of the mode that is shown.
    HeatPlot* plot() const;

protected:
    void showEvent(QShowEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    QWidget* makeControls();
    void makePlots();
    void connectMouse(HeatPlot* plot);
    void takeRun();
    void readSums();
    void takeIn();
    bool isCounted() const;
    void countSome(std::size_t most);
    void countOn();
    void showCounted();
    void tellIfEmpty();
    void follow();
    void takeSelection();
    void drawLayers();
    void drawTokens();
    void drawMarks();
    void fitAxes();
    void updateTexts();
    void updateControls();
    void pressed(QMouseEvent* event);
    void moved(QMouseEvent* event);
    void released(QMouseEvent* event);
    void hoverLayers(const QPointF& pixel, const QPoint& global);
    void hoverTokens(const QPointF& pixel, const QPoint& global);
    void zoomTokens(double factor, double around);
    void panTokens(double share);
    void moveSelectedCell(int dx, int dy);
    bool running() const;
    TraceView traceView() const;

    const Theme* m_theme;
    const RunTrace* m_trace = nullptr;
    ExpertMapModel m_map;
    TokenExpertModel m_tokens;
    ExpertTable* m_table;
    TokenExpertTable* m_tokenTable;
    BackgroundJob* m_reading;  ///< of what another tool counted
    bool m_sumsRead = false;
    bool m_stale = true;
    std::size_t m_taken = 0;  ///< of the selections and of the spans each, by the models
    QTimer m_more;            ///< goes on with the rest
    QElapsedTimer m_sincePicture;
    bool m_tokensFit = true;  ///< the token axis shows everything and grows with the run
    std::optional<QPointF> m_pressedAt;
    std::optional<TokenRange> m_brush;  ///< while it is drawn

    QTabBar* m_mode;
    QComboBox* m_measure;
    QComboBox* m_colour;
    QSpinBox* m_layer;
    QLabel* m_layerLabel;
    QCheckBox* m_lock;
    QLabel* m_heading;
    QLabel* m_counted;
    QWidget* m_controls;
    QStackedWidget* m_stack;
    HeatPlot* m_layersPlot;
    HeatPlot* m_tokensPlot;
    EmptyState* m_emptyState;
};

}  // namespace expertscope
