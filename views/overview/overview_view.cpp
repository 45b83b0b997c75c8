// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/overview/overview_view.h"

#include <QGridLayout>
#include <QLabel>
#include <QScrollArea>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include <qcustomplot.h>

#include "views/base/empty_state.h"
#include "views/base/number_format.h"
#include "views/base/plot_style.h"
#include "views/base/session_model.h"
#include "views/base/table_model.h"
#include "views/base/theme.h"
#include "views/base/view_export.h"
#include "views/overview/card.h"
#include "views/overview/stacked_bar.h"

namespace expertscope {
namespace {

constexpr int kRefreshMilliseconds = 80;
constexpr int kWidthOfTwoColumns = 700;
constexpr int kWidthOfThreeColumns = 1240;
constexpr int kWidthOfAllFigures = 900;
constexpr int kSpacing = 8;

QString html(const QString& text) { return text.toHtmlEscaped().replace(QChar('\n'), QStringLiteral("<br>")); }

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

    m_refreshTimer.setSingleShot(true);
    m_refreshTimer.setInterval(kRefreshMilliseconds);
    const auto later = [this] {
        if (!m_refreshTimer.isActive()) m_refreshTimer.start();
    };
    connect(&m_refreshTimer, &QTimer::timeout, this, [this] {
        // The text's layout is costly: a hidden page waits until it is shown.
        if (isVisible()) {
            refresh();
        } else {
            m_stale = true;
        }
    });
    connect(&m_session, &SessionModel::sessionChanged, this, &OverviewView::takeTrace);
    connect(&m_session, &SessionModel::currentRunChanged, this, &OverviewView::takeTrace);
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

    m_text = new WrappedLabel;
    m_notes = new WrappedLabel;
    for (QLabel* label : {m_text, m_notes}) {
        label->setTextFormat(Qt::RichText);
        label->setTextInteractionFlags(Qt::TextSelectableByMouse);
        label->setAlignment(Qt::AlignLeft | Qt::AlignTop);
        label->setFont(plotFont());
    }
    m_textCard->body()->addWidget(m_text, 1);
    m_notesCard->body()->addWidget(m_notes, 1);
}

void OverviewView::arrange(int width) {
    const int columns = width >= kWidthOfThreeColumns ? 3 : width >= kWidthOfTwoColumns ? 2 : 1;
    const int figures = width >= kWidthOfAllFigures ? 6 : 3;
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
        {{m_barsCard, m_speedCard, m_factsCard, m_textCard, m_notesCard}},
        {{m_factsCard, m_barsCard, m_notesCard}, {m_speedCard, m_textCard}},
        {{m_factsCard, m_notesCard}, {m_speedCard, m_textCard}, {m_barsCard}},
    };
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
            stack->addWidget(card, card == m_speedCard ? 1 : 0);
        if (column != 1) stack->addStretch(1);  // cards stay as tall as what they hold; the plot takes the rest
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
    m_empty->setTheme(theme);
    m_shownFacts.clear();  // their colours are part of them
    m_shownTexts.clear();
    if (m_model.hasRun()) refresh();
}

void OverviewView::takeTrace() {
    m_model.setTrace(m_session.trace());
    refresh();
}

void OverviewView::showEvent(QShowEvent* event) {
    View::showEvent(event);
    if (m_stale) refresh();
}

void OverviewView::refresh() {
    m_refreshTimer.stop();
    m_stale = false;
    m_model.update();
    if (!m_model.hasRun()) {
        m_empty->tell("No run to show",
                      "Open a session or profile a model: what it did, how fast, and why appears here.");
        m_table->setTable({}, {});
        return;
    }
    m_empty->hide();
    arrange(width());
    updateHeader();
    updateFigures();
    updateFacts();
    updateBars();
    updateSpeed();
    updateTexts();
    updateNotes();
    updateTable();
}

void OverviewView::updateHeader() {
    const RunDescription& run = m_session.trace()->entry().description;
    m_headline->setText(QStringLiteral("%1 · %2").arg(m_model.policy(), QString::fromStdString(run.eviction)));
    m_exactBadge->setBadge(m_model.exact() ? QStringLiteral("exact") : QStringLiteral("approximate"),
                           m_theme->color(m_model.exact() ? Meaning::Hit : Meaning::InFlight),
                           m_model.exact()
                               ? QStringLiteral("The logits are those of the all-resident run, bit for bit.")
                               : QStringLiteral("The policy changes what the model computes; see its fidelity."));
    m_pacedBadge->setBadge(
        m_model.paced() ? QStringLiteral("paced ") + QString::fromStdString(run.link) : QString(),
        m_theme->color(Meaning::TransferDemand),
        QStringLiteral("Transfers were slowed down to this link; speeds are those of the link, not of this machine."));
    const bool live = m_model.state() == RunState::Running;
    const bool wrong = m_model.state() == RunState::Crashed || m_model.state() == RunState::Failed;
    const QString word = live                                       ? QStringLiteral("● live")
                         : wrong                                    ? QStringLiteral("ended early")
                         : m_model.state() == RunState::Interrupted ? QStringLiteral("interrupted")
                                                                    : QString();
    m_liveBadge->setBadge(word, m_theme->color(live ? Meaning::Compute : Meaning::Wait), m_model.stateSentence());
    QString sentence = m_model.stateSentence();
    if (m_model.fromTrace() && !live) sentence += QStringLiteral(" Figures are counted from what was recorded.");
    m_state->setText(sentence);
}

