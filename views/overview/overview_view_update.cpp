// SPDX-License-Identifier: GPL-3.0-or-later
// What the overview's parts show, from its model.
#include <QGridLayout>
#include <QLabel>
#include <algorithm>
#include <cmath>

#include <qcustomplot.h>

#include "views/base/number_format.h"
#include "views/base/plot_style.h"
#include "views/base/run_origin.h"
#include "views/base/session_model.h"
#include "views/base/table_model.h"
#include "views/base/theme.h"
#include "views/overview/card.h"
#include "views/overview/overview_view.h"
#include "views/overview/run_texts.h"
#include "views/overview/stacked_bar.h"

namespace expertscope {
namespace {

QString html(const QString& text) { return text.toHtmlEscaped().replace(QChar('\n'), QStringLiteral("<br>")); }

/// A label lays its page out anew even where its text stays the same.
void setTextOf(QLabel& label, const QString& text) {
    if (label.text() != text) label.setText(text);
}

}  // namespace

void OverviewView::updateHeader() {
    const RunDescription& run = m_session.trace()->entry().description;
    const bool ours = madeByEngine(run);
    setTextOf(*m_headline, run.eviction.empty()
                               ? m_model.policy()
                               : QStringLiteral("%1 · %2").arg(m_model.policy(), QString::fromStdString(run.eviction)));
    m_exactBadge->setBadge(!ours             ? QString()
                           : m_model.exact() ? QStringLiteral("exact")
                                             : QStringLiteral("approximate"),
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
    setTextOf(*m_state, sentence);
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
    while (m_factLabels.size() < facts.size()) {
        auto* name = new QLabel(m_factsCard);
        auto* value = new WrappedLabel(m_factsCard);
        QPalette muted = m_theme->palette();
        muted.setColor(QPalette::WindowText, m_theme->mutedText());
        name->setPalette(muted);
        for (QLabel* label : std::initializer_list<QLabel*>{name, value})
            label->setFont(plotFont());
        value->setTextFormat(Qt::PlainText);
        value->setTextInteractionFlags(Qt::TextSelectableByMouse);
        const int row = static_cast<int>(m_factLabels.size());
        m_factsGrid->addWidget(name, row, 0, Qt::AlignTop);
        m_factsGrid->addWidget(value, row, 1);
        m_factLabels.emplace_back(name, value);
    }
    for (std::size_t row = 0; row < m_factLabels.size(); ++row) {
        const auto& [name, value] = m_factLabels[row];
        const bool used = row < facts.size();
        name->setVisible(used);
        value->setVisible(used);
        if (!used) continue;
        setTextOf(*name, facts[row].name);
        setTextOf(*value, facts[row].value);
        value->setToolTip(facts[row].exact);
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
    const std::vector<OverviewText> texts = m_model.texts();
    m_text->setTexts(texts, m_model.state() == RunState::Running);
    m_textCard->setVisible(!texts.empty());
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
    setTextOf(*m_notes, page);
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

}  // namespace expertscope
