// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/timeline_view.h"

#include <QKeyEvent>
#include <QLabel>
#include <QScrollBar>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <limits>

#include <qcustomplot.h>

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

constexpr double kZoomStep = 1.5;
constexpr double kPanShare = 0.15;
constexpr double kShortestRange = 50;  // ns: below it there is nothing to see
constexpr int kDragPixels = 4;         // less is a click
constexpr int kRefreshMilliseconds = 40;
constexpr QMargins kPlotMargins(96, 6, 14, 28);
constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();

const QString kHint = QStringLiteral(
    "W/S zoom · A/D pan · F focus, again fits · drag measures · Shift+drag selects time · M mark · Esc drops the "
    "measurement");

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
    m_footer->setMinimumWidth(1);
    m_footer->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    m_plot->setMinimumSize(240, 80);
    setFocusPolicy(Qt::StrongFocus);
    setAccessibleName(title());
    buildPlot();
    m_empty = new EmptyState(this);

    m_refreshTimer.setSingleShot(true);
    m_refreshTimer.setInterval(kRefreshMilliseconds);
    connect(&m_refreshTimer, &QTimer::timeout, this, &TimelineView::refresh);
    connect(&m_session, &SessionModel::sessionChanged, this, &TimelineView::takeTrace);
    connect(&m_session, &SessionModel::currentRunChanged, this, &TimelineView::takeTrace);
    connect(&m_session, &SessionModel::dataGrown, this, &TimelineView::scheduleRefresh);
    connect(&m_session, &SessionModel::runsChanged, this, &TimelineView::updateEmptyState);
    connect(&m_selection, &SelectionModel::changed, this, &TimelineView::replotMarks);
    connect(&m_selection, &SelectionModel::hoverChanged, this, &TimelineView::replotMarks);
    setTheme(Theme::light());
    takeTrace();
}

TimelineView::~TimelineView() = default;

void TimelineView::buildPlot() {
    m_plot->setFocusPolicy(Qt::NoFocus);
    m_plot->setMouseTracking(true);
    QCPAxisRect* rect = m_plot->axisRect();
    rect->setAutoMargins(QCP::msNone);
    rect->setMargins(kPlotMargins);
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

void TimelineView::updateLegend() {
    std::vector<LegendEntry> entries;
    const auto add = [&](const char* text, SpanPaint paint) {
        entries.push_back({QString::fromUtf8(text), paintColor(paint, *m_theme), paintPattern(paint)});
    };
    add("compute", SpanPaint::Experts);
    add("wait, exposed transfer", SpanPaint::Wait);
    add("transfer on demand", SpanPaint::Demand);
    add("prefetch useful, hidden transfer", SpanPaint::PrefetchUseful);
    add("late", SpanPaint::PrefetchLate);
    add("wasted", SpanPaint::PrefetchWasted);
    add("cancelled", SpanPaint::PrefetchCancelled);
    m_legend->setEntries(std::move(entries));
}

void TimelineView::takeTrace() {
    m_model.setTrace(m_session.trace());
    m_measured.reset();
    m_clicked.reset();
    m_marks.clear();
    m_follow = Follow::All;
    refresh();
}

void TimelineView::scheduleRefresh() {
    if (!m_refreshTimer.isActive()) m_refreshTimer.start();
}

void TimelineView::refresh() {
    m_refreshTimer.stop();
    m_model.update();
    m_table->update();
    updateRows();
    followData();
    updateEmptyState();
    updateFooter();
    m_plot->replot(QCustomPlot::rpQueuedReplot);
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
                        metrics.elidedText(rows[i]->title, Qt::ElideRight, kPlotMargins.left() - 12));
    }
}

void TimelineView::fitRowsToHeight() {
    const int height = m_plot->viewport().height() - kPlotMargins.top() - kPlotMargins.bottom();
    const int hidden = std::max(0, m_model.contentHeight() - height);
    const QSignalBlocker blocker(m_scroll);
    m_scroll->setRange(0, hidden);
    m_scroll->setPageStep(std::max(1, height));
    m_scroll->setSingleStep(TimelineModel::kRowPitch);
    m_scroll->setVisible(hidden > 0);
    m_plot->yAxis->setRange(m_scroll->value(), m_scroll->value() + std::max(1, height));
}