void OverviewView::updateFigures() {
    const RunSummary& f = m_model.figures();
    const auto speed = [](double value) { return value > 0 ? numberText(value, "tok/s") : QStringLiteral("–"); };
    const auto time = [](double ms) { return ms > 0 ? millisecondsText(ms) : QStringLiteral("–"); };
    m_decode->setValue(speed(f.decodeTokensPerSecond),
                       QStringLiteral("%1 generated").arg(countText(f.generatedTokens)));
    m_prefill->setValue(speed(f.prefillTokensPerSecond),
                        QStringLiteral("%1 prompt tokens").arg(countText(f.promptTokens)));
    const auto requests = static_cast<std::int64_t>(m_session.trace()->requests().size());
    m_ttft->setValue(time(f.ttftMs), requests == 1 ? QStringLiteral("1 request")
                                                   : QStringLiteral("%1 requests").arg(countText(requests)));
    m_tpot->setValue(time(f.tpotP50Ms), QStringLiteral("p90 %1 · p99 %2").arg(time(f.tpotP90Ms), time(f.tpotP99Ms)));
    m_hitRate->setValue(percentText(f.hits, f.accesses), QStringLiteral("of %1 accesses").arg(countText(f.accesses)));
    m_waitShare->setValue(f.totalMs > 0 ? percentText(f.waitMs / f.totalMs) : QStringLiteral("–"),
                          QStringLiteral("%1 of %2").arg(millisecondsText(f.waitMs), millisecondsText(f.totalMs)));
}

void OverviewView::updateFacts() {
    const std::vector<OverviewFact> facts = m_model.facts();
    if (facts == m_shownFacts) return;
    m_shownFacts = facts;
    while (QLayoutItem* item = m_factsGrid->takeAt(0)) {
        delete item->widget();
        delete item;
    }
    QPalette muted = m_theme->palette();
    muted.setColor(QPalette::WindowText, m_theme->mutedText());
    for (int row = 0; row < static_cast<int>(facts.size()); ++row) {
        const OverviewFact& fact = facts[static_cast<std::size_t>(row)];
        auto* name = new QLabel(fact.name);
        auto* value = new WrappedLabel(fact.value);
        name->setPalette(muted);
        for (QLabel* label : std::initializer_list<QLabel*>{name, value})
            label->setFont(plotFont());
        value->setTextFormat(Qt::PlainText);
        value->setToolTip(fact.exact);
        value->setTextInteractionFlags(Qt::TextSelectableByMouse);
        m_factsGrid->addWidget(name, row, 0, Qt::AlignTop);
        m_factsGrid->addWidget(value, row, 1);
    }
}

void OverviewView::updateBars() {
    const RunSummary& f = m_model.figures();
    const auto colour = [this](Meaning meaning) { return m_theme->color(meaning); };
    const auto counted = [&](const char* name, std::int64_t count, Meaning meaning) {
        return BarPart{QString::fromUtf8(name), countText(count), static_cast<double>(count), colour(meaning),
                       Pattern::Solid};
    };
    m_accessBar->setParts(
        countText(f.accesses),
        {counted("● hits", f.hits, Meaning::Hit), counted("◐ in flight", f.hitsInFlight, Meaning::InFlight),
         counted("○ misses", f.misses, Meaning::Miss)},
        "No layer has needed an expert yet.");
    const auto moved = [&](const char* name, Bytes bytes, Meaning meaning, Pattern pattern = Pattern::Solid) {
        return BarPart{QString::fromUtf8(name), bytesText(bytes), static_cast<double>(bytes.count()), colour(meaning),
                       pattern};
    };
    m_transferBar->setParts(
        QStringLiteral("%1 over the link").arg(bytesText(f.moved)),
        {moved("on demand", f.demand, Meaning::TransferDemand),
         moved("prefetch useful", f.useful, Meaning::PrefetchUseful), moved("late", f.late, Meaning::PrefetchLate),
         moved("wasted", f.wasted, Meaning::PrefetchWasted, Pattern::DiagonalHatch),
         moved("cancelled", f.cancelled, Meaning::PrefetchCancelled, Pattern::Outline)},
        "Nothing has moved during the run.");
    const auto spent = [&](const char* name, double ms, QColor color, Pattern pattern) {
        return BarPart{QString::fromUtf8(name), millisecondsText(ms), ms, color, pattern};
    };
    m_timeBar->setParts(millisecondsText(f.totalMs),
                        {spent("compute", f.computeMs, colour(Meaning::Compute), Pattern::Solid),
                         spent("wait", f.waitMs, colour(Meaning::Wait), Pattern::CrossHatch),
                         spent("other", f.otherMs, m_theme->mutedText(), Pattern::Solid)},
                        "No step has run yet.");
}

