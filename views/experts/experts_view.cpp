// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experts/experts_view.h"

#include <QCheckBox>
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QStackedWidget>
#include <QStandardItemModel>
#include <QTabBar>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "profiler/analysis/run_trace.h"
#include "views/base/background_job.h"
#include "views/base/empty_state.h"
#include "views/base/heat_plot.h"
#include "views/base/number_format.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"
#include "views/base/view_export.h"
#include "views/experts/expert_table.h"
#include "views/experts/token_expert_table.h"

namespace expertscope {
namespace {

/// Counted in some milliseconds; a long run is counted by and by, so that the window never stands still.
constexpr std::size_t kCountedAtOnce = 32'768;
/// Between two pictures of what has been counted so far.
constexpr int kPictureMilliseconds = 150;

}  // namespace

ExpertsView::ExpertsView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : View(session, selection, parent),
      m_theme(&Theme::light()),
      m_table(new ExpertTable(m_map, this)),
      m_tokenTable(new TokenExpertTable(
          m_tokens, [this] { return traceView(); }, this)),
      m_reading(new BackgroundJob(this)) {
    m_controls = makeControls();
    m_heading = new QLabel(this);
    m_heading->setVisible(false);
    m_stack = new QStackedWidget(this);
    makePlots();
    m_counted = new QLabel(this);
    m_counted->setWordWrap(true);
    m_counted->setTextInteractionFlags(Qt::TextSelectableByMouse);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 4, 6, 4);
    layout->setSpacing(4);
    layout->addWidget(m_heading);
    layout->addWidget(m_controls);
    layout->addWidget(m_stack, 1);
    layout->addWidget(m_counted);
    m_emptyState = new EmptyState(this);
    connect(m_emptyState, &EmptyState::commandWanted, this, &View::commandWanted);
    setFocusPolicy(Qt::StrongFocus);

    m_more.setSingleShot(true);
    connect(&m_more, &QTimer::timeout, this, [this] {
        if (isVisible()) {
            countOn();
        } else {
            m_stale = true;
        }
    });
    connect(&m_session, &SessionModel::sessionChanged, this, [this] {
        takeRun();
        follow();
    });
    connect(&m_session, &SessionModel::currentRunChanged, this, [this] {
        if (m_trace == m_session.trace()) return;  // taken with its session
        takeRun();
        follow();
    });
    connect(&m_session, &SessionModel::dataGrown, this, &ExpertsView::follow);
    connect(&m_selection, &SelectionModel::changed, this, &ExpertsView::takeSelection);
    connect(&m_selection, &SelectionModel::hoverChanged, this, &ExpertsView::drawMarks);
    setTheme(*m_theme);
    takeRun();
    takeIn();
}

ExpertsView::~ExpertsView() = default;

