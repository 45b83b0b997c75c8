// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/compare/compare_view.h"

#include <QComboBox>
#include <QGridLayout>
#include <QLabel>
#include <QScrollArea>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QVBoxLayout>
#include <algorithm>
#include <optional>

#include <qcustomplot.h>

#include "profiler/analysis/run_trace.h"
#include "views/base/draw_list_plottable.h"
#include "views/base/empty_state.h"
#include "views/base/job_strip.h"
#include "views/base/label_ticker.h"
#include "views/base/legend_strip.h"
#include "views/base/number_format.h"
#include "views/base/plot_style.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"
#include "views/base/view_export.h"

namespace expertscope {
namespace {

constexpr int kUpdateMilliseconds = 500;
constexpr int kWidthOfTwoColumns = 760;
constexpr int kWidthOfThreeColumns = 1180;
constexpr int kPatienceMilliseconds = 300;  // most counting has ended by then
constexpr int kTimelineHeight = 190;        // two times three lanes, so that their names do not touch

}  // namespace

CompareView::CompareView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : View(session, selection, parent),
      m_theme(&Theme::light()),
      m_table(new TableModel(this)),
      m_page(new QWidget),
      m_verdict(new QLabel(m_page)) {
    setAccessibleName(title());
    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setWidget(m_page);
    auto* outer = new QVBoxLayout(this);
    outer->setContentsMargins(0, 0, 0, 0);
    outer->addWidget(scroll);
    outer->addWidget(m_strip = new JobStrip(m_job, this));
    m_strip->setPatience(kPatienceMilliseconds);
    m_verdict->setWordWrap(true);
    m_verdict->setTextInteractionFlags(Qt::TextSelectableByMouse);
    QFont font = plotFont();
    font.setPointSizeF(11);
    m_verdict->setFont(font);
    makeControls();
    const QString perRun = tr("One row a run; run A is blue, run B orange.");
    m_rows[0] =
        makeChart(tr("Decode speed"), tr("Mean over requests with its 95 % interval. ") + perRun, tr("tok/s"), false);
    m_rows[1] = makeChart(tr("Time per output token"),
                          tr("Box from the fastest to the slowest tenth, line at the median, whisker to the slowest "
                             "hundredth. ") +
                              perRun,
                          tr("ms"), false);
    m_rows[2] = makeChart(tr("Where the compute thread's time went"), tr("Shares of each run's time."),
                          tr("% of the run's time"), true);
    m_rows[3] = makeChart(tr("Bytes by what became of them"), tr("Expert bytes that were issued to be moved."),
                          tr("MiB"), true);
    m_hitRates = makeChart(tr("Hit rate by layer"), tr("Share of a layer's accesses that found their expert."),
                           tr("layer"), false);
    m_hitRates.plot->yAxis->setLabel(tr("hits (%)"));
    m_timeline = makeChart(tr("A and B on one time axis"),
                           tr("Both from the first token of the same request; as tall as busy. The line is where the "
                              "run is done."),
                           tr("ms since the request's first token"), true);
    m_timeline.plot->setMinimumHeight(kTimelineHeight);

    m_grid = new QGridLayout;
    m_grid->setSpacing(6);
    auto* page = new QVBoxLayout(m_page);
    page->setContentsMargins(10, 8, 10, 8);
    page->addWidget(m_verdict);
    page->addWidget(m_controls);
    page->addLayout(m_grid, 1);
    m_empty = new EmptyState(scroll);  // leaves the strip of the job to be seen
    connect(m_empty, &EmptyState::commandWanted, this, &View::commandWanted);

    m_later.setSingleShot(true);
    m_later.setInterval(kUpdateMilliseconds);
    connect(&m_later, &QTimer::timeout, this, [this] {
        m_stale = true;
        if (isVisible()) ask();
    });
    connect(m_strip, &JobStrip::againWanted, this, &CompareView::askAgain);
    connect(&m_job, &BackgroundJob::ended, this, &CompareView::ended);
    const auto later = [this] {
        if (!m_later.isActive()) m_later.start();
    };
    connect(&m_session, &SessionModel::sessionChanged, this, &CompareView::takeSession);
    connect(&m_session, &SessionModel::runsChanged, this, later);
    connect(&m_session, &SessionModel::dataGrown, this, later);
    setTheme(*m_theme);
    takeSession();
}

CompareView::~CompareView() = default;

CompareView::Chart CompareView::makeChart(const QString& heading, const QString& definition, const QString& keyLabel,
                                          bool withLegend) {
    Chart chart;
    chart.box = new QWidget(m_page);
    chart.heading = new QLabel(heading, chart.box);
    chart.heading->setToolTip(definition);
    QFont bold = plotFont();
    bold.setBold(true);
    chart.heading->setFont(bold);
    chart.plot = new QCustomPlot(chart.box);
    chart.plot->setMinimumSize(220, 110);
    chart.plot->setAccessibleName(heading);
    chart.plot->xAxis->setLabel(keyLabel);
    chart.plot->xAxis->setTicker(QSharedPointer<ValueTicker>::create(*chart.plot->xAxis));
    chart.plot->setToolTip(definition);
    chart.marks = new DrawListPlottable(chart.plot->xAxis, chart.plot->yAxis);
    auto* layout = new QVBoxLayout(chart.box);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(2);
    layout->addWidget(chart.heading);
    layout->addWidget(chart.plot, 1);
    if (withLegend) layout->addWidget(chart.legend = new LegendStrip(chart.box));
    return chart;
}

void CompareView::makeControls() {
    m_controls = new QWidget(m_page);
    auto* row = new QHBoxLayout(m_controls);
    row->setContentsMargins(0, 0, 0, 0);
    const auto add = [&](const QString& text, QWidget* field) {
        auto* label = new QLabel(text, m_controls);
        label->setBuddy(field);
        row->addWidget(label);
        row->addWidget(field);
    };
    add(tr("Run A"), m_runA = new QComboBox(m_controls));
    add(tr("Run B"), m_runB = new QComboBox(m_controls));
    add(tr("Request"), m_request = new QSpinBox(m_controls));
    m_request->setMinimumWidth(64);
    m_request->setToolTip(tr("Which request the time axis shows, by its number in the run."));
    for (QComboBox* box : {m_runA, m_runB}) {
        box->setSizeAdjustPolicy(QComboBox::AdjustToContents);
        box->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
        row->setStretchFactor(box, 1);
        connect(box, &QComboBox::currentIndexChanged, this, &CompareView::chosen);
    }
    connect(m_request, &QSpinBox::valueChanged, this, [this] {
        drawMatched();
        ask();
    });
}

void CompareView::arrange(int width) {
    const int columns = width >= kWidthOfThreeColumns ? 3 : width >= kWidthOfTwoColumns ? 2 : 1;
    if (columns == m_columns) return;
    m_columns = columns;
    while (QLayoutItem* item = m_grid->takeAt(0))
        delete item;
    int at = 0;
    for (Chart* chart : {&m_rows[0], &m_rows[1], &m_hitRates, &m_rows[2], &m_rows[3]}) {
        m_grid->addWidget(chart->box, at / columns, at % columns);
        ++at;
    }
    // The time axis takes what is left of the last line, or a line of its own where that would be narrow.
    const int left = columns - at % columns;
    const bool own = left == columns;
    m_grid->addWidget(m_timeline.box, own ? (at + columns - 1) / columns : at / columns, own ? 0 : at % columns, 1,
                      own ? columns : left);
    for (int column = 0; column < 3; ++column)
        m_grid->setColumnStretch(column, column < columns ? 1 : 0);
}

void CompareView::resizeEvent(QResizeEvent* event) {
    arrange(width());
    View::resizeEvent(event);
}

void CompareView::showEvent(QShowEvent* event) {
    View::showEvent(event);
    ask();
}

void CompareView::setTheme(const Theme& theme) {
    m_theme = &theme;
    setPalette(theme.palette());
    setAutoFillBackground(true);
    for (Chart* chart : {&m_rows[0], &m_rows[1], &m_rows[2], &m_rows[3], &m_hitRates, &m_timeline}) {
        applyTheme(*chart->plot, theme);
        if (chart->legend) chart->legend->setTheme(theme);
    }
    m_empty->setTheme(theme);
    if (!m_model.empty()) draw();
}

void CompareView::takeSession() {
    m_model.clear();
    m_taken.clear();
    m_due.clear();
    m_lanes.clear();
    m_job.cancel();
    m_strip->forget();
    m_refused = false;
    m_stale = true;
    showCounted();
    // Reading every run of a session is for who looks at them.
    if (isVisible()) ask();
}

/// Notes which runs have grown or are new, and begins to read the first that is not whole: one after the other, so that
/// a session of many runs holds up nothing. False while there is such a run.
bool CompareView::findGrown() {
    m_stale = false;
    for (const RunEntry& run : m_session.runs()) {
        const RunTrace* const trace = m_session.trace(run.id);
        if (!trace->isWhole()) return false;  // its last part tells that it has grown
        const auto taken = m_taken.find(run.id.value());
        if (taken == m_taken.end() || taken->second != trace->revision()) m_due.insert(run.id.value());
    }
    return true;
}

/// Begins the next piece that is missing. What grows meanwhile is asked for in the next round, so that a run that grows
/// without end does not keep the others waiting.
void CompareView::ask() {
    if (m_job.running() || m_refused) return;
    if (m_due.empty() && !m_model.empty()) {
        for (const int run : {m_model.a(), m_model.b()}) {
            const Decoding decoding = decodingOf(run);
            const auto counted = m_lanes.find(decoding);
            if (counted == m_lanes.end() || counted->second.revision != m_taken.at(decoding.first))
                return countLanes(decoding);
        }
    }
    if (m_due.empty() && m_stale) {
        findGrown();
        if (m_model.empty()) showCounted();  // says what is being done
    }
    if (!m_due.empty()) countFigures(RunId(*m_due.begin()));
}

void CompareView::askAgain() {
    m_refused = false;
    ask();
}

void CompareView::countFigures(RunId run) {
    std::shared_ptr<const RunTrace> lent = m_session.lend(run);
    const std::int64_t revision = lent->revision();
    m_job.start([this, trace = std::move(lent), run, revision](const JobControl& control) {
        const QString what = tr("Counting run %1…").arg(run.value());
        RunFigures figures = figuresOf(*trace, [&](double share) { control.at(what, share); });
        return [this, run, revision, figures] {
            m_model.take(figures);
            m_taken[run.value()] = revision;
            m_due.erase(run.value());
            if (m_due.empty()) showCounted();
            ask();
        };
    });
}

void CompareView::countLanes(const Decoding& decoding) {
    std::shared_ptr<const RunTrace> lent = m_session.lend(RunId(decoding.first));
    const std::int64_t revision = m_taken.at(decoding.first);
    m_job.start([this, trace = std::move(lent), decoding, revision](const JobControl& control) {
        const QString what = tr("Looking at the lanes of run %1…").arg(decoding.first);
        const auto lanes = std::make_shared<const MatchedLanes>(*trace, RequestIndex(decoding.second),
                                                                [&](double share) { control.at(what, share); });
        return [this, decoding, revision, lanes] {
            m_lanes[decoding] = {revision, lanes};
            drawMatched();
            ask();
        };
    });
}

void CompareView::ended(const QString& failure, bool cancelled) {
    m_refused = cancelled || !failure.isEmpty();
    if (!m_refused) return;
    if (m_model.empty())
        m_empty->tell(tr("The runs are not counted"), cancelled ? tr("It was cancelled.") : failure);
    else
        drawMatched();
}

void CompareView::refresh() {
    m_later.stop();
    for (bool whole = false; !whole;) {
        m_session.finishReading();
        m_job.wait();  // of what was asked for before
        m_refused = false;
        whole = findGrown();
        ask();
        m_job.wait();
        if (m_refused) return;
    }
}

/// Shows what has been counted so far.
void CompareView::showCounted() {
    m_table->setTable(m_model.columns(), m_model.rows());
    if (!m_model.empty()) {
        m_empty->hide();
        arrange(width());
        fillRuns();
        draw();
        return;
    }
    const RunTrace* const first =
        m_session.runs().empty() || !isVisible() ? nullptr : m_session.trace(m_session.runs().front().id);
    if (first && first->isWhole())
        m_empty->tell(tr("Counting the runs…"), QString());
    else
        tellWhyEmpty(*m_empty, first, {tr("its runs side by side")});
}

void CompareView::fillRuns() {
    for (QComboBox* box : {m_runA, m_runB}) {
        const QSignalBlocker quiet(box);
        box->clear();
        for (int run = 0; run < static_cast<int>(m_model.runs().size()); ++run)
            box->addItem(m_model.label(run));
        box->setCurrentIndex(box == m_runA ? m_model.a() : m_model.b());
    }
}

void CompareView::chosen() {
    m_model.choose(m_runA->currentIndex(), m_runB->currentIndex());
    draw();
    ask();
}

CompareView::Decoding CompareView::decodingOf(int run) const {
    return {m_model.runs()[static_cast<std::size_t>(run)].id.value(), m_request->value()};
}

void CompareView::draw() {
    m_verdict->setText(m_model.sentence());
    drawRows(m_rows[0], CompareModel::Panel::Speed);
    drawRows(m_rows[1], CompareModel::Panel::TokenTime);
    drawRows(m_rows[2], CompareModel::Panel::TimeShares);
    drawRows(m_rows[3], CompareModel::Panel::IssuedBytes);
    m_hitRates.marks->setDrawList(m_model.hitRates(*m_theme));
    const auto layers = static_cast<double>(m_model.runs().front().hitRate.size());
    m_hitRates.plot->xAxis->setRange(-0.5, layers - 0.5);
    m_hitRates.plot->yAxis->setRange(-3, 103);
    auto ticker = QSharedPointer<QCPAxisTickerFixed>::create();
    ticker->setTickStep(1);
    ticker->setScaleStrategy(QCPAxisTickerFixed::ssMultiples);
    m_hitRates.plot->xAxis->setTicker(ticker);
    m_hitRates.plot->replot();
    drawMatched();
}

void CompareView::drawRows(Chart& chart, CompareModel::Panel panel) {
    const int runs = static_cast<int>(m_model.runs().size());
    auto ticker = QSharedPointer<QCPAxisTickerText>::create();
    for (int run = 0; run < runs; ++run) {
        const RunFigures& figures = m_model.runs()[static_cast<std::size_t>(run)];
        ticker->addTick(
            run,
            QStringLiteral("#%1 %2").arg(figures.id.value()).arg(QString::fromStdString(figures.description.policy)));
    }
    chart.plot->yAxis->setTicker(ticker);
    chart.plot->yAxis->setRangeReversed(true);
    chart.plot->yAxis->setRange(-0.6, runs - 0.4);
    chart.plot->yAxis->grid()->setVisible(false);
    chart.plot->xAxis->setRange(0, m_model.panelEnd(panel) * (panel == CompareModel::Panel::TimeShares ? 1 : 1.04));
    chart.marks->setDrawList(m_model.panel(panel, *m_theme));
    if (chart.legend) {
        std::vector<LegendEntry> entries;
        const int first = 0;
        for (const ComparePart& part :
             panel == CompareModel::Panel::TimeShares ? m_model.time(first) : m_model.bytes(first))
            entries.push_back({part.name, m_theme->color(part.meaning), part.pattern});
        chart.legend->setEntries(entries);
    }
    chart.plot->replot();
}

void CompareView::drawMatched() {
    if (m_model.empty()) return;
    const auto requestsOf = [&](int run) {
        return static_cast<int>(m_session.trace(RunId(decodingOf(run).first))->requests().size());
    };
    {
        const QSignalBlocker quiet(m_request);
        m_request->setRange(0, std::max(0, std::min(requestsOf(m_model.a()), requestsOf(m_model.b())) - 1));
    }
    const auto lanesOf = [&](int run) {
        const auto counted = m_lanes.find(decodingOf(run));
        return counted == m_lanes.end() ? nullptr : counted->second.lanes;
    };
    const bool alone = m_model.a() == m_model.b();
    const auto a = lanesOf(m_model.a()), b = alone ? nullptr : lanesOf(m_model.b());
    m_matched.set(a, b);
    m_timeline.heading->setText((alone ? tr("A over time") : tr("A and B on one time axis")) +
                                (a && (alone || b) ? QString()
                                 : m_refused       ? tr(" · not counted")
                                                   : tr(" · counting…")));
    auto ticker = QSharedPointer<QCPAxisTickerText>::create();
    const int rows = alone ? MatchedTimeline::kLanes : 2 * MatchedTimeline::kLanes + 1;
    for (int row = 0; row < rows; ++row)
        if (const QString lane = MatchedTimeline::laneName(row); !lane.isEmpty()) ticker->addTick(row + 0.5, lane);
    QCustomPlot* const plot = m_timeline.plot;
    plot->yAxis->setTicker(ticker);
    plot->yAxis->setRangeReversed(true);
    plot->yAxis->setRange(0, rows);
    plot->yAxis->grid()->setVisible(false);
    plot->xAxis->setRange(0, std::max(1e-3, m_matched.length() * 1.02));
    m_timeline.marks->setSource([this](const Viewport& viewport) { return m_matched.draw(viewport, *m_theme); });
    std::vector<LegendEntry> entries{{tr("A is done"), m_theme->color(Meaning::RunA)}};
    if (!alone) entries.push_back({tr("B is done (dashed)"), m_theme->color(Meaning::RunB)});
    m_timeline.legend->setEntries(entries);
    plot->replot();
}

QAbstractItemModel* CompareView::table() { return m_table; }

void CompareView::exportTo(const QString& file, const QSize& size) {
    refresh();
    arrange(size.width());
    m_controls->hide();  // a picture has nothing to choose; the sentence names A and B
    exportWidget(*this, file, size);
    m_controls->show();
}

}  // namespace expertscope
