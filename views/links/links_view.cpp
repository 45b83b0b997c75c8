// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/links/links_view.h"

#include <QComboBox>
#include <QGridLayout>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QToolTip>
#include <algorithm>
#include <array>
#include <cmath>

#include "views/base/draw_list_plottable.h"
#include "views/base/heat_plot.h"
#include "views/base/label_ticker.h"
#include "views/base/lazy_table.h"
#include "views/base/matrix_chart.h"
#include "views/base/number_format.h"
#include "views/base/run_analyses.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

constexpr std::array kPairs{TransitionPairs::First, TransitionPairs::SameRank, TransitionPairs::All};

}  // namespace

LinksView::LinksView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : CountedView(session, selection, parent) {
    makeControls();
    makeMaps();
    makeInformation();
    auto* charts = new QGridLayout;
    charts->setSpacing(8);
    charts->addWidget(m_together, 0, 0);
    charts->addWidget(m_next, 0, 1);
    charts->addWidget(m_likeness, 1, 0);
    charts->addWidget(m_information, 1, 1);
    for (int i = 0; i < 2; ++i)
        charts->setColumnStretch(i, 1);
    // Experts are more than layers.
    charts->setRowStretch(0, 3);
    charts->setRowStretch(1, 2);
    addCharts({m_together, m_next, m_likeness, m_information});
    layOut(charts);
}

LinksView::~LinksView() = default;

const Chart& LinksView::togetherChart() const { return *m_together; }
const Chart& LinksView::nextChart() const { return *m_next; }
const Chart& LinksView::likenessChart() const { return *m_likeness; }

void LinksView::makeControls() {
    m_layer = addChoice(tr("Layer"));
    m_measureBox = addChoice(tr("Experts by"), {tr("share"), tr("lift")});
    m_measureBox->setToolTip(
        tr("Share: of the row's expert. Lift: how many times as often as if both were chosen "
           "independently, each as often as it was."));
    QStringList pairs;
    for (const TransitionPairs which : kPairs)
        pairs << transitionPairsName(which);
    m_pairsBox = addChoice(tr("Transitions of"), pairs);
    m_likenessBox = addChoice(tr("Layers by"), {tr("cosine above random"), tr("cosine"), tr("rank correlation")});
    connect(m_layer, &QComboBox::activated, this, &LinksView::setLayer);
    connect(m_measureBox, &QComboBox::activated, this,
            [this](int index) { setMeasure(static_cast<LinksModel::Measure>(index)); });
    connect(m_pairsBox, &QComboBox::activated, this,
            [this](int index) { setPairs(kPairs[static_cast<std::size_t>(index)]); });
    connect(m_likenessBox, &QComboBox::activated, this,
            [this](int index) { setLikeness(static_cast<LinksModel::Likeness>(index)); });
}