void TimelineView::updateEmptyState() {
    if (!m_model.empty()) {
        m_empty->hide();
        return;
    }
    const RunTrace* trace = m_session.trace();
    if (!trace) {
        m_empty->tell("No run to show",
                      "Open a session or profile a model: its compute, waits and transfers appear here.");
    } else if (trace->entry().state == RunState::Running) {
        m_empty->tell("Waiting for the first step",
                      "The run has begun; its spans appear as soon as they are recorded.");
    } else if (!trace->entry().description.record.spans) {
        m_empty->tell("This run recorded no spans",
                      "Record it again with \"spans\" among what is recorded (--record routing,spans).");
    } else {
        m_empty->tell("This run ended before its first step", "The Overview says how it ended.");
    }
}

void TimelineView::updateFooter() {
    QString text = kHint;
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

void TimelineView::zoomTo(TimeStretch stretch) {
    m_follow = Follow::No;
    const auto width = static_cast<double>(std::max<std::int64_t>(stretch.to - stretch.from, 1));
    move(static_cast<double>(stretch.from) - width * 0.1, width * 1.2);
}

void TimelineView::move(double from, double width) {
    const TimeStretch all = m_model.extent();
    const auto whole = static_cast<double>(all.to - all.from);
    width = std::clamp(width, kShortestRange, std::max(kShortestRange, whole * 4));
    // Something of the run stays in sight.
    const double low =
        std::clamp(from, static_cast<double>(all.from) - width * 0.9, static_cast<double>(all.to) - width * 0.1);
    m_plot->xAxis->setRange(low, low + width);
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void TimelineView::zoom(double factor) {
    if (m_model.empty()) return;
    m_follow = Follow::No;
    const QCPRange range = m_plot->xAxis->range();
    const double anchor = range.contains(m_cursor) ? m_cursor : range.center();
    const double width = std::max(range.size() / factor, kShortestRange);
    move(anchor - (anchor - range.lower) * width / range.size(), width);
}

void TimelineView::pan(double share) {
    if (m_model.empty()) return;
    m_follow = Follow::No;
    const QCPRange range = m_plot->xAxis->range();
    move(range.lower + share * range.size(), range.size());
}

void TimelineView::zoomIn() { zoom(kZoomStep); }
void TimelineView::zoomOut() { zoom(1 / kZoomStep); }
void TimelineView::panLeft() { pan(-kPanShare); }
void TimelineView::panRight() { pan(kPanShare); }

void TimelineView::showAll() {
    m_follow = Follow::All;
    followData();
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void TimelineView::followEnd() {
    m_follow = Follow::End;
    followData();
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void TimelineView::focusSelection() {
    if (m_model.empty()) return;
    std::optional<TimeStretch> target = m_clicked;
    if (!target) target = m_model.stretchOf(m_selection.current());
    const TimeStretch before = visible();
    if (target) zoomTo(*target);
    if (!target || visible() == before) showAll();
}

void TimelineView::addMark() {
    if (m_model.empty()) return;
    const QCPRange range = m_plot->xAxis->range();
    m_marks.push_back(std::llround(range.contains(m_cursor) ? m_cursor : range.center()));
    replotMarks();
}

void TimelineView::dismissMeasure() {
    m_measured.reset();
    updateFooter();
    replotMarks();
}

void TimelineView::keyPressEvent(QKeyEvent* event) {
    if (event->modifiers() & (Qt::ControlModifier | Qt::AltModifier | Qt::MetaModifier)) {
        event->ignore();
        return;
    }
    switch (event->key()) {
        case Qt::Key_W:
            zoomIn();
            break;
        case Qt::Key_S:
            zoomOut();
            break;
        case Qt::Key_A:
        case Qt::Key_Left:
            panLeft();
            break;
        case Qt::Key_D:
        case Qt::Key_Right:
            panRight();
            break;
        case Qt::Key_F:
            focusSelection();
            break;
        case Qt::Key_M:
            addMark();
            break;
        case Qt::Key_End:
            followEnd();
            break;
        case Qt::Key_Up:
            m_scroll->triggerAction(QScrollBar::SliderSingleStepSub);
            break;
        case Qt::Key_Down:
            m_scroll->triggerAction(QScrollBar::SliderSingleStepAdd);
            break;
        case Qt::Key_Escape:
            if (m_measured) {
                dismissMeasure();
            } else {
                event->ignore();  // the window drops the newest chip
            }
            break;
        default:
            View::keyPressEvent(event);
    }
}

void TimelineView::leaveEvent(QEvent* event) {
    m_cursor = kNowhere;
    m_selection.hover({});
    View::leaveEvent(event);
}

double TimelineView::timeAt(double x) const { return m_plot->xAxis->pixelToCoord(x); }

std::optional<TimelineHit> TimelineView::hitAt(const QPoint& pos) const {
    if (!m_plot->axisRect()->rect().contains(pos)) return std::nullopt;
    const double pixel = m_plot->xAxis->range().size() / std::max(1, m_plot->axisRect()->width());
    return m_model.hitAt(QPointF(timeAt(pos.x()), m_plot->yAxis->pixelToCoord(pos.y())), pixel);
}

void TimelineView::pressed(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) return;
    setFocus(Qt::MouseFocusReason);
    m_press = event->pos();
    m_dragging = false;
}

void TimelineView::moved(QMouseEvent* event) {
    m_cursor = timeAt(event->pos().x());
    if (!m_press || !(event->buttons() & Qt::LeftButton)) {
        hover(event->pos(), event->globalPosition().toPoint());
        return;
    }
    m_dragging = m_dragging || std::abs(event->pos().x() - m_press->x()) >= kDragPixels;
    if (!m_dragging) return;
    const double a = timeAt(m_press->x());
    m_measured = TimeStretch{std::llround(std::min(a, m_cursor)), std::llround(std::max(a, m_cursor))};
    updateFooter();
    replotMarks();
}

void TimelineView::released(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton || !m_press) return;
    const QPoint press = *m_press;
    m_press.reset();
    if (!m_dragging) {
        click(press);
        return;
    }
    m_dragging = false;
    if ((event->modifiers() & Qt::ShiftModifier) && m_measured && m_model.rows()) {
        Selection next = m_selection.current();
        next.time = TimeRange{m_model.rows()->absolute(m_measured->from), m_model.rows()->absolute(m_measured->to)};
        m_measured.reset();
        updateFooter();
        m_selection.set(next);
    }
}

void TimelineView::click(const QPoint& pos) {
    const auto hit = hitAt(pos);
    if (!hit) return;
    m_clicked = m_model.stretchOf(*hit);
    const Selection of = m_model.selectionOf(*hit);
    Selection next = m_selection.current();
    if (of.layer) next.layer = of.layer, next.expert = of.expert;
    if (of.tokens) next.tokens = of.tokens;
    m_selection.set(next);
}

void TimelineView::doubleClicked(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) return;
    m_press.reset();
    if (const auto hit = hitAt(event->pos())) {
        m_clicked = m_model.stretchOf(*hit);
        zoomTo(*m_clicked);
    }
}

void TimelineView::wheeled(QWheelEvent* event) {
    const double notches = event->angleDelta().y() / 120.0;
    if (event->modifiers() & Qt::ControlModifier) {
        zoom(std::pow(kZoomStep, notches));
    } else if (event->angleDelta().x() != 0) {
        pan(-event->angleDelta().x() / 120.0 * kPanShare);
    } else {
        m_scroll->setValue(m_scroll->value() - static_cast<int>(notches * 2 * TimelineModel::kRowPitch));
    }
    event->accept();
}

void TimelineView::hover(const QPoint& pos, const QPoint& global) {
    const auto hit = hitAt(pos);
    if (hit) {
        Selection under = m_model.selectionOf(*hit);
        under.tokens.reset();
        m_selection.hover(under);
        QToolTip::showText(global + QPoint(12, 12), m_model.describe(*hit).join(QChar('\n')), m_plot);
        return;
    }
    m_selection.hover({});
    const auto row =
        static_cast<std::size_t>(std::max(0.0, m_plot->yAxis->pixelToCoord(pos.y()) / TimelineModel::kRowPitch));
    const bool onTitle = pos.x() < kPlotMargins.left() && m_model.rows() && row < m_model.rows()->rows().size();
    if (onTitle) {
        const TimelineRow& titled = *m_model.rows()->rows()[row];
        QToolTip::showText(global + QPoint(12, 12), titled.title + QChar('\n') + titled.explanation, m_plot);
    } else {
        QToolTip::hideText();
    }
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
