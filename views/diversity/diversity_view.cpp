// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/diversity/diversity_view.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QMouseEvent>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "profiler/analysis/run_trace.h"
#include "profiler/analysis/weights/model_tables.h"
#include "views/base/draw_list_plottable.h"
#include "views/base/empty_state.h"
#include "views/base/heat_plot.h"
#include "views/base/label_ticker.h"
#include "views/base/lazy_table.h"
#include "views/base/matrix_chart.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

constexpr int kGap = 8;      // pixels between charts
constexpr int kMargin = 10;  // and beside them

}  // namespace

DiversityView::DiversityView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : CountedView(session, selection, parent) {
    makeControls();
    makeMaps();
    makeCurve();
    makePlane();
    makeScatter();
    m_mapRow = new QHBoxLayout;
    m_mapRow->setSpacing(kGap);
    for (MatrixChart* map : m_maps) {
        m_mapRow->addWidget(map, 1);
        addCharts({map});
    }
    auto* plots = new QHBoxLayout;
    plots->setSpacing(kGap);
    for (Chart* chart : {m_curve, m_plane, m_scatter})
        plots->addWidget(chart, 1);
    addCharts({m_curve, m_plane, m_scatter});
    auto* charts = new QVBoxLayout;
    charts->setSpacing(kGap);
    charts->addLayout(m_mapRow, 1);
    charts->addLayout(plots, 1);
    layOut(charts);
}

DiversityView::~DiversityView() = default;

/// All maps as wide as each other, their colour bars beside them.
void DiversityView::resizeEvent(QResizeEvent* event) {
    CountedView::resizeEvent(event);
    int bars = 0;
    for (const MatrixChart* map : m_maps)
        bars += map->heat()->scale()->minimumOuterSizeHint().width();
    const int each = std::max(1, (width() - 2 * kMargin - bars) / static_cast<int>(m_maps.size()) - kGap);
    for (std::size_t which = 0; which < m_maps.size(); ++which)
        m_mapRow->setStretch(static_cast<int>(which),
                             each + m_maps[which]->heat()->scale()->minimumOuterSizeHint().width());
}

void DiversityView::makeControls() {
    m_layer = addChoice(tr("Layer"));
    m_comparedBox = addChoice(tr("Experts by"), {tr("whole matrices"), tr("mean neurons"), tr("reordered neurons")});
    m_comparedBox->setToolTip(tr(
        "Cosine of two experts' whole matrices, element by element, or of their mean neurons (the mean row of up "
        "and gate, the mean column of down). Reordered: of whole matrices once the neurons of one expert stand in the "
        "order that fits the other's best; counted when it is chosen, of a sample, since it takes longer."));
    m_rangeBox = addChoice(tr("Colours over"), {tr("this layer"), tr("all layers")});
    m_matrixBox = addChoice(tr("Points of"));
    for (const ExpertMatrix matrix : kExpertMatrices)
        m_matrixBox->addItem(QString::fromLatin1(nameOf(matrix)));
    m_matrixBox->setCurrentIndex(static_cast<int>(m_model.matrix()));
    connect(m_layer, &QComboBox::activated, this, &DiversityView::setLayer);
    connect(m_comparedBox, &QComboBox::activated, this,
            [this](int index) { setCompared(static_cast<ComparedExperts>(index)); });
    connect(m_rangeBox, &QComboBox::activated, this,
            [this](int index) { setRange(static_cast<DiversityModel::Range>(index)); });
    connect(m_matrixBox, &QComboBox::activated, this,
            [this](int index) { setMatrix(static_cast<ExpertMatrix>(index)); });
}