void LinksView::makeMaps() {
    const auto expertRow = [this](const Selection& selection) {
        return std::pair(m_model.links() ? expertIn(selection, m_model.links()->layer) : std::nullopt,
                         std::optional<int>());
    };
    const auto expertOf = [this](MatrixMap::Cell cell) {
        Selection what;
        what.layer = LayerIndex(m_model.links()->layer);
        what.expert = ExpertId(cell.row);
        return what;
    };
    const auto measureCaption = [this] { return m_model.measureCaption(); };
    const auto measureText = [this](double value) { return m_model.measureText(value); };
    m_together = new MatrixChart(m_selection,
                                 {.matrix = [this]() -> const MatrixMap& { return m_model.together(); },
                                  .describe = [this](MatrixMap::Cell cell) { return m_model.describeTogether(cell); },
                                  .subject = expertOf,
                                  .marked = expertRow,
                                  .caption = measureCaption,
                                  .scaleText = measureText},
                                 this);
    m_next = new MatrixChart(m_selection,
                             {.matrix = [this]() -> const MatrixMap& { return m_model.next(); },
                              .describe = [this](MatrixMap::Cell cell) { return m_model.describeNext(cell); },
                              .subject = expertOf,
                              .marked = expertRow,
                              .caption = measureCaption,
                              .scaleText = measureText},
                             this);
    m_likeness = new MatrixChart(m_selection,
                                 {.matrix = [this]() -> const MatrixMap& { return m_model.likenesses(); },
                                  .describe = [this](MatrixMap::Cell cell) { return m_model.describeLikeness(cell); },
                                  .subject =
                                      [](MatrixMap::Cell cell) {
                                          Selection what;
                                          what.layer = LayerIndex(cell.row);
                                          return what;
                                      },
                                  .marked =
                                      [](const Selection& selection) {
                                          return std::pair(
                                              selection.layer ? std::optional(selection.layer->value()) : std::nullopt,
                                              std::optional<int>());
                                      },
                                  .caption = [this] { return m_model.likenessCaption(); },
                                  .scaleText = [](double value) { return numberText(value); }},
                                 this);
    m_together->setDefinition(
        tr("Of the tokens that chose the row's expert, the part that chose the column's, too (N_ij / N_i)."));
    m_next->setDefinition(
        tr("Of the tokens that chose the row's expert, the part that chose the column's in the next layer."));
    m_likeness->setDefinition(
        tr("Cosine of two layers' loads, expert number by expert number. Experts of different layers have only their "
           "number in common, so that likeness above random is a trace of how the model was made."));
    m_together->heat()->setAxisLabels(tr("expert"), tr("expert"));
    m_next->heat()->setAxisLabels(tr("expert of the next layer"), tr("expert"));
    m_likeness->heat()->setAxisLabels(tr("layer"), tr("layer"));
    for (MatrixChart* map : {m_together, m_next, m_likeness})
        connect(map, &MatrixChart::clicked, this, [this] { setFocus(Qt::MouseFocusReason); });
}

void LinksView::makeInformation() {
    m_information = new Chart(QString(), this);
    m_information->setDefinition(
        tr("Mutual information of the choices of a layer and of the next one, less the bias of Miller and Madow. "
           "Dashed: the same choices paired at random, mean of four permutations."));
    m_information->plot()->xAxis->setLabel(tr("layer to the next"));
    m_information->plot()->yAxis->setLabel(tr("bits"));
    m_information->marks()->setSource([this](const Viewport& viewport) {
        return m_model.informationChart(viewport, theme(), m_selection.current());
    });
    QCustomPlot* const plot = m_information->plot();
    plot->setMouseTracking(true);
    const auto rowAt = [plot](const QMouseEvent* event) {
        return static_cast<int>(std::lround(plot->xAxis->pixelToCoord(event->position().x())));
    };
    connect(plot, &QCustomPlot::mouseMove, this, [this, plot, rowAt](QMouseEvent* event) {
        QToolTip::showText(event->globalPosition().toPoint(), m_model.describeInformation(rowAt(event)), plot);
    });
    connect(plot, &QCustomPlot::mouseRelease, this, [this, rowAt](QMouseEvent* event) {
        const int row = rowAt(event);
        if (m_model.information() && row >= 0 && row < static_cast<int>(m_model.information()->rows.size()))
            setLayer(row);
    });
}

std::optional<RunId> LinksView::runToShow(EmptyState& empty, const RunTrace* run) {
    return runToCount(empty, run, tr("links of experts and layers"));
}

int LinksView::wantedLayer() const {
    if (!m_model.run()) return 0;
    return layerOr(m_model.links() ? m_model.links()->layer : 0, m_model.run()->model());
}

/// The run, its layer, then what layers say about each other.
void LinksView::countNext() {
    if (!m_model.run()) {
        count([file = file(), run = *run()](const JobControl& control) { return readLinksRun(file, run, control); },
              [this](const auto& read) {
                  m_model.setRun(read);
                  fillLayers();
              });
    } else if (!m_model.links() || m_model.links()->layer != wantedLayer() || m_model.links()->pairs != m_pairs) {
        count([run = m_model.run(), layer = wantedLayer(),
               pairs = m_pairs](const JobControl& control) { return countLinks(*run, layer, pairs, control); },
              [this](const auto& links) { m_model.setLayerLinks(links); });
    } else if (!m_model.information() || m_model.information()->pairs != m_pairs) {
        count([run = m_model.run(),
               pairs = m_pairs](const JobControl& control) { return findInformation(*run, pairs, control); },
              [this](const auto& information) { m_model.setInformation(information); });
    }
}