QWidget* ExpertsView::makeControls() {
    auto* controls = new QWidget(this);
    m_mode = new QTabBar(controls);
    m_mode->setDrawBase(false);
    m_mode->addTab(tr("Layers × experts"));
    m_mode->addTab(tr("Tokens × experts"));
    m_mode->setAccessibleName(tr("What the map shows"));
    m_measure = new QComboBox(controls);
    m_measure->setAccessibleName(tr("Measure"));
    for (const ExpertMeasure measure : kExpertMeasures) {
        m_measure->addItem(measureName(measure), static_cast<int>(measure));
        m_measure->setItemData(m_measure->count() - 1, measureDefinition(measure), Qt::ToolTipRole);
    }
    m_layerLabel = new QLabel(tr("Layer"), controls);
    m_layer = new QSpinBox(controls);
    m_layerLabel->setBuddy(m_layer);
    m_colour = new QComboBox(controls);
    m_colour->setAccessibleName(tr("Colour of a chosen expert"));
    m_colour->addItem(tr("by weight"), static_cast<int>(TokenExpertModel::Colour::Weight));
    m_colour->addItem(tr("by outcome"), static_cast<int>(TokenExpertModel::Colour::Outcome));
    m_lock = new QCheckBox(tr("Lock scale"), controls);
    m_lock->setToolTip(tr("Keeps the colours' scale as it is when the selection or the run changes."));

    auto* row = new QHBoxLayout(controls);
    row->setContentsMargins(0, 0, 0, 0);
    for (QWidget* widget : std::initializer_list<QWidget*>{m_mode, m_measure, m_layerLabel, m_layer, m_colour, m_lock})
        row->addWidget(widget);
    row->addStretch(1);

    connect(m_mode, &QTabBar::currentChanged, this, [this](int index) { setMode(static_cast<Mode>(index)); });
    connect(m_measure, &QComboBox::currentIndexChanged, this,
            [this] { setMeasure(static_cast<ExpertMeasure>(m_measure->currentData().toInt())); });
    connect(m_layer, &QSpinBox::valueChanged, this, [this](int layer) {
        Selection next = m_selection.current();
        next.layer = LayerIndex{layer};
        m_selection.set(next);
    });
    connect(m_colour, &QComboBox::currentIndexChanged, this, [this] {
        m_tokens.setColour(static_cast<TokenExpertModel::Colour>(m_colour->currentData().toInt()));
        updateTexts();
        m_tokensPlot->replot();
    });
    connect(m_lock, &QCheckBox::toggled, this, [this](bool on) {
        m_map.setScaleLocked(on);
        m_layersPlot->replot();
    });
    return controls;
}

void ExpertsView::makePlots() {
    m_layersPlot = new HeatPlot(m_stack);
    m_layersPlot->setAxisLabels(tr("expert"), tr("layer"));
    m_layersPlot->addStrip(tr("router diversity\n(of the gate's rows)"));
    m_layersPlot->addStrip(tr("repeat rate\n(dashed: if random)"));
    m_layersPlot->beforeDraw = [this] { drawLayers(); };
    m_tokensPlot = new HeatPlot(m_stack);
    m_tokensPlot->setAxisLabels(tr("token"), tr("expert"));
    m_tokensPlot->beforeDraw = [this] { drawTokens(); };
    for (HeatPlot* plot : {m_layersPlot, m_tokensPlot}) {
        m_stack->addWidget(plot);
        connectMouse(plot);
    }
    connect(m_tokensPlot, &QCustomPlot::mouseWheel, this, [this](QWheelEvent* event) {
        const double notches = event->angleDelta().y() / 120.0;
        if (event->modifiers() & Qt::ControlModifier)
            zoomTokens(std::pow(0.8, notches), m_tokensPlot->toPlot(event->position()).x());
        else
            panTokens(-0.1 * notches);
    });
    connect(m_tokensPlot, &QCustomPlot::mouseDoubleClick, this, [this] {
        m_tokensFit = true;
        fitAxes();
        m_tokensPlot->replot();
    });
}

void ExpertsView::connectMouse(HeatPlot* plot) {
    plot->setMouseTracking(true);
    connect(plot, &QCustomPlot::mousePress, this, &ExpertsView::pressed);
    connect(plot, &QCustomPlot::mouseMove, this, &ExpertsView::moved);
    connect(plot, &QCustomPlot::mouseRelease, this, &ExpertsView::released);
}

void ExpertsView::setTheme(const Theme& theme) {
    m_theme = &theme;
    setPalette(theme.palette());
    m_emptyState->setTheme(theme);
    for (HeatPlot* plot : {m_layersPlot, m_tokensPlot}) {
        plot->setTheme(theme);
        plot->replot(QCustomPlot::rpQueuedReplot);
    }
}

ExpertsView::Mode ExpertsView::mode() const { return static_cast<Mode>(m_stack->currentIndex()); }
HeatPlot* ExpertsView::plot() const { return mode() == Mode::Layers ? m_layersPlot : m_tokensPlot; }