void DiversityView::makeMaps() {
    for (std::size_t which = 0; which < m_maps.size(); ++which) {
        m_maps[which] = new MatrixChart(
            m_selection,
            {.matrix = [this, which]() -> const MatrixMap& { return m_model.map(which); },
             .describe = [this, which](MatrixMap::Cell cell) { return m_model.describe(which, cell); },
             .subject =
                 [this, which](MatrixMap::Cell cell) {
                     Selection what;
                     what.layer = LayerIndex(m_model.layer()->layer);
                     if (const auto expert = m_model.expertAt(which, cell.row)) what.expert = ExpertId(*expert);
                     return what;
                 },
             .marked =
                 [this](const Selection& selection) {
                     const bool here = m_model.layer() != nullptr;
                     return std::pair(here ? expertIn(selection, m_model.layer()->layer) : std::nullopt,
                                      std::optional<int>());
                 },
             .caption = [] { return tr("cosine"); },
             // Short: "0.00690" would reach the caption.
             .scaleText = [](double value) { return QString::number(value, 'f', 3).replace('-', QChar(0x2212)); }},
            this);
        m_maps[which]->heat()->setAxisLabels(tr("expert"), tr("expert"));
        m_maps[which]->heat()->setMinimumWidth(150);  // four stand side by side
        // The router's bar is its own, the three matrices share one.
        m_maps[which]->heat()->scale()->setShown(which == 0 || which + 1 == m_maps.size());
        connect(m_maps[which], &MatrixChart::clicked, this, [this] { setFocus(Qt::MouseFocusReason); });
    }
    m_maps[0]->setDefinition(tr("Cosine of two experts' rows of the router, the “gate embeddings”."));
}

/// What the charts measure, which depends on what of the experts is compared.
void DiversityView::define() {
    const bool reordered = m_model.isReordered();
    for (std::size_t which = 1; which < m_maps.size(); ++which)
        m_maps[which]->setDefinition(
            reordered
                ? tr("Cosine of two experts' matrices once the neurons of one stand in the order that fits the other's "
                     "best, each matrix by its own. Even random numbers are more alike then than as they lie: only "
                     "what is well above that was learned twice. Pairs that were not drawn have no colour.")
                : tr("Cosine of two experts' matrices, neither centred nor reordered; an expert that is unlike all "
                     "others is a dark cross. Trained from scratch they are near 0; copies of one dense layer are "
                     "alike."));
    m_curve->setDefinition(
        reordered
            ? tr("Mean over some pairs of routed experts of a layer, evenly drawn, once the neurons of one stand in "
                 "the order that fits the other's best; router rows over all pairs. A layer stands out where its "
                 "mean lies 3.5 modified z-scores or more from those of the others; single experts are not "
                 "judged by a few pairs.")
            : tr("Mean over all pairs of routed experts of a layer: the lower, the more diverse. Random vectors "
                 "have about 0. A layer stands out where its mean lies 3.5 modified z-scores or more from those "
                 "of the others."));
}

void DiversityView::makeCurve() {
    m_curve = new Chart(QString(), this);
    m_curve->plot()->xAxis->setLabel(tr("layer"));
    m_curve->plot()->yAxis->setLabel(tr("mean cosine of pairs"));
    m_curve->marks()->setSource(
        [this](const Viewport& viewport) { return m_model.curveChart(viewport, theme(), m_selection.current()); });
    QCustomPlot* const plot = m_curve->plot();
    plot->setMouseTracking(true);
    const auto layerAt = [plot](const QMouseEvent* event) {
        return static_cast<int>(std::lround(plot->xAxis->pixelToCoord(event->position().x())));
    };
    connect(plot, &QCustomPlot::mouseMove, this, [this, plot, layerAt](QMouseEvent* event) {
        QToolTip::showText(event->globalPosition().toPoint(), m_model.describeLayer(layerAt(event)), plot);
    });
    connect(plot, &QCustomPlot::mouseRelease, this, [this, layerAt](QMouseEvent* event) {
        const int layer = layerAt(event);
        if (layer >= 0 && layer < m_model.layers()) setLayer(layer);
    });
}

void DiversityView::makePlane() {
    m_plane = new Chart(QString(), this);
    m_plane->setDefinition(
        tr("Each expert's matrix is a point of as many dimensions as it has elements, each scaled over the experts; "
           "shown on the two components along which they differ most. Framed: far from the others."));
    m_plane->marks()->setSource([this](const Viewport& viewport) {
        return m_model.planeChart(viewport, theme(), m_selection.current(), m_selection.hovered());
    });
    m_plane->plot()->setMouseTracking(true);
    connect(m_plane->plot(), &QCustomPlot::mouseMove, this, &DiversityView::hoverPlane);
    connect(m_plane->plot(), &QCustomPlot::mouseRelease, this, &DiversityView::choosePoint);
}

void DiversityView::makeScatter() {
    m_scatter = new Chart(QString(), this);
    m_scatter->setDefinition(
        tr("A point is two experts: how alike their mean neurons are, and how alike their rows of the router. If a "
           "router sends what suits an expert to it, the two go together (Look-into-MoEs finds it for gate)."));
    m_scatter->plot()->yAxis->setLabel(tr("cosine of router rows"));
    m_scatter->marks()->setSource(
        [this](const Viewport& viewport) { return m_model.scatterChart(viewport, theme(), m_selection.current()); });
}

