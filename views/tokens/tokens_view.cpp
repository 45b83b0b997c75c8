// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/tokens/tokens_view.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>

#include "profiler/analysis/run_trace.h"
#include "views/base/empty_state.h"
#include "views/base/number_format.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"
#include "views/base/view_export.h"
#include "views/tokens/token_legend.h"
#include "views/tokens/token_table.h"
#include "views/tokens/token_text_area.h"

namespace expertscope {

TokensView::TokensView(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : View(session, selection, parent),
      m_theme(&Theme::light()),
      m_table(new TokenTable(
          m_model, [this] { return traceView(); }, this)) {
    m_controls = makeControls();
    m_legend = new TokenLegend(this);
    m_area = new TokenTextArea(m_model, this);
    m_area->trace = [this] { return traceView(); };
    m_area->selected = [this] { return m_selection.current(); };
    m_area->hovered = [this] { return m_selection.hovered(); };
    m_counted = new QLabel(this);
    m_counted->setWordWrap(true);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 4, 6, 4);
    layout->setSpacing(4);
    layout->addWidget(m_controls);
    layout->addWidget(m_legend);
    layout->addWidget(m_area, 1);
    layout->addWidget(m_counted);
    m_emptyState = new EmptyState(this);
    connect(m_emptyState, &EmptyState::commandWanted, this, &View::commandWanted);

    connect(&m_session, &SessionModel::sessionChanged, this, [this] {
        takeRun();
        follow();
    });
    connect(&m_session, &SessionModel::currentRunChanged, this, [this] {
        if (m_trace == m_session.trace()) return;  // taken with its session
        takeRun();
        follow();
    });
    connect(&m_session, &SessionModel::dataGrown, this, &TokensView::follow);
    connect(&m_selection, &SelectionModel::changed, this, &TokensView::takeSelection);
    connect(&m_selection, &SelectionModel::hoverChanged, m_area->viewport(), qOverload<>(&QWidget::update));
    connect(m_area, &TokenTextArea::selectedTokens, this, [this](TokenRange range) {
        Selection next = m_selection.current();
        next.tokens = range;
        m_selection.set(next);
    });
    connect(m_area, &TokenTextArea::hoveredToken, this, [this](std::optional<TokenIndex> token, QPoint global) {
        if (!token) {
            m_selection.hover({});
            QToolTip::hideText();
            return;
        }
        m_selection.hover(Selection{{}, TokenRange{*token, TokenIndex{token->value() + 1}}, {}, {}});
        QToolTip::showText(global, m_model.describe(*token, traceView(), *m_theme), m_area);
    });
    setTheme(*m_theme);
    takeRun();
    refresh();
}

QWidget* TokensView::makeControls() {
    auto* controls = new QWidget(this);
    auto* layerLabel = new QLabel(tr("Layer"), controls);
    m_layer = new QSpinBox(controls);
    layerLabel->setBuddy(m_layer);
    auto* colourLabel = new QLabel(tr("Colour by"), controls);
    m_colour = new QComboBox(controls);
    m_colour->addItem(tr("top expert"), static_cast<int>(TokenColour::TopExpert));
    m_colour->addItem(tr("outcome"), static_cast<int>(TokenColour::Outcome));
    m_colour->addItem(tr("log-probability"), static_cast<int>(TokenColour::LogProbability));
    colourLabel->setBuddy(m_colour);
    auto* row = new QHBoxLayout(controls);
    row->setContentsMargins(0, 0, 0, 0);
    for (QWidget* widget : std::initializer_list<QWidget*>{layerLabel, m_layer, colourLabel, m_colour})
        row->addWidget(widget);
    row->addStretch(1);
    connect(m_layer, &QSpinBox::valueChanged, this, [this](int layer) {
        Selection next = m_selection.current();
        next.layer = LayerIndex{layer};
        m_selection.set(next);
    });
    connect(m_colour, &QComboBox::currentIndexChanged, this,
            [this] { setColour(static_cast<TokenColour>(m_colour->currentData().toInt())); });
    return controls;
}

void TokensView::setTheme(const Theme& theme) {
    m_theme = &theme;
    setPalette(theme.palette());
    m_emptyState->setTheme(theme);
    m_area->setTheme(theme);
    updateLegend();
}

TraceView TokensView::traceView() const { return m_trace ? viewOf(*m_trace) : TraceView{}; }

void TokensView::takeRun() {
    m_trace = m_session.trace();
    m_model.setRun(m_trace ? m_trace->model() : ModelFacts{});
    m_table->reset();
}

void TokensView::follow() {
    m_stale = true;
    if (isVisible()) refresh();
}

void TokensView::showEvent(QShowEvent* event) {
    View::showEvent(event);
    if (m_stale) refresh();
}

void TokensView::refresh() {
    m_stale = false;
    const TraceView trace = traceView();
    m_model.update(trace);
    m_area->layOutAgain();
    m_table->grow();
    m_emptyState->setVisible(trace.tokens.empty());
    if (trace.tokens.empty()) tellWhyEmpty(*m_emptyState, m_trace, {tr("its tokens, coloured by their experts,")});
    const QSignalBlocker quiet(m_layer);
    m_layer->setRange(0, std::max(0, m_model.layers() - 1));
    m_layer->setValue(m_model.layer().value());
    m_counted->setText(m_model.counted(trace));
    updateLegend();
}

void TokensView::takeSelection() {
    const Selection& now = m_selection.current();
    if (now.layer && *now.layer != m_model.layer()) setLayer(now.layer->value());
    if (now.tokens && isVisible()) m_area->scrollTo(now.tokens->from);
    m_area->viewport()->update();
}

void TokensView::setLayer(int layer) {
    m_model.setLayer(LayerIndex{layer});
    const QSignalBlocker quiet(m_layer);
    m_layer->setValue(m_model.layer().value());
    m_table->changed();
    updateLegend();
    m_area->viewport()->update();
}

void TokensView::setColour(TokenColour colour) {
    m_model.setColour(colour);
    const QSignalBlocker quiet(m_colour);
    m_colour->setCurrentIndex(m_colour->findData(static_cast<int>(colour)));
    updateLegend();
    m_area->viewport()->update();
}

void TokensView::updateLegend() {
    std::vector<TokenLegend::Entry> entries;
    QString title;
    switch (m_model.colour()) {
        case TokenColour::TopExpert:
            title = tr("Most used in layer %1 (share of its assignments):").arg(m_model.layer().value());
            for (const auto& [expert, share] : m_model.mostUsed(16))
                entries.push_back(
                    {m_theme->expert(expert.value()), QString::number(expert.value()), percentText(share)});
            break;
        case TokenColour::Outcome:
            title = tr("Worst outcome of the token's choices in layer %1:").arg(m_model.layer().value());
            entries = {{m_theme->color(Meaning::Hit), QStringLiteral("●"), tr("hit")},
                       {m_theme->color(Meaning::InFlight), QStringLiteral("◐"), tr("in flight (half bar)")},
                       {m_theme->color(Meaning::Miss), QStringLiteral("○"), tr("missed (bar)")}};
            break;
        case TokenColour::LogProbability:
            title = tr("Log-probability of generated tokens:");
            for (const int value : {-8, -6, -4, -2, 0})
                entries.push_back({QColor(m_theme->sequential(1 + value / 8.0)), QString::number(value),
                                   value == -8 ? tr("or less") : QString()});
            break;
    }
    m_legend->setEntries(title, std::move(entries), m_theme->text());
}

QAbstractItemModel* TokensView::table() { return m_table; }

void TokensView::exportTo(const QString& file, const QSize& size) {
    refresh();
    m_controls->setVisible(false);
    m_area->setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    const auto restore = [this] {
        m_controls->setVisible(true);
        m_area->setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOn);
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
