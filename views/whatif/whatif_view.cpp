// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/whatif/whatif_view.h"

#include <QCheckBox>
#include <QCoreApplication>
#include <QGridLayout>
#include <QLabel>
#include <QSlider>
#include <QVBoxLayout>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <qcustomplot.h>

#include "views/base/draw_list_plottable.h"
#include "views/base/empty_state.h"
#include "views/base/legend_strip.h"
#include "views/base/number_format.h"
#include "views/base/plot_style.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"
#include "views/base/view_export.h"

namespace expertscope {
namespace {

/// The link's slider is logarithmic, 10 MB/s to 100 GB/s; its leftmost place is the run's own link.
constexpr int kLinkPlaces = 160;
/// So long a slider rests before it asks: what comes sooner is one question, and an answer is due within 200 ms.
constexpr int kSettleMilliseconds = 25;

LinkSpec linkAt(int place) {
    const double megabytes = 10 * std::pow(10.0, 4.0 * (place - 1) / (kLinkPlaces - 1));
    // Two significant digits, so that what is shown is what is replayed.
    const double unit = std::pow(10.0, std::floor(std::log10(megabytes)) - 1);
    return parseLink(fmt::format("{}MB/s@20us", std::round(megabytes / unit) * unit));
}

struct Choice {
    WhatIfSeries series;
    const char* explanation;
    bool atFirst;
};

const std::vector<Choice>& choices() {
    static const std::vector<Choice> all{
        {{"lfu", "on-demand", "lfu"}, "Least frequently used since the start", true},
        {{"lfru", "on-demand", "lfru"}, "Frequency over recency", true},
        {{"arc", "on-demand", "arc"}, "Adaptive replacement", false},
        {{"slru", "on-demand", "slru"}, "Segmented LRU", false},
        {{"least-stale", "on-demand", "least-stale"}, "What an earlier step used leaves first", false},
        {{"moe-infinity", "on-demand", "moe-infinity"}, "Algorithm 1 of MoE-Infinity", false},
        {{"on-demand", "on-demand", "lru", true}, "Fetches when a layer needs it, simulated", true},
        {{"pre-gated", "pre-gated", "lru", true}, "Brings what the pre-gates say", true},
        {{"moe-infinity (paper)", "moe-infinity", "lru", true}, "Prefetches by activation matrices", false},
        {{"mixtral-offloading", "mixtral-offloading", "lru", true}, "Speculates by the next gate", false},
        {{"prefetch-all", "prefetch-all", "lru", true}, "Brings the whole next layer", false},
    };
    return all;
}

}  // namespace

WhatIfView::WhatIfView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : View(session, selection, parent), m_theme(&Theme::light()), m_table(new TableModel(this)) {
    setAccessibleName(title());
    m_answer = new QLabel(this);
    m_answer->setWordWrap(true);
    m_answer->setTextInteractionFlags(Qt::TextSelectableByMouse);
    QFont font = plotFont();
    font.setPointSizeF(11);
    m_answer->setFont(font);
    m_progress = new QLabel(this);
    m_hits = makeChart(tr("Hit rate against budget"), tr("hits (%)"));
    m_speeds = makeChart(tr("Predicted decode speed against budget"), tr("tok/s"));
    m_hits.marks->setSource([this](const Viewport& viewport) { return m_model.hitChart(viewport, *m_theme); });
    m_speeds.marks->setSource([this](const Viewport& viewport) { return m_model.speedChart(viewport, *m_theme); });
    auto* charts = new QGridLayout;
    int column = 0;
    for (const Chart* chart : {&m_hits, &m_speeds}) {
        charts->addWidget(chart->heading, 0, column);
        charts->addWidget(chart->plot, 1, column);
        charts->addWidget(chart->legend, 2, column);
        charts->setColumnStretch(column++, 1);
    }
    charts->setRowStretch(1, 1);
    auto* page = new QVBoxLayout(this);
    page->setContentsMargins(10, 8, 10, 8);
    page->addWidget(m_answer);
    page->addWidget(makeControls());
    page->addWidget(makeChoices());
    page->addLayout(charts, 1);
    page->addWidget(m_progress);
    m_empty = new EmptyState(this);
    connect(m_empty, &EmptyState::commandWanted, this, &View::commandWanted);

    m_settles.setSingleShot(true);
    m_settles.setInterval(kSettleMilliseconds);
    connect(&m_settles, &QTimer::timeout, this, &WhatIfView::ask);
    connect(&m_jobs, &ReplayJobs::loaded, this, &WhatIfView::loaded);
    connect(&m_jobs, &ReplayJobs::arrived, this, &WhatIfView::takeAnswers);
    connect(&m_session, &SessionModel::sessionChanged, this, &WhatIfView::takeRun);
    connect(&m_session, &SessionModel::currentRunChanged, this, &WhatIfView::takeRun);
    connect(&m_session, &SessionModel::runsChanged, this, &WhatIfView::takeRun);
    setTheme(*m_theme);
    takeRun();
}

WhatIfView::~WhatIfView() = default;

WhatIfView::Chart WhatIfView::makeChart(const QString& heading, const QString& valueLabel) {
    Chart chart;
    chart.heading = new QLabel(heading, this);
    QFont bold = plotFont();
    bold.setBold(true);
    chart.heading->setFont(bold);
    chart.plot = new QCustomPlot(this);
    chart.plot->setMinimumSize(220, 160);
    chart.plot->setAccessibleName(heading);
    chart.plot->xAxis->setLabel(tr("budget (% of all expert bytes)"));
    chart.plot->xAxis->setRange(0, 101);
    chart.plot->yAxis->setLabel(valueLabel);
    chart.marks = new DrawListPlottable(chart.plot->xAxis, chart.plot->yAxis);
    chart.legend = new LegendStrip(this);
    // A click on a chart is the budget that is meant.
    connect(chart.plot, &QCustomPlot::mousePress, this, [this, plot = chart.plot](QMouseEvent* event) {
        m_budget->setValue(static_cast<int>(std::lround(10 * plot->xAxis->pixelToCoord(event->position().x()))));
    });
    return chart;
}

QWidget* WhatIfView::makeControls() {
    auto* controls = new QWidget(this);
    auto* row = new QHBoxLayout(controls);
    row->setContentsMargins(0, 0, 0, 0);
    const auto add = [&](const QString& name, QSlider*& slider, QLabel*& text, int least, int most) {
        auto* label = new QLabel(name, controls);
        slider = new QSlider(Qt::Horizontal, controls);
        slider->setRange(least, most);
        slider->setAccessibleName(name);
        label->setBuddy(slider);
        text = new QLabel(controls);
        text->setMinimumWidth(130);
        row->addWidget(label);
        row->addWidget(slider, 1);
        row->addWidget(text);
    };
    add(tr("Budget"), m_budget, m_budgetText, 5, 1000);
    add(tr("Link"), m_link, m_linkText, 0, kLinkPlaces);
    m_link->setToolTip(tr("Leftmost: the link that the run had."));
    connect(m_budget, &QSlider::valueChanged, this, [this](int tenths) {
        m_model.setBudget(tenths / 1000.0);
        draw();
        m_settles.start();
    });
    connect(m_link, &QSlider::valueChanged, this, &WhatIfView::linkMoved);
    return controls;
}

QWidget* WhatIfView::makeChoices() {
    auto* box = new QWidget(this);
    auto* grid = new QGridLayout(box);
    grid->setContentsMargins(0, 0, 0, 0);
    std::array<int, 2> columns{1, 1};
    grid->addWidget(new QLabel(tr("Evictions"), box), 0, 0);
    grid->addWidget(new QLabel(tr("Policies"), box), 1, 0);
    for (const Choice& choice : choices()) {
        auto* check = new QCheckBox(choice.series.name, box);
        check->setToolTip(tr(choice.explanation));
        check->setChecked(choice.atFirst);
        const int row = choice.series.speed ? 1 : 0;
        grid->addWidget(check, row, columns[static_cast<std::size_t>(row)]++);
        connect(check, &QCheckBox::toggled, this, &WhatIfView::seriesChosen);
        m_choices.emplace_back(check, choice.series);
    }
    grid->setColumnStretch(8, 1);
    return box;
}

void WhatIfView::setTheme(const Theme& theme) {
    m_theme = &theme;
    setPalette(theme.palette());
    setAutoFillBackground(true);
    for (Chart* chart : {&m_hits, &m_speeds}) {
        applyTheme(*chart->plot, theme);
        chart->legend->setTheme(theme);
    }
    m_empty->setTheme(theme);
    draw();
}

/// A run is replayed when it has ended: one that grows would be another question at every token.
void WhatIfView::takeRun() {
    const RunTrace* const trace = m_session.trace();
    const bool ended = trace && trace->entry().state != RunState::Running;
    const std::optional<RunId> run = ended ? std::optional(trace->entry().id) : std::nullopt;
    if (run == m_run && (run || m_model.hasRun())) return;
    m_run = run;
    m_revision = -1;
    m_model.setBench(nullptr);
    draw();
    if (isVisible()) loadIfNeeded();
}

void WhatIfView::loadIfNeeded() {
    if (!m_run || m_revision == m_run->value()) return;
    m_revision = m_run->value();
    m_progress->setText(tr("Reading the run…"));
    m_jobs.load(m_session.file(), *m_run);
}

void WhatIfView::showEvent(QShowEvent* event) {
    View::showEvent(event);
    loadIfNeeded();
}

void WhatIfView::loaded(const std::shared_ptr<const ReplayBench>& bench, const QString& failure) {
    m_model.setBench(bench);
    m_progress->setText(failure);
    if (bench) {
        const QSignalBlocker quiet(m_budget);
        m_budget->setValue(static_cast<int>(std::lround(1000 * m_model.budget())));
        const QSignalBlocker quietLink(m_link);
        m_link->setValue(0);
    }
    seriesChosen();
}

void WhatIfView::seriesChosen() {
    std::vector<WhatIfSeries> series;
    for (const auto& [check, what] : m_choices)
        if (check->isChecked()) series.push_back(what);
    m_model.setSeries(std::move(series));
    ask();
}

void WhatIfView::linkMoved() {
    m_model.setLink(m_link->value() == 0 ? std::nullopt : std::optional(linkAt(m_link->value())));
    draw();
    m_settles.start();
}

void WhatIfView::ask() {
    if (m_model.hasRun()) {
        std::vector<ReplayJobs::Wish> wishes;
        // What a slider asks is answered roughly first; then the bounds, which every budget's answer names.
        for (const auto& [series, at] : m_model.urgent())
            wishes.push_back({series, at, m_model.roughCaseOf(series, at)});
        for (const int at : m_model.openBounds())
            wishes.push_back({.series = {}, .at = at, .what = m_model.caseOf({{}, "on-demand", "lru"}, at)});
        for (const auto& [series, at] : m_model.open())
            wishes.push_back({series, at, m_model.caseOf(series, at)});
        m_jobs.wish(m_model.benchPointer(), std::move(wishes));
    }
    draw();
}

void WhatIfView::takeAnswers() {
    QString failure;
    for (const ReplayJobs::Done& done : m_jobs.take()) {
        if (!done.failure.isEmpty()) failure = done.failure;
        if (done.result) m_model.take(*done.wish.series, done.wish.at, *done.result);
        if (done.bound) m_model.takeBound(done.wish.at, *done.bound);
    }
    draw();
    if (!failure.isEmpty()) m_progress->setText(failure);
}

void WhatIfView::draw() {
    const bool has = m_model.hasRun();
    m_empty->setVisible(!has && !m_run);
    if (!has && !m_run) tellWhyEmpty(*m_empty, nullptr, {tr("what other budgets, links and policies would do")});
    if (!has) return;
    m_answer->setText(m_model.answer());
    m_budgetText->setText(percentText(m_model.budget()));
    m_linkText->setText(m_model.link() ? QString::fromStdString(m_model.link()->text) : tr("the run's own"));
    m_hits.plot->yAxis->setRange(0, 102);
    m_speeds.plot->yAxis->setRange(0, m_model.fastest() * 1.05);
    std::vector<LegendEntry> hits{{tr("lru"), m_theme->color(Meaning::RunA)}, {tr("Belady, dashed"), m_theme->text()}};
    std::vector<LegendEntry> speeds{{tr("on demand, from the curve"), m_theme->color(Meaning::RunA)},
                                    {tr("at most, dashed"), m_theme->text()}};
    for (int i = 0; i < static_cast<int>(m_model.series().size()); ++i) {
        const WhatIfSeries& series = m_model.series()[static_cast<std::size_t>(i)];
        const QString name =
            m_model.lacks(series) ? tr("%1 (the run lacks what it needs)").arg(series.name) : series.name;
        (series.speed ? speeds : hits).push_back({name, m_model.color(i, *m_theme)});
    }
    m_hits.legend->setEntries(hits);
    m_speeds.legend->setEntries(speeds);
    const auto open = m_model.open().size();
    m_progress->setText(open == 0 ? tr("Everything is replayed. Policies that change the output are replayed over the "
                                       "routing as recorded, as if it were their own.")
                                  : tr("%1 replays to go…").arg(countText(static_cast<std::int64_t>(open))));
    m_table->setTable(m_model.columns(), m_model.rows());
    m_hits.plot->replot(QCustomPlot::rpQueuedReplot);
    m_speeds.plot->replot(QCustomPlot::rpQueuedReplot);
}

void WhatIfView::refresh() {
    takeRun();
    loadIfNeeded();
    // What the worker tells lies in this thread's queue until it is sent.
    for (bool settled = false; !settled;) {
        m_jobs.wait();
        QCoreApplication::sendPostedEvents(this);
        settled = m_jobs.idle();
    }
    if (m_model.hasRun()) takeAnswers();
}

QAbstractItemModel* WhatIfView::table() { return m_table; }

void WhatIfView::exportTo(const QString& file, const QSize& size) {
    refresh();
    exportWidget(*this, file, size);
}

}  // namespace expertscope