std::optional<RunId> DiversityView::runToShow(EmptyState& empty, const RunTrace* run) {
    const bool running = run && run->entry().state == RunState::Running;
    empty.setVisible(!run || running);
    if (run && !running) return run->entry().id;
    if (run)
        empty.tell(tr("This run is still going on"),
                   tr("The weights of its model are compared when it has ended: reading them now would slow it down."));
    else
        tellWhyEmpty(empty, nullptr, {tr("the weights of its model")});
    return {};
}

void DiversityView::forget() {
    m_model.forget();
    m_tables = run() ? std::make_shared<ModelTables>(file(), m_session.trace()->model()) : nullptr;
    m_layer->clear();
    for (int layer = 0; m_tables && layer < m_tables->model().layers; ++layer)
        m_layer->addItem(QString::number(layer));
}

int DiversityView::wantedLayer() const {
    if (!m_tables) return 0;
    return layerOr(m_model.layer() ? m_model.layer()->layer : 0, m_tables->model());
}

/// The layer's matrices, its points, then all layers; then both reordered, where that is chosen.
void DiversityView::countNext() {
    const int layer = wantedLayer();
    if (!m_model.layer() || m_model.layer()->layer != layer) {
        count([tables = m_tables, layer](const JobControl& control) { return compareExperts(*tables, layer, control); },
              [this](const auto& made) { m_model.setLayer(made); });
    } else if (!m_model.planes()) {
        count([tables = m_tables, layer](const JobControl& control) { return placeExperts(*tables, layer, control); },
              [this](const auto& made) { m_model.setPlanes(made); });
    } else if (!m_model.curves()) {
        count([tables = m_tables](const JobControl& control) { return compareLayers(*tables, control); },
              [this](const auto& made) { m_model.setCurves(made); });
    } else if (m_model.isReordered() && !m_model.reordered()) {
        count([tables = m_tables,
               of = m_model.layer()](const JobControl& control) { return reorderExperts(*tables, *of, control); },
              [this](const auto& made) { m_model.setReordered(made); });
    } else if (m_model.isReordered() && !m_model.reorderedLayers()) {
        count([tables = m_tables,
               of = m_model.layer()](const JobControl& control) { return reorderLayers(*tables, *of, control); },
              [this](const auto& made) { m_model.setReorderedLayers(made); });
    }
}

void DiversityView::setCompared(ComparedExperts what) {
    const bool wasReordered = m_model.isReordered();
    m_model.setCompared(what);
    m_comparedBox->setCurrentIndex(static_cast<int>(what));
    draw();
    if (wasReordered != m_model.isReordered() && isVisible() && !counting()) ask();
}

void DiversityView::setRange(DiversityModel::Range range) {
    m_model.setRange(range);
    m_rangeBox->setCurrentIndex(static_cast<int>(range));
    draw();
}

void DiversityView::setMatrix(ExpertMatrix matrix) {
    m_model.setMatrix(matrix);
    m_matrixBox->setCurrentIndex(static_cast<int>(matrix));
    draw();
}

void DiversityView::takeSelection() {
    if (!m_tables) return;
    m_layer->setCurrentIndex(wantedLayer());
    if (m_model.layer() && m_model.layer()->layer != wantedLayer() && isVisible()) ask();
    drawMarks();
    drawScatter();
    m_curve->plot()->replot(QCustomPlot::rpQueuedReplot);
}

void DiversityView::draw() {
    tellMissing();
    define();
    for (std::size_t which = 0; which < m_maps.size(); ++which) {
        m_maps[which]->setHeading(m_model.mapHeading(which));
        m_maps[which]->heat()->setCells(0, m_model.namesOf(which));
        m_maps[which]->draw();
    }
    drawCurve();
    drawPlane();
    drawScatter();
    tellCounted(m_model.counted());
    rows().setRows(m_model.columns(), m_model.rowCount(), [this](int row) { return m_model.row(row); });
    if (m_tables) m_layer->setCurrentIndex(wantedLayer());
}

