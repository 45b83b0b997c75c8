// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/links/links_view.h"

#include <QComboBox>
#include <QGridLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QMouseEvent>
#include <QSignalBlocker>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <array>
#include <cmath>

#include "views/base/chart.h"
#include "views/base/draw_list_plottable.h"
#include "views/base/empty_state.h"
#include "views/base/heat_plot.h"
#include "views/base/job_strip.h"
#include "views/base/lazy_table.h"
#include "views/base/number_format.h"
#include "views/base/run_analyses.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"
#include "views/base/view_export.h"

namespace expertscope {
namespace {

constexpr std::array kPairs{TransitionPairs::First, TransitionPairs::SameRank, TransitionPairs::All};

}  // namespace

LinksView::LinksView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : View(session, selection, parent), m_theme(&Theme::light()), m_table(new LazyTable(this)) {
    setAccessibleName(title());
    makeControls();
    makeMaps();
    makeInformation();
    m_countedText = new QLabel(this);
    m_countedText->setWordWrap(true);
    m_countedText->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_strip = new JobStrip(m_job, this);
    auto* charts = new QGridLayout;
    charts->setSpacing(8);
    charts->addWidget(m_together.chart, 0, 0);
    charts->addWidget(m_next.chart, 0, 1);
    charts->addWidget(m_likeness.chart, 1, 0);
    charts->addWidget(m_information, 1, 1);
    for (int i = 0; i < 2; ++i)
        charts->setColumnStretch(i, 1);
    // Experts are more than layers.
    charts->setRowStretch(0, 3);
    charts->setRowStretch(1, 2);
    auto* page = new QVBoxLayout(this);
    page->setContentsMargins(10, 8, 10, 8);
    page->addWidget(m_controls);
    page->addLayout(charts, 1);
    page->addWidget(m_countedText);
    page->addWidget(m_strip);
    m_empty = new EmptyState(this);
    setFocusPolicy(Qt::StrongFocus);

    connect(m_empty, &EmptyState::commandWanted, this, &View::commandWanted);
    connect(m_strip, &JobStrip::againWanted, this, &LinksView::ask);
    connect(&m_job, &BackgroundJob::ended, this, &LinksView::ended);
    connect(&m_session, &SessionModel::sessionChanged, this, &LinksView::takeRun);
    connect(&m_session, &SessionModel::currentRunChanged, this, &LinksView::takeRun);
    connect(&m_session, &SessionModel::runsChanged, this, &LinksView::takeRun);
    connect(&m_selection, &SelectionModel::changed, this, &LinksView::takeSelection);
    connect(&m_selection, &SelectionModel::hoverChanged, this, &LinksView::drawMarks);
    setTheme(*m_theme);
    takeRun();
}

LinksView::~LinksView() = default;

void LinksView::makeControls() {
    m_controls = new QWidget(this);
    auto* row = new QHBoxLayout(m_controls);
    row->setContentsMargins(0, 0, 0, 0);
    const auto add = [&](const QString& name, QComboBox*& box, const QStringList& choices) {
        auto* label = new QLabel(name, m_controls);
        box = new QComboBox(m_controls);
        box->setAccessibleName(name);
        box->addItems(choices);
        box->setSizeAdjustPolicy(QComboBox::AdjustToContents);
        label->setBuddy(box);
        row->addWidget(label);
        row->addWidget(box);
    };
    add(tr("Layer"), m_layer, {});
    add(tr("Experts by"), m_measureBox, {tr("share"), tr("lift")});
    m_measureBox->setToolTip(
        tr("Share: of the row's expert. Lift: how many times as often as if both were chosen "
           "independently, each as often as it was."));
    QStringList pairs;
    for (const TransitionPairs which : kPairs)
        pairs << transitionPairsName(which);
    add(tr("Transitions of"), m_pairsBox, pairs);
    add(tr("Layers by"), m_likenessBox, {tr("cosine above random"), tr("cosine"), tr("rank correlation")});
    row->addStretch(1);
    connect(m_layer, &QComboBox::activated, this, &LinksView::setLayer);
    connect(m_measureBox, &QComboBox::activated, this,
            [this](int index) { setMeasure(static_cast<LinksModel::Measure>(index)); });
    connect(m_pairsBox, &QComboBox::activated, this,
            [this](int index) { setPairs(kPairs[static_cast<std::size_t>(index)]); });
    connect(m_likenessBox, &QComboBox::activated, this,
            [this](int index) { setLikeness(static_cast<LinksModel::Likeness>(index)); });
}

void LinksView::makeMaps() {
    const auto expertRow = [](const Selection& selection) {
        return selection.expert ? std::optional(selection.expert->value()) : std::nullopt;
    };
    const auto ofLayer = [](const Selection& selection, int layer) {
        return !selection.layer || selection.layer->value() == layer;
    };
    const auto expertOf = [](int layer, int expert) {
        Selection what;
        what.layer = LayerIndex(layer);
        what.expert = ExpertId(expert);
        return what;
    };
    m_together.matrix = [this]() -> const MatrixMap& { return m_model.together(); };
    m_together.describe = [this](MatrixMap::Cell cell) { return m_model.describeTogether(cell); };
    m_together.subject = [this, expertOf](MatrixMap::Cell cell) { return expertOf(m_model.links()->layer, cell.row); };
    m_next.matrix = [this]() -> const MatrixMap& { return m_model.next(); };
    m_next.describe = [this](MatrixMap::Cell cell) { return m_model.describeNext(cell); };
    m_next.subject = m_together.subject;
    m_together.marked = m_next.marked = [this, expertRow, ofLayer](const Selection& selection) {
        const bool here = m_model.links() && ofLayer(selection, m_model.links()->layer);
        return std::pair(here ? expertRow(selection) : std::nullopt, std::optional<int>());
    };
    m_likeness.matrix = [this]() -> const MatrixMap& { return m_model.likenesses(); };
    m_likeness.describe = [this](MatrixMap::Cell cell) { return m_model.describeLikeness(cell); };
    m_likeness.subject = [](MatrixMap::Cell cell) {
        Selection what;
        what.layer = LayerIndex(cell.row);
        return what;
    };
    m_likeness.marked = [](const Selection& selection) {
        return std::pair(selection.layer ? std::optional(selection.layer->value()) : std::nullopt,
                         std::optional<int>());
    };
    for (Map* map : {&m_together, &m_next, &m_likeness})
        connectMap(*map);
    m_together.chart->setDefinition(
        tr("Of the tokens that chose the row's expert, the part that chose the column's, too (N_ij / N_i)."));
    m_next.chart->setDefinition(
        tr("Of the tokens that chose the row's expert, the part that chose the column's in the next layer."));
    m_likeness.chart->setDefinition(
        tr("Cosine of two layers' loads, expert number by expert number. Experts of different layers have only their "
           "number in common, so that likeness above random is a trace of how the model was made."));
}

void LinksView::connectMap(Map& map) {
    map.plot = new HeatPlot(this);
    map.chart = new Chart(QString(), this, map.plot);
    map.plot->beforeDraw = [this, &map] { drawMap(map); };
    map.plot->setMouseTracking(true);
    const auto cellAt = [&map](const QMouseEvent* event) {
        return map.plot->inMap(event->position()) ? map.matrix().cellAt(map.plot->toPlot(event->position()))
                                                  : std::nullopt;
    };
    connect(map.plot, &QCustomPlot::mouseMove, this, [this, &map, cellAt](QMouseEvent* event) {
        const auto cell = cellAt(event);
        map.plot->scale()->setMarked(cell ? std::optional(map.matrix().at(cell->row, cell->column)) : std::nullopt);
        m_selection.hover(cell ? map.subject(*cell) : Selection{});
        if (cell)
            QToolTip::showText(event->globalPosition().toPoint(), map.describe(*cell), map.plot);
        else
            QToolTip::hideText();
    });
    connect(map.plot, &QCustomPlot::mouseRelease, this, [this, &map, cellAt](QMouseEvent* event) {
        setFocus(Qt::MouseFocusReason);
        const auto cell = cellAt(event);
        if (event->button() != Qt::LeftButton || !cell) return;
        const Selection subject = map.subject(*cell);
        Selection next = m_selection.current();
        next.layer = subject.layer;
        if (subject.expert) next.expert = subject.expert;
        m_selection.set(next);
    });
}

void LinksView::makeInformation() {
    m_information = new Chart(QString(), this);
    m_information->setDefinition(
        tr("Mutual information of the choices of a layer and of the next one, less the bias of Miller and Madow. "
           "Dashed: the same choices paired at random, mean of four permutations."));
    m_information->plot()->xAxis->setLabel(tr("layer to the next"));
    m_information->plot()->yAxis->setLabel(tr("bits"));
    m_information->marks()->setSource([this](const Viewport& viewport) {
        return m_model.informationChart(viewport, *m_theme, m_selection.current());
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

void LinksView::setTheme(const Theme& theme) {
    m_theme = &theme;
    setPalette(theme.palette());
    setAutoFillBackground(true);
    for (Map* map : {&m_together, &m_next, &m_likeness}) {
        map->chart->setTheme(theme);
        map->plot->setTheme(theme);
    }
    m_information->setTheme(theme);
    m_empty->setTheme(theme);
    draw();
}

void LinksView::takeRun() {
    const std::optional<RunId> run = runToCount(*m_empty, m_session.trace(), tr("links of experts and layers"));
    const QString file = run ? m_session.file() : QString();
    if (run == m_run && file == m_file) return;
    m_job.cancel();
    m_run = run;
    m_file = file;
    m_cancelled = false;
    m_model.setRun(nullptr);
    draw();
    if (isVisible()) ask();
}

int LinksView::wantedLayer() const {
    const int layers = m_model.run() ? m_model.run()->model().layers : 0;
    const auto& selected = m_selection.current().layer;
    if (selected && selected->value() < layers) return selected->value();
    return m_model.links() ? m_model.links()->layer : 0;
}

/// Begins what has not been counted yet: the run, its layer, then what layers say about each other.
void LinksView::ask() {
    m_failure.clear();
    m_cancelled = false;
    if (!m_run) return;
    if (!m_model.run()) {
        m_job.start(
            [this, file = std::filesystem::path(m_file.toStdString()), run = *m_run](const JobControl& control) {
                auto read = readLinksRun(file, run, control);
                return [this, read] {
                    m_model.setRun(read);
                    fillLayers();
                    draw();
                    ask();
                };
            });
    } else if (!m_model.links() || m_model.links()->layer != wantedLayer() || m_model.links()->pairs != m_pairs) {
        m_job.start([this, run = m_model.run(), layer = wantedLayer(), pairs = m_pairs](const JobControl& control) {
            auto links = countLinks(*run, layer, pairs, control);
            return [this, links] {
                m_model.setLayerLinks(links);
                draw();
                ask();
            };
        });
    } else if (!m_model.information() || m_model.information()->pairs != m_pairs) {
        m_job.start([this, run = m_model.run(), pairs = m_pairs](const JobControl& control) {
            auto information = findInformation(*run, pairs, control);
            return [this, information] {
                m_model.setInformation(information);
                draw();
            };
        });
    }
    tellMissing();
}

void LinksView::ended(const QString& failure, bool cancelled) {
    m_failure = failure;
    m_cancelled = cancelled;
    tellMissing();
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

void LinksView::setLayer(int layer) {
    Selection next = m_selection.current();
    next.layer = LayerIndex(layer);
    m_selection.set(next);
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
    m_together.chart->setHeading(m_model.togetherHeading());
    m_next.chart->setHeading(m_model.nextHeading());
    m_likeness.chart->setHeading(m_model.likenessHeading());
    m_information->setHeading(m_model.informationHeading());
    m_together.plot->setAxisLabels(tr("expert"), tr("expert"));
    m_next.plot->setAxisLabels(tr("expert of the next layer"), tr("expert"));
    m_likeness.plot->setAxisLabels(tr("layer"), tr("layer"));
    for (Map* map : {&m_together, &m_next, &m_likeness}) {
        map->plot->showAll(map->matrix().columns, map->matrix().rows);
        map->plot->replot(QCustomPlot::rpQueuedReplot);
    }
    const auto ticker = QSharedPointer<QCPAxisTickerText>::create();
    const auto rows = m_model.information() ? m_model.information()->rows : std::vector<LinksInformation::Row>();
    // So many that their numbers do not touch.
    const std::size_t every = rows.size() / 16 + 1;
    for (std::size_t i = 0; i < rows.size(); i += every)
        ticker->addTick(rows[i].from, QStringLiteral("%1→%2").arg(rows[i].from).arg(rows[i].to));
    m_information->plot()->xAxis->setTicker(ticker);
    m_information->plot()->xAxis->setRange(-0.6, std::max<double>(1, static_cast<double>(rows.size())) - 0.4);
    m_information->plot()->yAxis->setRange(0, m_model.informationEnd());
    m_information->legend()->setEntries(
        {{tr("measured"), m_theme->color(Meaning::Compute)}, {tr("if paired at random (dashed)"), m_theme->text()}});
    m_information->plot()->replot(QCustomPlot::rpQueuedReplot);
    m_countedText->setText(m_model.counted());
    m_table->setRows(m_model.columns(), m_model.rowCount(), [this](int row) { return m_model.row(row); });
    if (m_model.run()) m_layer->setCurrentIndex(wantedLayer());
}

void LinksView::drawMap(Map& map) {
    const MatrixMap& matrix = map.matrix();
    const Viewport viewport = map.plot->viewport();
    const int group = matrix.perCell(viewport);
    ColorScale& scale = *map.plot->scale();
    scale.setRange(matrix.low, matrix.high);
    scale.setMap(matrix.isSigned ? ColorScale::Map::Signed : ColorScale::Map::Sequential);
    const bool layers = &map == &m_likeness;
    scale.setCaption(layers ? m_model.likenessCaption() : m_model.measureCaption(),
                     group > 1 ? tr("farthest of %1 × %1").arg(group) : QString());
    if (layers)
        scale.setFormat([](double value) { return numberText(value); });
    else
        scale.setFormat([this](double value) { return m_model.measureText(value); });
    map.plot->map()->setDrawList(matrix.map(viewport, *m_theme));
    markMap(map);
}

void LinksView::markMap(Map& map) {
    DrawList list;
    const Viewport viewport = map.plot->viewport();
    const auto mark = [&](const Selection& selection, const QColor& color) {
        const auto [row, column] = map.marked(selection);
        markMatrix(list, map.matrix(), row, column, viewport, color);
    };
    mark(m_selection.current(), m_theme->highlight());
    mark(m_selection.hovered(), m_theme->hover());
    map.plot->marks()->setDrawList(std::move(list));
}

void LinksView::drawMarks() {
    if (!isVisible()) return;
    for (Map* map : {&m_together, &m_next, &m_likeness}) {
        markMap(*map);
        map->plot->repaintMarks();
    }
}

void LinksView::tellMissing() {
    const auto tell = [&](Chart* chart, bool there, const QString& missing, const QString& hint) {
        if (there)
            chart->setMissing(missing, missing.isEmpty() ? QString() : hint);
        else if (m_cancelled)
            chart->setMissing(tr("Not counted"), tr("It was cancelled."));
        else
            chart->setMissing(m_failure.isEmpty() ? tr("Counting…") : tr("Not counted"), m_failure);
    };
    const bool links = m_model.links() != nullptr;
    tell(m_together.chart, links, m_model.togetherMissing(), tr("Pairs need tokens that choose two experts at once."));
    tell(m_next.chart, links, m_model.nextMissing(), tr("Transitions lead from a layer to the next one."));
    tell(m_likeness.chart, m_model.run() != nullptr, m_model.likenessMissing(),
         tr("Likeness needs the loads of two layers."));
    tell(m_information, m_model.information() != nullptr, m_model.informationMissing(),
         tr("Transitions lead from a layer to the next one."));
}

void LinksView::showEvent(QShowEvent* event) {
    View::showEvent(event);
    if (!m_cancelled && m_failure.isEmpty() && !m_job.running()) ask();
}

void LinksView::refresh() {
    takeRun();
    if (!m_job.running()) ask();
    m_job.wait();
    draw();
}

QAbstractItemModel* LinksView::table() { return m_table; }

void LinksView::exportTo(const QString& file, const QSize& size) {
    refresh();
    m_controls->setVisible(false);
    try {
        exportWidget(*this, file, size);
    } catch (...) {
        m_controls->setVisible(true);
        throw;
    }
    m_controls->setVisible(true);
}

void LinksView::keyPressEvent(QKeyEvent* event) {
    if (!m_model.run()) return View::keyPressEvent(event);
    const ModelFacts& model = m_model.run()->model();
    const auto move = [&](int layers, int experts) {
        Selection next = m_selection.current();
        next.layer = LayerIndex(std::clamp(wantedLayer() + layers, 0, model.layers - 1));
        if (experts != 0)
            next.expert = ExpertId(next.expert ? std::clamp(next.expert->value() + experts, 0, model.experts - 1) : 0);
        m_selection.set(next);
    };
    switch (event->key()) {
        case Qt::Key_Up:
            return move(-1, 0);
        case Qt::Key_Down:
            return move(1, 0);
        case Qt::Key_Left:
            return move(0, -1);
        case Qt::Key_Right:
            return move(0, 1);
        default:
            View::keyPressEvent(event);
    }
}

}  // namespace expertscope