void ExpertsView::setMode(Mode mode) {
    m_mode->setCurrentIndex(static_cast<int>(mode));
    m_stack->setCurrentIndex(static_cast<int>(mode));
    updateControls();
    updateTexts();
    plot()->replot();
}

void ExpertsView::setMeasure(ExpertMeasure measure) {
    m_map.setMeasure(measure);
    const QSignalBlocker quietMeasure(m_measure), quietLock(m_lock);
    m_measure->setCurrentIndex(m_measure->findData(static_cast<int>(measure)));
    m_lock->setChecked(m_map.scaleLocked());
    updateControls();
    updateTexts();
    m_layersPlot->replot();
}

void ExpertsView::setLayer(int layer) {
    m_tokens.setLayer(LayerIndex{layer});
    m_tokenTable->changed();
    setMode(Mode::Tokens);
}

TraceView ExpertsView::traceView() const { return m_trace ? viewOf(*m_trace) : TraceView{}; }
bool ExpertsView::running() const { return m_trace && m_trace->entry().state == RunState::Running; }

void ExpertsView::takeRun() {
    m_trace = m_session.trace();
    const ModelFacts facts = m_trace ? m_trace->model() : ModelFacts{};
    m_map.setRun(facts);
    m_tokens.setRun(facts);
    m_taken = 0;
    m_sincePicture.invalidate();
    m_tokensFit = true;
    m_reading->cancel();
    m_sumsRead = false;
    m_table->reset();
    m_tokenTable->reset();
}

/// A run without selections may have been counted by another tool.
void ExpertsView::readSums() {
    const bool none = m_trace && m_trace->isWhole() && m_trace->selections().empty() && !running();
    if (!none || m_sumsRead) return;
    m_sumsRead = true;
    m_reading->start([this, file = std::filesystem::path(m_session.file().toStdString()),
                      run = m_trace->entry().id](const JobControl&) -> BackgroundJob::Taker {
        return [this, sums = readExpertSums(file, run)] {
            m_map.setSums(sums);
            takeIn();
        };
    });
}

void ExpertsView::follow() {
    if (!isVisible()) {
        m_stale = true;
    } else if (m_session.reading()) {
        if (!m_more.isActive()) m_more.start(0);  // not in the same breath: the trace has just taken in a part
    } else {
        takeIn();
    }
}

void ExpertsView::refresh() {
    takeIn();
    countSome(std::numeric_limits<std::size_t>::max());
    showCounted();
    plot()->replot();
    m_reading->wait();
}

void ExpertsView::takeIn() {
    m_stale = false;
    readSums();
    if (m_map.setFilter(filterOf(m_selection.current()))) {
        m_taken = 0;
        m_sincePicture.start();  // the last picture stays until there is something to see
    }
    countOn();
}

bool ExpertsView::isCounted() const {
    const TraceView all = traceView();
    return m_taken >= std::max(all.selections.size(), all.spans.size());
}

/// Takes in the next records of each kind, at most so many.
void ExpertsView::countSome(std::size_t most) {
    TraceView part = traceView();
    const std::size_t all = std::max(part.selections.size(), part.spans.size());
    m_taken = std::min(m_taken, all);
    m_taken += std::min(most, all - m_taken);
    part.selections = part.selections.first(std::min(m_taken, part.selections.size()));
    part.spans = part.spans.first(std::min(m_taken, part.spans.size()));
    m_map.update(part);
    m_tokens.update(part);
}

void ExpertsView::countOn() {
    countSome(kCountedAtOnce);
    const bool rest = !isCounted() || m_session.reading();
    if (isCounted()) {
        m_more.stop();
    } else {
        m_more.start(0);
    }
    if (!rest || !m_sincePicture.isValid() || m_sincePicture.hasExpired(kPictureMilliseconds)) showCounted();
}