void DiversityView::drawCurve() {
    const auto [low, high] = m_model.curveEnds();
    m_curve->setHeading(m_model.curveHeading());
    QStringList labels;
    for (int layer = 0; layer < m_model.layers(); ++layer)
        labels << QString::number(layer);
    setLabels(*m_curve->plot()->xAxis, labels);
    m_curve->plot()->xAxis->setRange(-0.5, std::max(1, m_model.layers()) - 0.5);
    m_curve->plot()->yAxis->setRange(low, high);
    m_curve->legend()->setEntries(m_model.curveLegend(theme()));
    m_curve->plot()->replot(QCustomPlot::rpQueuedReplot);
}

void DiversityView::drawPlane() {
    const QRectF range = m_model.planeRange();
    QCustomPlot& plot = *m_plane->plot();
    m_plane->setHeading(m_model.planeHeading());
    plot.xAxis->setRange(range.left(), range.right());
    plot.yAxis->setRange(range.top(), range.bottom());
    plot.xAxis->setLabel(m_model.planeAxis(0));
    plot.yAxis->setLabel(m_model.planeAxis(1));
    m_plane->legend()->setEntries(
        {{tr("expert"), theme().expert(0)}, {tr("far from the others"), theme().text(), Pattern::Outline}});
    plot.replot(QCustomPlot::rpQueuedReplot);
}

void DiversityView::drawScatter() {
    const QRectF range = m_model.scatterRange();
    QCustomPlot& plot = *m_scatter->plot();
    m_scatter->setHeading(m_model.scatterHeading());
    plot.xAxis->setLabel(tr("cosine of mean neurons, %1").arg(QString::fromLatin1(nameOf(m_model.matrix()))));
    plot.xAxis->setRange(range.left(), range.right());
    plot.yAxis->setRange(range.top(), range.bottom());
    m_scatter->legend()->setEntries(m_model.scatterLegend(theme(), m_selection.current()));
    plot.replot(QCustomPlot::rpQueuedReplot);
}

void DiversityView::drawMarks() {
    if (!isVisible()) return;
    for (MatrixChart* map : m_maps)
        map->drawMarks();
    m_plane->plot()->replot(QCustomPlot::rpQueuedReplot);
}

void DiversityView::tellMissing() {
    const QString hint = tr("Similarity needs two experts in the layer whose weights are finite and not all zero.");
    const bool layer = m_model.layer() != nullptr;
    const bool matrices = layer && (!m_model.isReordered() || m_model.reordered());
    const bool curves = m_model.curves() && (!m_model.isReordered() || m_model.reorderedLayers());
    for (std::size_t which = 0; which < m_maps.size(); ++which)
        tell(m_maps[which], which == 0 ? layer : matrices, m_model.mapMissing(which), hint);
    tell(m_scatter, layer, m_model.scatterMissing(), hint);
    tell(m_plane, m_model.planes() != nullptr, m_model.planeMissing(), hint);
    tell(m_curve, curves, QString(), QString());
}

std::optional<std::size_t> DiversityView::pointAt(const QMouseEvent& event) const {
    const QCustomPlot& plot = *m_plane->plot();
    return m_model.pointAt(
        {plot.xAxis->pixelToCoord(event.position().x()), plot.yAxis->pixelToCoord(event.position().y())},
        m_plane->marks()->viewport());
}

void DiversityView::hoverPlane(QMouseEvent* event) {
    const auto point = pointAt(*event);
    Selection hovered;
    if (point) {
        hovered.layer = LayerIndex(m_model.planes()->layer);
        if (const auto expert = m_model.expertOfPoint(*point)) hovered.expert = ExpertId(*expert);
        QToolTip::showText(event->globalPosition().toPoint(), m_model.describePoint(*point), m_plane->plot());
    } else {
        QToolTip::hideText();
    }
    m_selection.hover(hovered);
}

void DiversityView::choosePoint(QMouseEvent* event) {
    setFocus(Qt::MouseFocusReason);
    const auto point = pointAt(*event);
    if (event->button() != Qt::LeftButton || !point) return;
    Selection next = m_selection.current();
    next.layer = LayerIndex(m_model.planes()->layer);
    if (const auto expert = m_model.expertOfPoint(*point)) next.expert = ExpertId(*expert);
    m_selection.set(next);
}

void DiversityView::keyPressEvent(QKeyEvent* event) {
    if (!m_tables || !moveSelection(*event, wantedLayer(), m_tables->model())) View::keyPressEvent(event);
}

}  // namespace expertscope