void LinksView::setMeasure(LinksModel::Measure measure) {
    m_model.setMeasure(measure);
    m_measureBox->setCurrentIndex(static_cast<int>(measure));
    draw();
}

void LinksView::setLikeness(LinksModel::Likeness likeness) {
    m_model.setLikeness(likeness);
    m_likenessBox->setCurrentIndex(static_cast<int>(likeness));
    draw();
}

void LinksView::setPairs(TransitionPairs pairs) {
    m_pairs = pairs;
    m_pairsBox->setCurrentIndex(static_cast<int>(std::ranges::find(kPairs, pairs) - kPairs.begin()));
    if (m_model.run()) ask();
}

void LinksView::fillLayers() {
    m_layer->clear();
    for (int layer = 0; layer < m_model.run()->model().layers; ++layer)
        m_layer->addItem(QString::number(layer));
}

void LinksView::takeSelection() {
    if (!m_model.run()) return;
    m_layer->setCurrentIndex(wantedLayer());
    if (m_model.links() && m_model.links()->layer != wantedLayer() && isVisible()) ask();
    drawMarks();
    m_information->plot()->replot(QCustomPlot::rpQueuedReplot);
}

void LinksView::draw() {
    tellMissing();
    m_together->setHeading(m_model.togetherHeading());
    m_next->setHeading(m_model.nextHeading());
    m_likeness->setHeading(m_model.likenessHeading());
    for (MatrixChart* map : {m_together, m_next, m_likeness})
        map->draw();
    drawInformation();
    tellCounted(m_model.counted());
    rows().setRows(m_model.columns(), m_model.rowCount(), [this](int row) { return m_model.row(row); });
    if (m_model.run()) m_layer->setCurrentIndex(wantedLayer());
}

void LinksView::drawInformation() {
    m_information->setHeading(m_model.informationHeading());
    const auto rows = m_model.information() ? m_model.information()->rows : std::vector<LinksInformation::Row>();
    QStringList labels;
    for (const LinksInformation::Row& row : rows)
        labels << QStringLiteral("%1→%2").arg(row.from).arg(row.to);
    setLabels(*m_information->plot()->xAxis, labels);
    m_information->plot()->xAxis->setRange(-0.6, std::max<double>(1, static_cast<double>(rows.size())) - 0.4);
    m_information->plot()->yAxis->setRange(0, m_model.informationEnd());
    m_information->legend()->setEntries(
        {{tr("measured"), theme().color(Meaning::Compute)}, {tr("if paired at random (dashed)"), theme().text()}});
    m_information->plot()->replot(QCustomPlot::rpQueuedReplot);
}

void LinksView::drawMarks() {
    if (!isVisible()) return;
    for (MatrixChart* map : {m_together, m_next, m_likeness})
        map->drawMarks();
}

void LinksView::tellMissing() {
    const bool links = m_model.links() != nullptr;
    tell(m_together, links, m_model.togetherMissing(), tr("Pairs need tokens that choose two experts at once."));
    tell(m_next, links, m_model.nextMissing(), tr("Transitions lead from a layer to the next one."));
    tell(m_likeness, m_model.run() != nullptr, m_model.likenessMissing(),
         tr("Likeness needs the loads of two layers."));
    tell(m_information, m_model.information() != nullptr, m_model.informationMissing(),
         tr("Transitions lead from a layer to the next one."));
}

void LinksView::keyPressEvent(QKeyEvent* event) {
    if (!m_model.run() || !moveSelection(*event, wantedLayer(), m_model.run()->model())) View::keyPressEvent(event);
}

}  // namespace expertscope
