// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/norms/norms_view.h"

#include <QCheckBox>
#include <QComboBox>
#include <QGridLayout>
#include <QHeaderView>
#include <QLabel>
#include <QMouseEvent>
#include <QSignalBlocker>
#include <QSortFilterProxyModel>
#include <QSpinBox>
#include <QTableView>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "views/base/draw_list_plottable.h"
#include "views/base/heat_plot.h"
#include "views/base/label_ticker.h"
#include "views/base/lazy_table.h"
#include "views/base/matrix_chart.h"
#include "views/base/number_format.h"
#include "views/base/plot_style.h"
#include "views/base/run_analyses.h"
#include "views/base/theme.h"

namespace expertscope {

NormsView::NormsView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : CountedView(session, selection, parent) {
    makeControls();
    makeMaps();
    makeToken();
    makeActivations();
    m_charts = new QGridLayout;
    m_charts->setSpacing(8);
    m_charts->addWidget(m_map, 0, 0);
    m_charts->addWidget(m_ranks, 0, 1);
    m_charts->addWidget(m_token, 1, 0);
    m_charts->addWidget(makeImportance(), 1, 1);
    m_charts->addWidget(m_activeMap, 2, 0, 1, 2);
    for (int i = 0; i < 2; ++i)
        m_charts->setRowStretch(i, 1);
    m_charts->setColumnStretch(0, 4);
    m_charts->setColumnStretch(1, 3);
    addCharts({m_map, m_ranks, m_token, m_activeMap});
    m_activeMap->hide();
    layOut(m_charts);
}

NormsView::~NormsView() = default;

void NormsView::makeControls() {
    m_layer = addChoice(tr("Layer"));
    m_tokenBox = new QSpinBox(this);
    m_tokenBox->setKeyboardTracking(false);
    addControl(tr("Token"), m_tokenBox);
    m_measureBox = addChoice(tr("Experts by"));
    for (int i = 0; i < NormsModel::kMeasures; ++i) {
        const auto measure = static_cast<NormsModel::Measure>(i);
        m_measureBox->addItem(NormsModel::measureName(measure));
        m_measureBox->setItemData(i, NormsModel::measureDefinition(measure), Qt::ToolTipRole);
    }
    m_ranksBox = addChoice(tr("Ranks of"), {tr("the layer"), tr("all layers")});
    m_activeBox = new QCheckBox(this);
    m_activeBox->setToolTip(tr("What every neuron of the layer's experts made of the token"));
    addControl(tr("Activations"), m_activeBox);
    connect(m_layer, &QComboBox::activated, this, &NormsView::setLayer);
    connect(m_tokenBox, &QSpinBox::valueChanged, this, &NormsView::selectToken);
    connect(m_measureBox, &QComboBox::activated, this,
            [this](int index) { setMeasure(static_cast<NormsModel::Measure>(index)); });
    connect(m_activeBox, &QCheckBox::clicked, this, &NormsView::showActivations);
    connect(m_ranksBox, &QComboBox::activated, this, [this](int index) { setAllRanks(index == 1); });
}

void NormsView::makeMaps() {
    m_map = new MatrixChart(m_selection,
                            {.matrix = [this]() -> const MatrixMap& { return m_model.map(); },
                             .describe = [this](MatrixMap::Cell cell) { return m_model.describe(cell); },
                             .subject =
                                 [](MatrixMap::Cell cell) {
                                     Selection what;
                                     what.layer = LayerIndex(cell.row);
                                     what.expert = ExpertId(cell.column);
                                     return what;
                                 },
                             .marked =
                                 [](const Selection& selection) {
                                     const auto number = [](const auto& id) {
                                         return id ? std::optional<int>(id->value()) : std::nullopt;
                                     };
                                     return std::pair(number(selection.layer), number(selection.expert));
                                 },
                             .caption = [this] { return NormsModel::measureName(m_model.measure()); },
                             .scaleText = [this](double value) { return m_model.measureText(value); }},
                            this);
    m_map->heat()->setAxisLabels(tr("expert"), tr("layer"));
    m_ranks =
        new MatrixChart(m_selection,
                        {.matrix = [this]() -> const MatrixMap& { return m_model.ranks(); },
                         .describe = [this](MatrixMap::Cell cell) { return m_model.describeRank(cell); },
                         .subject = [](MatrixMap::Cell) { return Selection{}; },
                         .marked = [](const Selection&) { return std::pair<std::optional<int>, std::optional<int>>(); },
                         .caption = [] { return tr("of the tokens"); },
                         .scaleText = [](double value) { return percentText(value); }},
                        this);
    m_ranks->setDefinition(tr(
        "The experts of a token are ranked by their score and by the norm of their output, 1 the smallest; how often "
        "which rank goes with which. On the diagonal: the router prefers experts with large outputs."));
    m_ranks->heat()->setCells(1);
    for (MatrixChart* map : {m_map, m_ranks})
        connect(map, &MatrixChart::clicked, this, [this] { setFocus(Qt::MouseFocusReason); });
}

void NormsView::makeToken() {
    m_token = new Chart(QString(), this);
    m_token->setDefinition(
        tr("L2 norm of what each expert made of the token, before it was weighted, beside the weight or score by which "
           "the router chose it."));
    QCustomPlot* const plot = m_token->plot();
    plot->xAxis->setLabel(tr("expert"));
    plot->yAxis->setLabel(tr("output norm"));
    plot->yAxis2->setVisible(true);
    plot->xAxis->grid()->setVisible(false);
    m_token->marks()->setSource([this](const Viewport& viewport) {
        return m_model.tokenChart(viewport, theme(), m_selection.current(), m_selection.hovered());
    });
    plot->setMouseTracking(true);
    connect(plot, &QCustomPlot::mouseMove, this, [this, plot](QMouseEvent* event) {
        const auto bar = barAt(*event);
        Selection hovered;
        if (bar) {
            hovered.layer = LayerIndex(m_model.layer());
            hovered.expert = ExpertId(m_model.bars()[static_cast<std::size_t>(*bar)].expert);
            QToolTip::showText(event->globalPosition().toPoint(), m_model.describeBar(*bar), plot);
        } else {
            QToolTip::hideText();
        }
        m_selection.hover(hovered);
    });
    connect(plot, &QCustomPlot::mouseRelease, this, [this](QMouseEvent* event) {
        setFocus(Qt::MouseFocusReason);
        const auto bar = barAt(*event);
        if (event->button() == Qt::LeftButton && bar)
            selectExpert(m_model.bars()[static_cast<std::size_t>(*bar)].expert);
    });
}

void NormsView::makeActivations() {
    m_activeMap =
        new MatrixChart(m_selection,
                        {.matrix = [this]() -> const MatrixMap& { return m_active.map(); },
                         .describe = [this](MatrixMap::Cell cell) { return m_active.describe(cell); },
                         .subject =
                             [this](MatrixMap::Cell cell) {
                                 Selection what;
                                 what.layer = LayerIndex(m_model.layer());
                                 what.expert = ExpertId(cell.row);
                                 return what;
                             },
                         .marked =
                             [this](const Selection& selection) {
                                 return std::pair(expertIn(selection, m_model.layer()), std::optional<int>());
                             },
                         .caption = [] { return tr("activation"); },
                         .scaleText = [](double value) { return numberText(value); },
                         .drawBeside =
                             [this](HeatPlot& heat, const Theme& theme) {
                                 heat.strip(0).bars->setDrawList(m_active.weights(heat.stripViewport(0), theme));
                             }},
                        this);
    m_activeMap->setDefinition(tr(
        "σ(gate row · x) of every neuron of every expert, before the product with the up row. The colours end where "
        "99.5 % of the values lie. A horizontal line is an expert that is active as a whole, a vertical one a neuron "
        "number that is active in all experts."));
    m_activeMap->heat()->setAxisLabels(tr("neuron"), tr("expert"));
    m_activeMap->heat()->addStrip(tr("weight of the\nexperts chosen"));
    connect(m_activeMap, &MatrixChart::clicked, this, [this] { setFocus(Qt::MouseFocusReason); });
}

QWidget* NormsView::makeImportance() {
    auto* box = new QWidget(this);
    m_importanceHeading = new QLabel(box);
    QFont bold = plotFont();
    bold.setBold(true);
    m_importanceHeading->setFont(bold);
    m_importanceHeading->setWordWrap(true);
    m_importanceHeading->setToolTip(
        tr("Scores by which experts are pruned. Tokens: frequency. Weights: their sum. EAN: sum of the output norms. "
           "REAP: mean of weight × norm. Of the tokens that chose the expert. Of a deep capture: sum of the router's "
           "scores over all tokens, and the largest number in an output."));
    m_importanceRows = new TableModel(this);
    m_importanceOrder = new QSortFilterProxyModel(this);
    m_importanceOrder->setSourceModel(m_importanceRows);
    m_importanceOrder->setSortRole(Qt::EditRole);
    m_importance = new QTableView(box);
    m_importance->setModel(m_importanceOrder);
    m_importance->setAccessibleName(tr("Importance of the layer's experts"));
    m_importance->setFont(plotFont());
    m_importance->setSortingEnabled(true);
    m_importance->horizontalHeader()->setSortIndicator(-1, Qt::DescendingOrder);  // as the model ordered them
    m_importance->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_importance->setSelectionMode(QAbstractItemView::SingleSelection);
    m_importance->setShowGrid(false);
    m_importance->setAlternatingRowColors(true);
    m_importance->verticalHeader()->hide();
    m_importance->verticalHeader()->setDefaultSectionSize(QFontMetrics(plotFont()).height() + 4);
    m_importance->horizontalHeader()->setFont(plotFont());
    m_importance->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
    // Narrower, numbers would be cut: then the table scrolls.
    m_importance->horizontalHeader()->setMinimumSectionSize(
        QFontMetrics(plotFont()).horizontalAdvance(QStringLiteral("mean norm")) + 10);
    connect(m_importance, &QTableView::clicked, this,
            [this](const QModelIndex& index) { selectExpert(index.siblingAtColumn(0).data(Qt::EditRole).toInt()); });
    auto* layout = new QVBoxLayout(box);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(2);
    layout->addWidget(m_importanceHeading);
    layout->addWidget(m_importance, 1);
    return box;
}

std::optional<RunId> NormsView::runToShow(EmptyState& empty, const RunTrace* run) {
    return runToCount(empty, run, tr("output norms"));
}

void NormsView::forget() {
    m_model.setRun(nullptr);
    m_active.setRun(nullptr);
}

int NormsView::wantedLayer() const { return m_model.run() ? layerOr(m_model.layer(), m_model.run()->model()) : 0; }

int NormsView::wantedToken() const {
    const int last = m_model.run() ? std::max(0, m_model.run()->tokens - 1) : 0;
    const auto& selected = m_selection.current().tokens;
    if (selected) return std::clamp(selected->from.value(), 0, last);
    if (m_model.token()) return std::min(m_model.token()->token, last);
    return m_model.run() ? m_model.run()->activeTokens.first : 0;
}

/// The run, then the token, then its activations.
void NormsView::countNext() {
    if (!m_model.run()) {
        if (counting()) return;
        count([file = file(), run = *run()](const JobControl& control) { return readNormsRun(file, run, control); },
              [this](const auto& read) {
                  m_model.setRun(read);
                  m_active.setRun(read);
                  m_model.setLayer(read->layerToShow(m_model.layer()));
                  showActivations(m_activeBox->isChecked() || m_active.kept());
                  const QSignalBlocker quiet(m_tokenBox);
                  m_tokenBox->setRange(0, std::max(0, read->tokens - 1));
                  m_layer->clear();
                  for (int layer = 0; layer < read->model().layers; ++layer)
                      m_layer->addItem(QString::number(layer));
              });
    } else if (!m_model.token() || m_model.token()->token != wantedToken()) {
        count([run = m_model.run(),
               token = wantedToken()](const JobControl& control) { return findToken(*run, token, control); },
              [this](const auto& token) { m_model.setToken(token); });
    } else if (lacksActivations()) {
        count([run = m_model.run(), layer = wantedLayer(), token = wantedToken()](
                  const JobControl& control) { return findActivations(*run, layer, token, control); },
              [this](const auto& activations) { m_active.setActivations(activations); });
    }
}

void NormsView::setMeasure(NormsModel::Measure measure) {
    m_model.setMeasure(measure);
    m_measureBox->setCurrentIndex(static_cast<int>(measure));
    draw();
}

void NormsView::setAllRanks(bool all) {
    m_model.setAllRanks(all);
    m_ranksBox->setCurrentIndex(all ? 1 : 0);
    draw();
}

void NormsView::showActivations(bool show) {
    m_activeBox->setChecked(show);
    m_activeMap->setVisible(show);
    m_charts->setRowStretch(2, show ? 1 : 0);
    if (isVisible() && lacksActivations()) ask();
    draw();
}

bool NormsView::lacksActivations() const {
    return m_activeBox->isChecked() && m_active.kept() && m_model.token() &&
           !m_active.has(wantedLayer(), m_model.token()->token);
}

void NormsView::selectToken(int token) {
    Selection next = m_selection.current();
    next.tokens = TokenRange{TokenIndex(token), TokenIndex(token + 1)};
    m_selection.set(next);
}

void NormsView::selectExpert(int expert) {
    Selection next = m_selection.current();
    next.layer = LayerIndex(m_model.layer());
    next.expert = ExpertId(expert);
    m_selection.set(next);
}

void NormsView::takeSelection() {
    if (!m_model.run()) return;
    const bool other = wantedLayer() != m_model.layer();
    m_model.setLayer(wantedLayer());
    const bool otherToken = m_model.token() && m_model.token()->token != wantedToken();
    if (isVisible() && (otherToken || lacksActivations())) ask();
    if (other)
        draw();
    else
        drawMarks();
    markImportance();
}

void NormsView::draw() {
    if (m_model.run()) m_model.setLayer(wantedLayer());
    tellMissing();
    m_map->setHeading(m_model.mapHeading());
    m_map->setDefinition(NormsModel::measureDefinition(m_model.measure()));
    m_ranks->setHeading(m_model.ranksHeading());
    m_ranks->heat()->setAxisLabels(tr("rank of the norm (1: smallest)"),
                                   m_model.ranksOfAll() ? tr("rank of the score") : tr("rank of the weight"));
    m_map->draw();
    m_ranks->draw();
    drawToken();
    drawActivations();
    fillImportance();
    tellCounted(m_model.counted());
    rows().setRows(m_model.columns() + ActivationModel::columns(), m_model.rowCount() + m_active.rowCount(),
                   [this](int row) { return tableRow(row); });
    if (!m_model.run()) return;
    m_layer->setCurrentIndex(m_model.layer());
    const QSignalBlocker quiet(m_tokenBox);
    m_tokenBox->setValue(wantedToken());
}

void NormsView::drawToken() {
    QCustomPlot& plot = *m_token->plot();
    const auto bars = m_model.bars();
    const auto [norm, score] = m_model.barEnds();
    m_token->setHeading(m_model.tokenHeading());
    QStringList labels;
    for (const NormOfExpert& bar : bars)
        labels << QString::number(bar.expert);
    setLabels(*plot.xAxis, labels);
    plot.xAxis->setRange(-0.6, std::max<double>(1, static_cast<double>(bars.size())) - 0.4);
    plot.yAxis->setRange(0, norm);
    plot.yAxis2->setRange(0, score);
    plot.yAxis2->setLabel(m_model.barsOfAll() ? tr("score") : tr("weight"));
    m_token->legend()->setEntries(m_model.tokenLegend(theme()));
    plot.replot(QCustomPlot::rpQueuedReplot);
}

void NormsView::drawActivations() {
    m_activeMap->setHeading(m_active.heading());
    m_activeMap->heat()->setStripEnd(0, m_active.weightEnd(), ActivationModel::kWeightRoom);
    m_activeMap->draw();
}

std::vector<TableCell> NormsView::tableRow(int row) const {
    const qsizetype columns = m_model.columns().size();
    if (row >= m_model.rowCount()) return m_active.row(row - m_model.rowCount(), static_cast<int>(columns) - 3);
    std::vector<TableCell> cells = m_model.row(row);
    cells.resize(static_cast<std::size_t>(columns + ActivationModel::columns().size()));
    return cells;
}

void NormsView::fillImportance() {
    m_importanceHeading->setText(m_model.importanceHeading());
    m_importanceRows->setTable(m_model.importanceColumns(), m_model.importance());
    markImportance();
}

void NormsView::markImportance() {
    const auto expert = expertIn(m_selection.current(), m_model.layer());
    m_importance->clearSelection();
    for (int row = 0; expert && row < m_importanceOrder->rowCount(); ++row) {
        if (m_importanceOrder->index(row, 0).data(Qt::EditRole).toInt() != *expert) continue;
        m_importance->selectRow(row);
        m_importance->scrollTo(m_importanceOrder->index(row, 0));
    }
}

void NormsView::drawMarks() {
    if (!isVisible()) return;
    m_map->drawMarks();
    m_activeMap->drawMarks();
    m_token->plot()->replot(QCustomPlot::rpQueuedReplot);
}

void NormsView::tellMissing() {
    const QString hint = tr("Record the run again with “norms” among what is recorded.");
    const bool run = m_model.run() != nullptr;
    tell(m_map, run, m_model.mapMissing(), hint);
    tell(m_ranks, run, m_model.ranksMissing(), hint);
    tell(m_token, m_model.token() != nullptr, m_model.tokenMissing(), hint);
    tell(m_activeMap, run && !lacksActivations(), m_active.missing(), m_active.missingHint());
}

std::optional<int> NormsView::barAt(const QMouseEvent& event) const {
    const int bar = static_cast<int>(std::lround(m_token->plot()->xAxis->pixelToCoord(event.position().x())));
    return bar >= 0 && bar < static_cast<int>(m_model.bars().size()) ? std::optional(bar) : std::nullopt;
}

void NormsView::keyPressEvent(QKeyEvent* event) {
    if (!m_model.run() || !moveSelection(*event, wantedLayer(), m_model.run()->model())) View::keyPressEvent(event);
}

}  // namespace expertscope