void OverviewView::updateSpeed() {
    const std::vector<TokenRate> rates = m_model.rates();
    QVector<double> keys, values;
    double highest = 0;
    for (std::size_t i = 0; i < rates.size(); ++i) {
        keys.append(static_cast<double>(i + 1));
        values.append(rates[i].tokensPerSecond);  // NaN breaks the line between requests
        if (std::isfinite(rates[i].tokensPerSecond)) highest = std::max(highest, rates[i].tokensPerSecond);
    }
    m_speedGraph->setData(keys, values, true);
    m_speedPlot->xAxis->setRange(0, std::max<double>(8, static_cast<double>(rates.size())));
    m_speedPlot->yAxis->setRange(0, highest > 0 ? highest * 1.08 : 1);
    m_speedPlot->replot(QCustomPlot::rpQueuedReplot);
}

void OverviewView::updateTexts() {
    std::vector<OverviewText> texts = m_model.texts();
    if (texts == m_shownTexts) return;
    m_shownTexts = std::move(texts);
    const QString muted = m_theme->mutedText().name();
    QString page;
    for (const OverviewText& item : m_shownTexts) {
        page += QStringLiteral("<p style='margin:0 0 8px 0'><span style='color:%1'>%2</span><br>")
                    .arg(muted, html(item.title));
        if (!item.prompt.isEmpty())
            page += QStringLiteral("<span style='color:%1'>%2</span>").arg(muted, html(item.prompt));
        page += html(item.text) + QStringLiteral("</p>");
    }
    m_text->setText(page);
    m_textCard->setVisible(!m_shownTexts.empty());
}

void OverviewView::updateNotes() {
    const std::vector<OverviewNote> notes = m_model.notes();
    QString page;
    for (const OverviewNote& note : notes) {
        const bool bad = note.severity >= Severity::DataLoss;
        const QColor color = bad ? m_theme->color(Meaning::Wait) : m_theme->text();
        const char* sign = bad ? "⚠ " : note.severity == Severity::Warning ? "! " : "· ";
        page += QStringLiteral("<p style='margin:0 0 4px 0;color:%1'>%2</p>")
                    .arg(color.name(), QString::fromUtf8(sign) + html(note.text));
    }
    m_notes->setText(page);
    m_notesCard->setVisible(!notes.empty());
}

void OverviewView::updateTable() {
    const RunSummary& f = m_model.figures();
    std::vector<std::vector<TableCell>> rows;
    const auto count = [&](const char* name, std::int64_t value) {
        rows.push_back({QString::fromUtf8(name), {countText(value), static_cast<qlonglong>(value)}});
    };
    const auto bytes = [&](const char* name, Bytes value) {
        rows.push_back({QString::fromUtf8(name), {bytesText(value), static_cast<qlonglong>(value.count())}});
    };
    const auto number = [&](const char* name, double value, const char* unit) {
        rows.push_back({QString::fromUtf8(name), {numberText(value, QString::fromUtf8(unit)), value}});
    };
    for (const OverviewFact& fact : m_shownFacts)
        rows.push_back({fact.name, fact.value});
    rows.push_back({QStringLiteral("State"), m_model.stateSentence()});
    count("Prompt tokens", f.promptTokens);
    count("Generated tokens", f.generatedTokens);
    number("Prefill speed", f.prefillTokensPerSecond, "tok/s");
    number("Decode speed", f.decodeTokensPerSecond, "tok/s");
    number("Time to first token", f.ttftMs, "ms");
    number("Time per output token, p50", f.tpotP50Ms, "ms");
    number("Time per output token, p90", f.tpotP90Ms, "ms");
    number("Time per output token, p99", f.tpotP99Ms, "ms");
    count("Accesses", f.accesses);
    count("Hits", f.hits);
    count("Hits in flight", f.hitsInFlight);
    count("Misses", f.misses);
    bytes("Demand bytes", f.demand);
    bytes("Prefetch bytes", f.prefetch);
    bytes("Moved bytes", f.moved);
    bytes("Useful bytes", f.useful);
    bytes("Late bytes", f.late);
    bytes("Wasted bytes", f.wasted);
    bytes("Cancelled bytes", f.cancelled);
    number("Time, total", f.totalMs, "ms");
    number("Time, compute", f.computeMs, "ms");
    number("Time, wait", f.waitMs, "ms");
    number("Time, other", f.otherMs, "ms");
    m_table->setTable({"What", "Value"}, std::move(rows));
}

QAbstractItemModel* OverviewView::table() { return m_table; }

void OverviewView::exportTo(const QString& file, const QSize& size) {
    refresh();
    arrange(size.width());
    exportWidget(*this, file, size);
}

}  // namespace expertscope