void ExpertsView::showCounted() {
    m_sincePicture.start();
    tellIfEmpty();
    m_table->changed();
    m_tokenTable->changed();
    fitAxes();
    updateControls();
    updateTexts();
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void ExpertsView::tellIfEmpty() {
    const bool sums = m_map.hasOnlySums();
    const bool empty = !m_trace || m_map.layers() == 0 || (m_trace->selections().empty() && !sums);
    m_emptyState->setVisible(empty);
    if (empty) {
        tellWhyEmpty(*m_emptyState, m_trace,
                     {tr("its expert selections"), QStringLiteral("routing"),
                      !m_trace || m_trace->entry().description.record.routing});
    }
}

void ExpertsView::showEvent(QShowEvent* event) {
    View::showEvent(event);
    if (m_stale) takeIn();
}

void ExpertsView::takeSelection() {
    const Selection& now = m_selection.current();
    if (now.layer) m_tokens.setLayer(*now.layer);
    m_stale = true;
    if (isVisible()) takeIn();
}

void ExpertsView::fitAxes() {
    m_layersPlot->showAll(m_map.experts(), m_map.layers());
    m_layersPlot->setStripEnd(0, m_map.diversityEnd(), ExpertMapModel::kStripRoom);
    m_layersPlot->setStripEnd(1, m_map.repeatEnd(), ExpertMapModel::kStripRoom);
    if (m_tokensFit)
        m_tokensPlot->showAll(m_tokens.axisEnd(running()), m_tokens.experts());
    else
        m_tokensPlot->yAxis->setRange(0, std::max(1, m_tokens.experts()));
}

void ExpertsView::drawLayers() {
    const auto [low, high] = m_map.scale();
    const int group = m_map.perColumn(m_layersPlot->viewport());
    m_layersPlot->scale()->setRange(low, high);
    m_layersPlot->scale()->setFormat([measure = m_map.measure()](double value) { return measureText(measure, value); });
    m_layersPlot->scale()->setCaption(measureName(m_map.measure()),
                                      group > 1 ? tr("max of %1 experts").arg(group) : QString());
    m_layersPlot->map()->setDrawList(m_map.map(m_layersPlot->viewport(), *m_theme));
    m_layersPlot->marks()->setDrawList(
        m_map.marks(m_layersPlot->viewport(), *m_theme, m_selection.current(), m_selection.hovered()));
    m_layersPlot->strip(0).bars->setDrawList(m_map.diversityStrip(m_layersPlot->stripViewport(0), *m_theme));
    m_layersPlot->strip(1).bars->setDrawList(m_map.repeatStrip(m_layersPlot->stripViewport(1), *m_theme));
}

void ExpertsView::drawTokens() {
    const Viewport viewport = m_tokensPlot->viewport();
    const int group = m_tokens.perColumn(viewport);
    const bool byWeight = m_tokens.colour() == TokenExpertModel::Colour::Weight;
    m_tokensPlot->scale()->setVisible(byWeight);
    m_tokensPlot->scale()->setRange(m_tokens.scale().first, m_tokens.scale().second);
    m_tokensPlot->scale()->setCaption(tr("weight"), group > 1 ? tr("max of %1 tokens").arg(group) : QString());
    m_tokensPlot->map()->setDrawList(m_tokens.map(viewport, traceView(), *m_theme));
    Selection hovered = m_selection.hovered();
    if (m_brush) hovered = Selection{{}, m_brush, {}, {}};
    m_tokensPlot->marks()->setDrawList(m_tokens.marks(viewport, *m_theme, m_selection.current(), hovered));
}

void ExpertsView::drawMarks() {
    if (!isVisible() || m_stale) return;
    Selection hovered = m_selection.hovered();
    if (mode() == Mode::Layers) {
        m_layersPlot->marks()->setDrawList(
            m_map.marks(m_layersPlot->viewport(), *m_theme, m_selection.current(), hovered));
    } else {
        if (m_brush) hovered = Selection{{}, m_brush, {}, {}};
        m_tokensPlot->marks()->setDrawList(
            m_tokens.marks(m_tokensPlot->viewport(), *m_theme, m_selection.current(), hovered));
    }
    plot()->repaintMarks();
}

void ExpertsView::updateControls() {
    const bool layers = mode() == Mode::Layers;
    m_measure->setVisible(layers);
    m_lock->setVisible(layers);
    for (QWidget* widget : std::initializer_list<QWidget*>{m_layerLabel, m_layer, m_colour})
        widget->setVisible(!layers);
    const bool sums = m_map.hasOnlySums();
    m_mode->setTabEnabled(static_cast<int>(Mode::Tokens), !sums);
    m_mode->setTabToolTip(static_cast<int>(Mode::Tokens), sums ? tr("Counts were told without tokens.") : QString());
    auto* items = qobject_cast<QStandardItemModel*>(m_measure->model());
    for (int i = 0; i < m_measure->count(); ++i) {
        const auto measure = static_cast<ExpertMeasure>(m_measure->itemData(i).toInt());
        items->item(i)->setEnabled(!sums || measure == ExpertMeasure::Selections || measure == ExpertMeasure::Share);
    }
    const QSignalBlocker quiet(m_layer);
    m_layer->setRange(0, std::max(0, m_tokens.layers() - 1));
    m_layer->setValue(m_tokens.layer().value());
    m_measure->setToolTip(measureDefinition(m_map.measure()));
}

void ExpertsView::updateTexts() {
    if (!m_trace) {
        m_heading->clear();
        m_counted->clear();
        return;
    }
    const RunDescription& run = m_trace->entry().description;
    const QString what = mode() == Mode::Layers ? measureName(m_map.measure())
                                                : tr("layer %1, tokens × experts").arg(m_tokens.layer().value());
    m_heading->setText(QStringLiteral("<b>%1</b> — %2 · %3 · %4, %5, budget %6")
                           .arg(title(), what, QString::fromStdString(run.model.name).toHtmlEscaped(),
                                QString::fromStdString(run.policy).toHtmlEscaped(),
                                QString::fromStdString(run.eviction).toHtmlEscaped(), bytesText(run.budget)));
    if (mode() == Mode::Layers) {
        if (m_map.hasOnlySums()) return m_counted->setText(m_map.counted());
        m_counted->setText(
            m_map.counted() +
            tr(" Repeat rate: dashed is if random (%1).").arg(percentText(m_map.reuse().randomOverlap())) +
            (isCounted() ? QString() : tr(" Counting…")));
        return;
    }
    const QString colour = m_tokens.colour() == TokenExpertModel::Colour::Weight
                               ? tr("chosen experts by weight")
                               : tr("chosen experts by outcome (<font color='%1'>● hit</font>, <font color='%2'>◐ in "
                                    "flight</font>, <font color='%3'>○ missed</font>; the worst of a column)")
                                     .arg(m_theme->color(Meaning::Hit).name(), m_theme->color(Meaning::InFlight).name(),
                                          m_theme->color(Meaning::Miss).name());
    m_counted->setText(
        tr("Layer %1, %2 tokens: %3; tinted where the expert was resident when the token's step looked it "
           "up. Solid lines: a request starts; dashed: its first generated token.")
            .arg(QString::number(m_tokens.layer().value()), countText(m_tokens.tokens()), colour));
}

QAbstractItemModel* ExpertsView::table() {
    if (mode() == Mode::Tokens) return m_tokenTable;
    return m_table;
}

void ExpertsView::exportTo(const QString& file, const QSize& size) {
    refresh();
    m_controls->setVisible(false);
    m_heading->setVisible(true);
    const auto restore = [this] {
        m_controls->setVisible(true);
        m_heading->setVisible(false);
    };
    try {
        exportWidget(*this, file, size);
    } catch (...) {
        restore();
        throw;
    }
    restore();
}

}  // namespace expertscope
