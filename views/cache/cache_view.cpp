// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/cache/cache_view.h"

#include <QComboBox>
#include <QGridLayout>
#include <QSignalBlocker>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "views/base/chart.h"
#include "views/base/draw_list_plottable.h"
#include "views/base/heat_plot.h"
#include "views/base/label_ticker.h"
#include "views/base/lazy_table.h"
#include "views/base/number_format.h"
#include "views/base/run_analyses.h"
#include "views/base/theme.h"

namespace expertscope {
CacheView::CacheView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : CountedView(session, selection, parent) {
    makeControls();
    makeCharts();
    auto* charts = new QGridLayout;
    charts->setSpacing(8);
    charts->addWidget(m_reuse, 0, 0);
    charts->addWidget(m_overlap, 0, 1);
    charts->addWidget(m_hits, 1, 0);
    charts->addWidget(m_residency, 1, 1);
    for (int i = 0; i < 2; ++i) {
        charts->setColumnStretch(i, 1);
        charts->setRowStretch(i, 1);
    }
    addCharts({m_reuse, m_overlap, m_hits, m_residency});
    layOut(charts);
}

CacheView::~CacheView() = default;

void CacheView::makeControls() {
    m_counted = addChoice(tr("Reuse and overlap of"));
    for (const CountedTokens tokens : {CountedTokens::All, CountedTokens::Prompt, CountedTokens::Generated})
        m_counted->addItem(countedTokensName(tokens), static_cast<int>(tokens));
    m_layer = addChoice(tr("Layer"));
    connect(m_counted, &QComboBox::currentIndexChanged, this,
            [this] { setCounted(static_cast<CountedTokens>(m_counted->currentData().toInt())); });
    connect(m_layer, &QComboBox::currentIndexChanged, this,
            [this](int index) { chooseLayer(index > 0 ? std::optional(LayerIndex(index - 1)) : std::nullopt); });
}

void CacheView::makeCharts() {
    m_reuse = new Chart(tr("Reuse distance"), this);
    m_reuse->setDefinition(
        tr("Tokens of the run from one that chose an expert to the next that did (1: the very next); goes on over "
           "requests, as a cache does. Random: each token draws its experts anew, which makes it geometric."));
    m_reuse->plot()->xAxis->setLabel(tr("tokens until the expert is chosen again"));
    m_reuse->plot()->yAxis->setLabel(tr("% of the distances"));
    m_overlap = new Chart(tr("Overlap"), this);
    m_overlap->setDefinition(
        tr("Which part of a token's experts a token so many places before had chosen, too; of one request. Random: k / "
           "E. By popularity alone: independent choices that favour the experts as the layer does."));
    m_overlap->plot()->xAxis->setLabel(tr("tokens apart"));
    m_overlap->plot()->yAxis->setLabel(tr("% of the experts in common"));
    m_hits = new Chart(tr("Hit rate"), this);
    m_hits->setDefinition(
        tr("What one LRU cache over all layers would find at every size, from one pass (Mattson 1970). Shuffled: each "
           "layer's choices dealt out to its tokens at random, so that popularity stays and time does not count."));
    m_hits->plot()->xAxis->setRange(0, 101);
    m_hits->plot()->yAxis->setRange(0, 102);
    m_hits->plot()->yAxis->setLabel(tr("hits (% of the accesses)"));
    m_residencyPlot = new HeatPlot(this);
    m_residency = new Chart(tr("Residency over time"), this, m_residencyPlot);
    m_residency->setDefinition(
        tr("Experts that owned a slot when their layer looked them up, step by step. A prompt is one step."));
    m_residencyPlot->xAxis->ticker()->setTickCount(8);  // a long run's numbers are wide
    m_residencyPlot->beforeDraw = [this] { drawResidencyMap(); };
    const auto source = [this](Chart* chart, DrawList (CacheModel::*drawn)(const Viewport&, const Theme&) const) {
        chart->marks()->setSource(
            [this, drawn](const Viewport& viewport) { return (m_model.*drawn)(viewport, theme()); });
    };
    source(m_reuse, &CacheModel::reuseChart);
    source(m_overlap, &CacheModel::overlapChart);
    source(m_hits, &CacheModel::hitChart);
    const auto tells = [this](Chart* chart, QString (CacheModel::*describe)(int) const) {
        connect(chart->plot(), &QCustomPlot::mouseMove, this, [this, chart, describe](QMouseEvent* event) {
            const double x = chart->plot()->xAxis->pixelToCoord(event->position().x());
            QToolTip::showText(event->globalPosition().toPoint(), (m_model.*describe)(static_cast<int>(std::lround(x))),
                               chart->plot());
        });
        chart->plot()->setMouseTracking(true);
    };
    tells(m_reuse, &CacheModel::describeBin);
    tells(m_overlap, &CacheModel::describeLag);
    connect(m_hits->plot(), &QCustomPlot::mouseMove, this, [this](QMouseEvent* event) {
        QToolTip::showText(event->globalPosition().toPoint(),
                           m_model.describeBudget(m_hits->plot()->xAxis->pixelToCoord(event->position().x())),
                           m_hits->plot());
    });
    m_hits->plot()->setMouseTracking(true);
    connectResidency();
}

std::optional<RunId> CacheView::runToShow(EmptyState& empty, const RunTrace* run) {
    return runToCount(empty, run, tr("reuse and cache figures"));
}

void CacheView::countNext() {
    if (!m_model.run()) {
        if (counting()) return;
        count([file = file(), run = *run()](const JobControl& control) { return readCacheRun(file, run, control); },
              [this](const auto& read) {
                  m_model.setRun(read);
                  fillLayers();
                  takeSelection();
              });
    } else if (!m_model.reuse() || m_model.reuse()->tokens != m_tokens) {
        count([run = m_model.run(),
               tokens = m_tokens](const JobControl& control) { return countReuse(*run, tokens, control); },
              [this](const auto& reuse) { m_model.setReuse(reuse); });
    }
}

void CacheView::setCounted(CountedTokens tokens) {
    m_tokens = tokens;
    const QSignalBlocker quiet(m_counted);
    m_counted->setCurrentIndex(m_counted->findData(static_cast<int>(tokens)));
    if (m_model.run()) ask();
}

void CacheView::setLayer(int layer) { chooseLayer(LayerIndex(layer)); }

void CacheView::chooseLayer(std::optional<LayerIndex> layer) {
    Selection next = m_selection.current();
    next.layer = layer;
    m_selection.set(next);
}

void CacheView::fillLayers() {
    const QSignalBlocker quiet(m_layer);
    m_layer->clear();
    m_layer->addItem(tr("all layers"));
    for (int layer = 0; m_model.run() && layer < m_model.run()->model().layers; ++layer)
        m_layer->addItem(QString::number(layer));
}

void CacheView::takeSelection() {
    const auto before = m_model.layer();
    m_model.setLayer(m_selection.current().layer);
    const QSignalBlocker quiet(m_layer);
    m_layer->setCurrentIndex(m_model.layer() ? m_model.layer()->value() + 1 : 0);
    if (before != m_model.layer())
        draw();
    else
        drawMarks();
}

void CacheView::draw() {
    tellMissing();
    drawReuse();
    drawOverlap();
    drawHits();
    drawResidency();
    tellCounted(m_model.counted());
    rows().setRows(m_model.columns(), m_model.rowCount(), [this](int row) { return m_model.row(row); });
    for (Chart* chart : {m_reuse, m_overlap, m_hits, m_residency})
        chart->plot()->replot(QCustomPlot::rpQueuedReplot);
}

void CacheView::tellMissing() {
    tell(m_reuse, m_model.reuse() != nullptr, m_model.reuseMissing(),
         tr("A distance needs two tokens of the run that choose the same expert."));
    tell(m_overlap, m_model.reuse() != nullptr, m_model.overlapMissing(),
         tr("An overlap needs two tokens of one request."));
    tell(m_hits, m_model.run() != nullptr, m_model.hitMissing().isEmpty() ? QString() : tr("No curve of hits"),
         m_model.hitMissing());
    tell(m_residency, m_model.run() != nullptr, m_model.residency().missing(),
         tr("Runs of the engine record which experts come and go; imported routing does not tell."));
}

void CacheView::drawReuse() {
    QStringList labels;
    for (const ReuseBin& bin : m_model.bins())
        labels << CacheModel::binText(bin);
    m_reuse->setHeading(m_model.reuseHeading());
    setLabels(*m_reuse->plot()->xAxis, labels);
    m_reuse->plot()->xAxis->setRange(-0.6, std::max<double>(1, static_cast<double>(labels.size())) - 0.4);
    m_reuse->plot()->yAxis->setRange(0, m_model.reuseEnd());
    m_reuse->legend()->setEntries(
        {{tr("measured"), theme().color(Meaning::Compute)}, {tr("if random (dashed)"), theme().text()}});
}

void CacheView::drawOverlap() {
    QStringList labels;
    for (const std::int32_t lag : m_model.lags())
        labels << countText(lag);
    m_overlap->setHeading(m_model.overlapHeading());
    setLabels(*m_overlap->plot()->xAxis, labels);
    m_overlap->plot()->xAxis->setRange(-0.4, std::max<double>(1, static_cast<double>(labels.size())) - 0.6);
    m_overlap->plot()->yAxis->setRange(0, m_model.overlapEnd());
    m_overlap->legend()->setEntries(m_model.overlapLegend(theme()));
}

void CacheView::drawHits() {
    const bool bytes = !m_model.run() || m_model.run()->curve.inBytes;
    m_hits->setHeading(m_model.hitHeading());
    m_hits->plot()->xAxis->setLabel(bytes ? tr("budget (% of all expert bytes)") : tr("cache (% of all experts)"));
    m_hits->legend()->setEntries(m_model.hitLegend(theme()));
}

void CacheView::drawResidency() {
    const ResidencyMap& map = m_model.residency();
    m_residency->setHeading(m_model.residencyHeading());
    m_residencyPlot->setAxisLabels(tr("step"), map.layer() ? tr("expert") : tr("layer"));
    m_residencyPlot->showAll(map.columns(), map.rows());
    std::vector<LegendEntry> entries;
    if (map.layer())
        for (const auto& [reason, text] : {std::pair(ResidencyReason::Demand, tr("fetched on demand")),
                                           std::pair(ResidencyReason::Prefetch, tr("prefetched")),
                                           std::pair(ResidencyReason::Preload, tr("loaded before the run"))})
            entries.push_back({text, residencyColor(reason, theme()), residencyPattern(reason)});
    m_residency->legend()->setEntries(entries);
}

void CacheView::drawResidencyMap() {
    const ResidencyMap& map = m_model.residency();
    const Viewport viewport = m_residencyPlot->viewport();
    const int group = map.perColumn(viewport);
    m_residencyPlot->scale()->setVisible(!map.layer());
    m_residencyPlot->scale()->setMap(map.isSigned() ? ColorScale::Map::Signed : ColorScale::Map::Sequential);
    m_residencyPlot->scale()->setRange(map.scale().first, map.scale().second);
    m_residencyPlot->scale()->setCaption(tr("resident experts"),
                                         group > 1 ? tr("mean of %1 steps").arg(group) : QString());
    m_residencyPlot->map()->setDrawList(map.map(viewport, theme()));
    Selection hovered = m_selection.hovered();
    if (m_brush) hovered = Selection{{}, m_brush, {}, {}};
    m_residencyPlot->marks()->setDrawList(map.marks(viewport, theme(), m_selection.current(), hovered));
}

void CacheView::drawMarks() {
    if (!isVisible()) return;
    Selection hovered = m_selection.hovered();
    if (m_brush) hovered = Selection{{}, m_brush, {}, {}};
    m_residencyPlot->marks()->setDrawList(
        m_model.residency().marks(m_residencyPlot->viewport(), theme(), m_selection.current(), hovered));
    m_residencyPlot->repaintMarks();
}

}  // namespace expertscope
