// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/overview/overview_view.h"

#include <QGridLayout>
#include <QLabel>
#include <QScrollArea>
#include <QVBoxLayout>
#include <algorithm>

#include <qcustomplot.h>

#include "views/base/empty_state.h"
#include "views/base/number_format.h"
#include "views/base/plot_style.h"
#include "views/base/session_model.h"
#include "views/base/table_model.h"
#include "views/base/theme.h"
#include "views/base/view_export.h"
#include "views/overview/card.h"
#include "views/overview/run_texts.h"
#include "views/overview/stacked_bar.h"

namespace expertscope {
namespace {

constexpr int kRefreshMilliseconds = 80;
constexpr int kReadingMilliseconds = 500;  // what changes faster cannot be read
constexpr int kWidthOfTwoColumns = 700;
constexpr int kWidthOfThreeColumns = 1240;
constexpr int kWidthOfAllFigures = 1080;
constexpr int kWidthOfThreeFigures = 560;
constexpr int kSpacing = 8;
constexpr int kPlotHeight = 180;  // where the page scrolls: plot and text stay above the fold, the text's end in sight
constexpr int kTextHeight = 230;

}  // namespace

OverviewView::OverviewView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : View(session, selection, parent),
      m_theme(&Theme::light()),
      m_scroll(new QScrollArea(this)),
      m_page(new QWidget),
      m_empty(nullptr),
      m_table(new TableModel(this)),
      m_headline(new QLabel(m_page)),
      m_state(new WrappedLabel(m_page)),
      m_exactBadge(new Badge(m_page)),
      m_pacedBadge(new Badge(m_page)),
      m_liveBadge(new Badge(m_page)),
      m_figureRow(new QWidget(m_page)),
      m_figureGrid(new QGridLayout(m_figureRow)),
      m_columns(new QWidget(m_page)),
      m_columnGrid(new QGridLayout(m_columns)) {
    setAccessibleName(title());
    m_scroll->setWidgetResizable(true);
    m_scroll->setFrameShape(QFrame::NoFrame);
    m_scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_scroll->setWidget(m_page);
    auto* outer = new QVBoxLayout(this);
    outer->setContentsMargins(0, 0, 0, 0);
    outer->addWidget(m_scroll);

    auto* page = new QVBoxLayout(m_page);
    page->setContentsMargins(12, 10, 12, 10);
    page->setSpacing(kSpacing);
    auto* header = new QGridLayout;
    buildHeader(header);
    page->addLayout(header);
    buildFigures();
    page->addWidget(m_figureRow);
    buildCards();
    page->addWidget(m_columns, 1);
    m_empty = new EmptyState(this);
    connect(m_empty, &EmptyState::commandWanted, this, &View::commandWanted);

    m_refreshTimer.setSingleShot(true);
    m_refreshTimer.setInterval(kRefreshMilliseconds);
    const auto later = [this] {
        if (!m_refreshTimer.isActive()) m_refreshTimer.start();
    };
    connect(&m_refreshTimer, &QTimer::timeout, this, [this] {
        if (isVisible()) {
            follow();
        } else {
            m_stale = true;
        }
    });
    connect(&m_session, &SessionModel::sessionChanged, this, &OverviewView::takeTrace);
    connect(&m_session, &SessionModel::currentRunChanged, this, [this] {
        if (m_model.trace() != m_session.trace()) takeTrace();  // else it was taken with its session
    });
    connect(&m_session, &SessionModel::dataGrown, this, later);
    connect(&m_session, &SessionModel::runsChanged, this, later);
    setTheme(Theme::light());
    takeTrace();
}

OverviewView::~OverviewView() = default;

void OverviewView::buildHeader(QGridLayout* grid) {
    QFont large = plotFont();
    large.setPointSizeF(13);
    large.setBold(true);
    m_headline->setFont(large);
    m_state->setFont(plotFont());
    auto* line = new QHBoxLayout;
    line->setSpacing(8);
    line->addWidget(m_headline);
    for (Badge* badge : {m_exactBadge, m_pacedBadge, m_liveBadge})
        line->addWidget(badge);
    line->addStretch();
    grid->addLayout(line, 0, 0);
    grid->addWidget(m_state, 1, 0);
}

void OverviewView::buildFigures() {
    m_figureGrid->setContentsMargins(0, 0, 0, 0);
    m_figureGrid->setSpacing(kSpacing);
    m_decode = new Figure("Decode", "Generated tokens a second, each request's first token left out.");
    m_prefill = new Figure("Prefill", "Prompt tokens a second until the first generated token.");
    m_ttft = new Figure("Time to first token", "From a request's start to its first generated token.");
    m_tpot = new Figure("Time per output token",
                        "Between two generated tokens: median, and the slowest tenth and hundredth.");
    m_hitRate = new Figure("Hit rate",
                           "Share of expert accesses that found the expert on the device. An access is one expert "
                           "needed by one layer in one step.");
    m_waitShare = new Figure("Waiting", "Share of the compute thread's time that it waited for expert bytes.");
}

void OverviewView::buildCards() {
    m_columnGrid->setContentsMargins(0, 0, 0, 0);
    m_columnGrid->setSpacing(kSpacing);
    m_factsCard = new Card("What was run");
    m_speedCard = new Card("Decode speed by token");
    m_barsCard = new Card("Experts, transfers, time");
    m_textCard = new Card("Text");
    m_notesCard = new Card("Notes of the recording");

    m_factsGrid = new QGridLayout;
    m_factsGrid->setHorizontalSpacing(12);
    m_factsGrid->setVerticalSpacing(3);
    m_factsGrid->setColumnStretch(1, 1);
    m_factsCard->body()->addLayout(m_factsGrid);
    m_factsCard->body()->addStretch();

    m_speedPlot = new QCustomPlot;
    m_speedPlot->setMinimumSize(200, 150);
    m_speedPlot->xAxis->setLabel("generated token");
    m_speedPlot->yAxis->setLabel("tok/s (last 8)");
    m_speedGraph = m_speedPlot->addGraph();
    m_speedCard->body()->addWidget(m_speedPlot, 1);

    m_accessBar =
        new StackedBar("Expert accesses",
                       "One access is one expert needed by one layer in one step. In flight: a prefetch of it had been "
                       "issued and its bytes had not all arrived. A miss: neither there nor issued.");
    m_transferBar =
        new StackedBar("Transfers", "Bytes of the experts that were moved or issued to be, by what became of them.");
    m_timeBar = new StackedBar("Compute thread", "Its time: computing, waiting for expert bytes, and the rest.");
    for (StackedBar* bar : {m_accessBar, m_transferBar, m_timeBar})
        m_barsCard->body()->addWidget(bar);
    m_barsCard->body()->addStretch();

    m_text = new RunTexts;
    m_text->setMinimumHeight(150);
    m_notes = new WrappedLabel;
    m_notes->setTextFormat(Qt::RichText);
    m_notes->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_notes->setAlignment(Qt::AlignLeft | Qt::AlignTop);
    m_notes->setFont(plotFont());
    m_textCard->body()->addWidget(m_text, 1);
    m_notesCard->body()->addWidget(m_notes, 1);
}

void OverviewView::arrange(int width) {
    const int columns = width >= kWidthOfThreeColumns ? 3 : width >= kWidthOfTwoColumns ? 2 : 1;
    const int figures = width >= kWidthOfAllFigures ? 6 : width >= kWidthOfThreeFigures ? 3 : 2;
    if (figures != m_arrangedFigures) {
        m_arrangedFigures = figures;
        int index = 0;
        for (Figure* figure : {m_decode, m_prefill, m_ttft, m_tpot, m_hitRate, m_waitShare}) {
            m_figureGrid->addWidget(figure, index / figures, index % figures);
            ++index;
        }
        for (int column = 0; column < 6; ++column)
            m_figureGrid->setColumnStretch(column, column < figures ? 1 : 0);
    }
    if (columns == m_arrangedColumns) return;
    m_arrangedColumns = columns;
    const std::vector<std::vector<Card*>> plans[] = {
        {{m_barsCard, m_speedCard, m_textCard, m_factsCard, m_notesCard}},
        {{m_factsCard, m_barsCard, m_notesCard}, {m_speedCard, m_textCard}},
        {{m_factsCard, m_notesCard}, {m_speedCard, m_textCard}, {m_barsCard}},
    };
    const bool pageScrolls = columns < 3;
    m_speedPlot->setMaximumHeight(pageScrolls ? kPlotHeight : QWIDGETSIZE_MAX);
    m_text->setMaximumHeight(pageScrolls ? kTextHeight : QWIDGETSIZE_MAX);
    // A column is a layout and so its own item; its cards stay the view's.
    while (QLayoutItem* item = m_columnGrid->takeAt(0))
        delete item;
    const auto& plan = plans[columns - 1];
    for (std::size_t column = 0; column < 3; ++column) {
        m_columnGrid->setColumnStretch(static_cast<int>(column), column < plan.size() ? (column == 1 ? 3 : 2) : 0);
        if (column >= plan.size()) continue;
        auto* stack = new QVBoxLayout;
        stack->setSpacing(kSpacing);
        for (Card* card : plan[column])
            stack->addWidget(card, card == m_textCard ? 2 : card == m_speedCard ? 1 : 0);
        // Cards stay as tall as what they hold; where the page does not scroll, plot and text take the rest.
        if (pageScrolls || std::ranges::find(plan[column], m_textCard) == plan[column].end()) stack->addStretch(1);
        m_columnGrid->addLayout(stack, 0, static_cast<int>(column));
    }
}

void OverviewView::resizeEvent(QResizeEvent* event) {
    arrange(width());
    View::resizeEvent(event);
}

void OverviewView::setTheme(const Theme& theme) {
    m_theme = &theme;
    setPalette(theme.palette());
    setAutoFillBackground(true);
    QPalette muted = theme.palette();
    muted.setColor(QPalette::WindowText, theme.mutedText());
    m_state->setPalette(muted);
    for (Card* card : {m_factsCard, m_speedCard, m_barsCard, m_textCard, m_notesCard})
        card->setTheme(theme);
    for (Figure* figure : {m_decode, m_prefill, m_ttft, m_tpot, m_hitRate, m_waitShare})
        figure->setTheme(theme);
    for (StackedBar* bar : {m_accessBar, m_transferBar, m_timeBar})
        bar->setTheme(theme);
    applyTheme(*m_speedPlot, theme);
    m_speedGraph->setPen(QPen(theme.color(Meaning::Compute), 1.5));
    m_text->setTheme(theme);
    m_empty->setTheme(theme);
    for (const auto& [name, value] : m_factLabels)
        name->setPalette(muted);
    if (m_model.hasRun()) bringUpToDate();
}

void OverviewView::takeTrace() {
    m_model.setTrace(m_session.trace());
    bringUpToDate();
}

void OverviewView::showEvent(QShowEvent* event) {
    View::showEvent(event);
    if (m_stale) bringUpToDate();
}

void OverviewView::refresh() {
    bringUpToDate();
    m_text->finish();
}

void OverviewView::bringUpToDate() {
    m_refreshTimer.stop();
    m_stale = false;
    m_model.update();
    if (!m_model.hasRun()) {
        tellWhyEmpty(*m_empty, nullptr, {QStringLiteral("what it did, how fast, and why")});
        m_table->setTable({}, {});
        return;
    }
    m_empty->hide();
    arrange(width());
    updateNumbers();
    updateReading();
}

/// The way of a run that grows, recorded or read just now: everything, but what takes reading not more often than it
/// can be read.
void OverviewView::follow() {
    const bool live = m_model.hasRun() && (m_model.state() == RunState::Running || m_session.reading());
    if (!live) return bringUpToDate();
    m_model.update();
    updateNumbers();
    if (m_sinceReading.isValid() && !m_sinceReading.hasExpired(kReadingMilliseconds)) return;
    m_sinceReading.start();
    // Not in the same breath: of a long run both together take longer than a frame.
    QTimer::singleShot(0, this, [this] {
        if (m_model.hasRun()) updateReading();
    });
}

void OverviewView::updateNumbers() {
    updateHeader();
    updateFigures();
    updateBars();
}

void OverviewView::updateReading() {
    m_sinceReading.start();
    updateFacts();
    updateSpeed();
    updateTexts();
    updateNotes();
    updateTable();
}

QAbstractItemModel* OverviewView::table() { return m_table; }

void OverviewView::exportTo(const QString& file, const QSize& size) {
    refresh();
    arrange(size.width());
    exportWidget(*this, file, size);
}

}  // namespace expertscope
