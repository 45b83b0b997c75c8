// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/timeline_view.h"

#include <QGridLayout>
#include <QLabel>
#include <QScrollBar>
#include <algorithm>
#include <cmath>
#include <limits>

#include <qcustomplot.h>

#include "views/base/background_job.h"
#include "views/base/draw_list_plottable.h"
#include "views/base/empty_state.h"
#include "views/base/legend_strip.h"
#include "views/base/number_format.h"
#include "views/base/plot_style.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"
#include "views/base/view_export.h"
#include "views/timeline/span_table.h"
#include "views/timeline/time_ticker.h"

namespace expertscope {
namespace {

constexpr double kShortestRange = 50;  // ns: below it there is nothing to see
constexpr int kRefreshMilliseconds = 40;
constexpr std::size_t kSpansAtOnce = 50'000;  // a long recording is taken in by parts, so that the window never stands
constexpr int kTallestRow = 84;               // pixels
constexpr int kPixelsPerTick = 90;            // a label such as "1,234.5 ms" and its neighbour's
constexpr int kFewestPixels = 1280;           // a hidden view does not know yet how wide it will be
constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();

const QString kHint = QStringLiteral(
    "W/S zoom · A/D pan · F focus, again fits · drag measures · Shift+drag selects time · M mark · Esc drops the "
    "measurement");

bool isRange(SpanPaint paint) { return paint >= SpanPaint::RangeFirst && paint <= SpanPaint::RangeFourth; }

/// Whether a run is shown in parts: one that grows is taken in as it comes.
bool isLong(const RunTrace& run) {
    if (run.entry().state == RunState::Running) return false;
    const std::int64_t told = run.entry().summary ? run.entry().summary->spans : 0;
    if (told == 0 && !run.isWhole()) return true;
    return std::max(told, static_cast<std::int64_t>(run.spans().size())) > TimelineParts::kMostWhole;
}

}  // namespace

TimelineView::TimelineView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : View(session, selection, parent),
      m_theme(&Theme::light()),
      m_plot(new QCustomPlot(this)),
      m_scroll(new QScrollBar(Qt::Vertical, this)),
      m_legend(new LegendStrip(this)),
      m_footer(new QLabel(this)),
      m_empty(nullptr),
      m_items(nullptr),
      m_marksLayer(nullptr),
      m_table(new SpanTable(m_model, this)),
      m_reading(new BackgroundJob(this)),
      m_cursor(kNowhere) {
    auto* layout = new QGridLayout(this);
    layout->setContentsMargins(0, 4, 0, 4);
    layout->setSpacing(2);
    layout->addWidget(m_legend, 0, 0, 1, 2);
    layout->addWidget(m_plot, 1, 0);
    layout->addWidget(m_scroll, 1, 1);
    layout->addWidget(m_footer, 2, 0, 1, 2);
    layout->setRowStretch(1, 1);
    layout->setColumnStretch(0, 1);
    m_footer->setContentsMargins(8, 0, 8, 0);
    m_footer->setWordWrap(true);
    m_footer->setMinimumSize(1, QFontMetrics(plotFont()).height());
    m_plot->setMinimumSize(240, 80);
    setFocusPolicy(Qt::StrongFocus);
    setAccessibleName(title());
    buildPlot();
    m_empty = new EmptyState(this);
    connect(m_empty, &EmptyState::commandWanted, this, &View::commandWanted);

    connect(m_reading, &BackgroundJob::ended, this, [this](const QString& failure) {
        if (failure.isEmpty()) return;
        m_parts.reset();  // the last picture stays
        m_failure = failure;
        updateFooter();
    });
    m_refreshTimer.setSingleShot(true);
    connect(&m_refreshTimer, &QTimer::timeout, this, [this] {
        if (isVisible()) {
            takeIn(kSpansAtOnce);
        } else {
            m_stale = true;
        }
    });
    connect(&m_session, &SessionModel::sessionChanged, this, &TimelineView::takeTrace);
    connect(&m_session, &SessionModel::currentRunChanged, this, [this] {
        if (m_model.trace() != m_session.trace()) takeTrace();  // else it was taken with its session
    });
    connect(&m_session, &SessionModel::dataGrown, this, &TimelineView::scheduleRefresh);
    connect(&m_session, &SessionModel::runsChanged, this, &TimelineView::updateEmptyState);
    connect(&m_selection, &SelectionModel::changed, this, &TimelineView::replotMarks);
    connect(&m_selection, &SelectionModel::hoverChanged, this, &TimelineView::replotMarks);
    setTheme(Theme::light());
    takeTrace();
}

TimelineView::~TimelineView() = default;

/// Left of the rows their titles, below them the times.
QMargins TimelineView::plotMargins() { return {96, 6, 14, 28}; }

void TimelineView::buildPlot() {
    m_plot->setFocusPolicy(Qt::NoFocus);
    m_plot->setMouseTracking(true);
    QCPAxisRect* rect = m_plot->axisRect();
    rect->setAutoMargins(QCP::msNone);
    rect->setMargins(plotMargins());
    m_plot->xAxis->setTicker(QSharedPointer<TimeTicker>::create());
    m_plot->yAxis->setTicker(QSharedPointer<QCPAxisTickerText>::create());
    m_plot->yAxis->setRangeReversed(true);
    m_plot->yAxis->setTickLength(0);
    m_plot->yAxis->setSubTicks(false);
    m_plot->yAxis->grid()->setVisible(false);
    m_items = new DrawListPlottable(m_plot->xAxis, m_plot->yAxis);
    m_items->setGap(1);
    m_items->setEliding(false);
    m_items->setSource([this](const Viewport& viewport) { return m_model.drawItems(viewport, *m_theme); });
    m_marksLayer = new DrawListPlottable(m_plot->xAxis, m_plot->yAxis);
    m_marksLayer->setLayer("overlay");
    m_marksLayer->setSource([this](const Viewport& viewport) { return marksList(viewport); });

    connect(m_plot, &QCustomPlot::beforeReplot, this, &TimelineView::fitRowsToHeight);
    connect(m_scroll, &QScrollBar::valueChanged, this, [this] { m_plot->replot(QCustomPlot::rpQueuedReplot); });
    connect(m_plot, &QCustomPlot::mousePress, this, &TimelineView::pressed);
    connect(m_plot, &QCustomPlot::mouseMove, this, &TimelineView::moved);
    connect(m_plot, &QCustomPlot::mouseRelease, this, &TimelineView::released);
    connect(m_plot, &QCustomPlot::mouseDoubleClick, this, &TimelineView::doubleClicked);
    connect(m_plot, &QCustomPlot::mouseWheel, this, &TimelineView::wheeled);
}

void TimelineView::setTheme(const Theme& theme) {
    m_theme = &theme;
    QPalette palette = theme.palette();
    palette.setColor(QPalette::Window, theme.background());
    setPalette(palette);
    setAutoFillBackground(true);
    applyTheme(*m_plot, theme);
    m_plot->yAxis->setTickLabelColor(theme.text());
    m_footer->setFont(plotFont());
    m_legend->setTheme(theme);
    m_empty->setTheme(theme);
    updateLegend();
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

/// Explains what occurs in the run.
void TimelineView::updateLegend() {
    const std::vector<SpanPaint> there = m_model.paints();
    const auto occurs = [&](SpanPaint paint) { return std::ranges::find(there, paint) != there.end(); };
    std::vector<LegendEntry> entries;
    const auto add = [&](const char* text, SpanPaint paint) {
        entries.push_back({QString::fromUtf8(text), paintColor(paint, *m_theme), paintPattern(paint)});
    };
    const auto addBoth = [&](SpanPaint first, const char* one, SpanPaint second, const char* other, const char* both) {
        if (occurs(first) || occurs(second))
            add(occurs(first) && occurs(second) ? both : occurs(first) ? one : other, first);
    };
    if (occurs(SpanPaint::Experts) || occurs(SpanPaint::ExpertCompute)) add("experts", SpanPaint::Experts);
    for (const SpanPaint phase : {SpanPaint::Attention, SpanPaint::Router, SpanPaint::Combine, SpanPaint::Head,
                                  SpanPaint::Sample, SpanPaint::Predict})
        if (occurs(phase)) entries.push_back({paintName(phase), paintColor(phase, *m_theme), paintPattern(phase)});
    if (occurs(SpanPaint::NearMemory)) add("experts near memory", SpanPaint::NearMemory);
    addBoth(SpanPaint::Wait, "wait", SpanPaint::Exposed, "exposed transfer", "wait, exposed transfer");
    if (occurs(SpanPaint::Demand)) add("transfer on demand", SpanPaint::Demand);
    addBoth(SpanPaint::PrefetchUseful, "prefetch useful", SpanPaint::Hidden, "hidden transfer",
            "prefetch useful, hidden transfer");
    if (occurs(SpanPaint::PrefetchLate)) add("late", SpanPaint::PrefetchLate);
    if (occurs(SpanPaint::PrefetchWasted)) add("wasted", SpanPaint::PrefetchWasted);
    if (occurs(SpanPaint::PrefetchCancelled)) add("cancelled", SpanPaint::PrefetchCancelled);
    if (occurs(SpanPaint::PrefetchOpen)) add("prefetch, fate not known", SpanPaint::PrefetchOpen);
    if (occurs(SpanPaint::Preload)) add("preload", SpanPaint::Preload);
    if (std::ranges::any_of(there, isRange)) add("ranges, colours tell neighbours apart", SpanPaint::RangeFirst);
    m_legend->setEntries(std::move(entries));
}

void TimelineView::takeTrace() {
    const RunTrace* const trace = m_session.trace();
    m_reading->cancel();
    m_parts.reset();
    m_failure.clear();
    if (trace && isLong(*trace)) {
        m_parts = std::make_shared<TimelineParts>(m_session.file().toStdString(), *trace);
        m_model.showInParts(*trace);
    } else {
        m_model.setTrace(trace, kSpansAtOnce);
    }
    m_table->reset();
    m_measured.reset();
    m_clicked.reset();
    m_marks.clear();
    m_follow = Follow::All;
    takeIn(kSpansAtOnce);
}

void TimelineView::scheduleRefresh() {
    if (!m_refreshTimer.isActive()) m_refreshTimer.start(kRefreshMilliseconds);
}

void TimelineView::refresh() {
    takeIn(TimelineRows::kAll);
    finishReading();
}

/// Takes in at most so many spans and shows what there is; where there is more, the timer goes on with it.
void TimelineView::takeIn(std::size_t most) {
    m_refreshTimer.stop();
    m_stale = false;
    m_model.update(most);
    if (!m_model.complete()) m_refreshTimer.start(0);
    m_table->grow();
    lookOn();
    updateRows();
    followData();
    updateEmptyState();
    updateFooter();
    updateLegend();
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

/// Of a run that is shown in parts: asks for the part that is visible unless it is there. What is asked for while
/// another is read is asked for again when that one is drawn, so that a picture that moves always shows the latest.
void TimelineView::lookOn(bool evenHidden) {
    if (!m_model.inParts()) return;
    m_model.look(visible());
    if (!m_parts || m_reading->running() || !(isVisible() || evenHidden)) return;
    const double pixel = static_cast<double>(visible().to - visible().from) / pixelsAcross();
    if (!m_model.suits(visible(), pixel)) readPart();
}

void TimelineView::readPart() {
    m_reading->start([this, parts = m_parts, whole = !m_model.hasWhole(), stretch = visible(),
                      pixels = pixelsAcross()](const JobControl&) -> BackgroundJob::Taker {
        const auto part = std::make_shared<TimelinePart>(whole ? parts->whole(pixels) : parts->around(stretch, pixels));
        return [this, part] { takePart(std::move(*part)); };
    });
}

void TimelineView::takePart(TimelinePart part) {
    if (!part.rows) {  // a run without spans
        m_parts.reset();
        return updateEmptyState();
    }
    const bool first = !m_model.hasWhole();
    m_model.take(std::move(part));
    if (first) {
        updateRows();
        followData();
        updateEmptyState();
        updateLegend();
    }
    m_model.look(visible());
    updateFooter();
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void TimelineView::finishReading() {
    for (lookOn(true); m_reading->running(); lookOn(true))
        m_reading->wait();
}

int TimelineView::pixelsAcross() const {
    const QMargins margins = plotMargins();
    const int width = m_plot->viewport().width() - margins.left() - margins.right();
    return static_cast<int>(std::ceil(std::max(kFewestPixels, width) * devicePixelRatioF()));
}

void TimelineView::showEvent(QShowEvent* event) {
    View::showEvent(event);
    if (m_stale) takeIn(kSpansAtOnce);
    lookOn();
}

void TimelineView::followData() {
    if (m_model.empty() || m_follow == Follow::No) return;
    const TimeStretch all = m_model.extent();
    const auto from = static_cast<double>(all.from);
    const auto to = static_cast<double>(all.to);
    const double width = std::max(to - from, kShortestRange);
    if (m_follow == Follow::All) {
        m_plot->xAxis->setRange(from - width * 0.01, to + width * 0.01);
    } else {
        const double kept = m_plot->xAxis->range().size();
        m_plot->xAxis->setRange(to + kept * 0.02 - kept, to + kept * 0.02);
    }
}

void TimelineView::updateRows() {
    auto ticker = m_plot->yAxis->ticker().dynamicCast<QCPAxisTickerText>();
    ticker->clear();
    if (!m_model.rows()) return;
    const QFontMetrics metrics(plotFont());
    const auto& rows = m_model.rows()->rows();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        ticker->addTick(TimelineModel::rowCentre(i),
                        metrics.elidedText(rows[i]->title, Qt::ElideMiddle, plotMargins().left() - 12));
    }
}

/// Gives the rows the height that there is, as far as they profit from it, and the time axis as many ticks as it has
/// room for.
void TimelineView::fitRowsToHeight() {
    const QMargins margins = plotMargins();
    const int height = std::max(1, m_plot->viewport().height() - margins.top() - margins.bottom());
    const int content = m_model.contentHeight();
    const double tallest = static_cast<double>(kTallestRow) / TimelineModel::kRowPitch;
    const double stretch = content > 0 ? std::clamp(static_cast<double>(height) / content, 1.0, tallest) : 1;
    const double visible = height / stretch;
    const int hidden = std::max(0, content - height);
    {
        const QSignalBlocker blocker(m_scroll);
        m_scroll->setRange(0, hidden);
        m_scroll->setPageStep(height);
        m_scroll->setSingleStep(TimelineModel::kRowPitch);
        m_scroll->setVisible(hidden > 0);
    }
    m_plot->yAxis->setRange(m_scroll->value(), m_scroll->value() + visible);
    lookOn();
    const int width = m_plot->viewport().width() - margins.left() - margins.right();
    m_plot->xAxis->ticker()->setTickCount(std::clamp(width / kPixelsPerTick, 3, 12));
}

void TimelineView::updateEmptyState() {
    if (!m_model.empty() || m_parts) {
        m_empty->hide();
        return;
    }
    const RunTrace* trace = m_session.trace();
    tellWhyEmpty(*m_empty, trace,
                 {QStringLiteral("its compute, waits and transfers"), QStringLiteral("spans"),
                  !trace || trace->entry().description.record.spans});
}

void TimelineView::updateFooter() {
    QString text = m_failure.isEmpty() ? kHint : m_failure;
    if (m_measured) {
        const TimelineMeasure m = m_model.measure(*m_measured);
        const auto share = [&](Nanoseconds part) { return percentText(part.count(), m.length.count()); };
        text = QStringLiteral(
                   "%1 measured · compute %2 (%3 of it) · wait %4 (%5) · transfers %6 (%7), exposed %8 (%9 of them) · "
                   "%10 moved")
                   .arg(durationText(m.length), durationText(m.compute), share(m.compute), durationText(m.wait),
                        share(m.wait), durationText(m.transfer), share(m.transfer), durationText(m.exposed),
                        percentText(m.exposed.count(), m.transfer.count()))
                   .arg(bytesText(m.bytes));
    }
    m_footer->setText(text);
    m_footer->setToolTip(text);
}

QString TimelineView::footer() const { return m_footer->text(); }

QAbstractItemModel* TimelineView::table() { return m_table; }

void TimelineView::exportTo(const QString& file, const QSize& size) {
    refresh();
    exportWidget(*this, file, size);
}

TimeStretch TimelineView::visible() const {
    const QCPRange range = m_plot->xAxis->range();
    return {std::llround(range.lower), std::llround(range.upper)};
}

void TimelineView::dismissMeasure() {
    m_measured.reset();
    updateFooter();
    replotMarks();
}

void TimelineView::replotMarks() { m_plot->layer("overlay")->replot(); }

DrawList TimelineView::marksList(const Viewport& viewport) const {
    DrawList list = m_model.drawMarks(viewport, *m_theme, m_selection.current(), m_selection.hovered());
    const QRectF& range = viewport.range;
    if (m_measured) {
        QColor pale = m_theme->text();
        pale.setAlpha(30);
        const auto from = static_cast<double>(m_measured->from);
        const auto to = static_cast<double>(m_measured->to);
        list.rects.push_back({QRectF(QPointF(from, range.top()), QPointF(to, range.bottom())), pale});
        for (const double x : {from, to})
            list.lines.push_back({{x, range.top()}, {x, range.bottom()}, m_theme->text()});
        const double middle =
            std::clamp((from + to) / 2, range.left() + range.width() * 0.05, range.right() - range.width() * 0.05);
        list.texts.push_back({{middle, range.bottom()},
                              durationText(Nanoseconds(m_measured->to - m_measured->from)),
                              m_theme->text(),
                              Qt::AlignHCenter | Qt::AlignBottom});
    }
    for (const std::int64_t mark : m_marks) {
        const auto x = static_cast<double>(mark);
        if (x < range.left() || x > range.right()) continue;
        list.lines.push_back({{x, range.top()}, {x, range.bottom()}, m_theme->highlight(), true});
        list.texts.push_back({{x + range.width() * 0.004, range.bottom()},
                              TimeTicker::text(x, range.width() / 100),
                              m_theme->highlight(),
                              Qt::AlignLeft | Qt::AlignBottom});
    }
    return list;
}

}  // namespace expertscope
