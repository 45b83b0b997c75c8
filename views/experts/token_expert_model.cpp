// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experts/token_expert_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "views/base/draw_marks.h"
#include "views/base/give_back.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"
#include "views/experts/expert_map_model.h"
#include "views/experts/expert_measure.h"

namespace expertscope {

namespace {

constexpr double kResidentTint = 0.28;  // of the theme's hit colour in the background of a resident cell

QRgb blend(const QColor& below, const QColor& above, double t) {
    const auto mix = [t](int a, int b) { return static_cast<int>(std::lround(a + t * (b - a))); };
    return qRgb(mix(below.red(), above.red()), mix(below.green(), above.green()), mix(below.blue(), above.blue()));
}

Meaning meaningOf(Outcome outcome) {
    switch (outcome) {
        case Outcome::Hit:
            return Meaning::Hit;
        case Outcome::InFlight:
            return Meaning::InFlight;
        case Outcome::Miss:
            return Meaning::Miss;
    }
    return Meaning::Miss;
}

QString outcomeText(Outcome outcome) {
    switch (outcome) {
        case Outcome::Hit:
            return QStringLiteral("● hit");
        case Outcome::InFlight:
            return QStringLiteral("◐ in flight");
        case Outcome::Miss:
            return QStringLiteral("○ missed");
    }
    return {};
}

}  // namespace

QString tokenText(const TokenRecord& token) {
    QString text = QString::fromUtf8(token.bytes.data(), static_cast<qsizetype>(token.bytes.size()));
    text.replace(QLatin1Char('\n'), QStringLiteral("⏎"));
    text.replace(QLatin1Char('\t'), QStringLiteral("⇥"));
    text.replace(QLatin1Char(' '), QStringLiteral("·"));
    return text;
}

void TokenExpertModel::setRun(const ModelFacts& model) {
    m_tokens = 0;
    m_maxWeight = 0;
    m_selectionsRead = 0;
    giveBack(std::exchange(m_index, SelectionIndex(model.layers, model.topK)));
    giveBack(std::exchange(m_residency, ResidencyTimeline(model.layers, model.experts)));
    setLayer(m_layer);
}

void TokenExpertModel::setLayer(LayerIndex layer) {
    m_layer = LayerIndex{std::clamp(layer.value(), 0, std::max(0, layers() - 1))};
}

bool TokenExpertModel::update(const TraceView& trace) {
    const bool selected = m_index.update(trace);
    const bool moved = m_residency.update(trace);
    for (; m_selectionsRead < trace.selections.size(); ++m_selectionsRead)
        m_maxWeight = std::max(m_maxWeight, trace.selections[m_selectionsRead].weight);
    const auto known = std::max(m_index.tokens(), static_cast<std::int32_t>(trace.tokens.size()));
    const bool grown = known != m_tokens;
    m_tokens = known;
    return selected || moved || grown;
}

std::int32_t TokenExpertModel::axisEnd(bool running) const {
    if (!running) return std::max(m_tokens, 1);
    return static_cast<std::int32_t>(std::bit_ceil(static_cast<std::uint32_t>(std::max(m_tokens, 64))));
}

std::pair<double, double> TokenExpertModel::scale() const {
    return {0.0, niceCeiling(static_cast<double>(m_maxWeight))};
}

int TokenExpertModel::perColumn(const Viewport& viewport) const {
    if (viewport.pixels.width() <= 0) return 1;
    return std::max(1, static_cast<int>(std::ceil(viewport.range.width() / viewport.pixels.width())));
}

QRgb TokenExpertModel::cellColor(double weight, double high, int outcome, double resident, const Theme& theme) const {
    if (outcome < 0) return blend(theme.background(), theme.color(Meaning::Hit), kResidentTint * resident);
    if (m_colour == Colour::Outcome) return theme.color(meaningOf(static_cast<Outcome>(outcome))).rgb();
    return theme.sequential(weight / high);
}

DrawList TokenExpertModel::map(const Viewport& viewport, const TraceView& trace, const Theme& theme) const {
    DrawList list;
    const int group = perColumn(viewport);
    // Whole groups, so that a column stands for the same tokens however the map is panned.
    const int first = std::clamp(static_cast<int>(std::floor(viewport.range.left())), 0, m_tokens) / group * group;
    const int last = std::clamp(static_cast<int>(std::ceil(viewport.range.right())), 0, m_tokens);
    const int columns = (last - first + group - 1) / group;
    if (columns <= 0 || experts() == 0) return list;
    struct Sum {
        double weight = 0;
        int outcome = -1;
        int resident = 0;
    };
    QImage image(columns, experts(), QImage::Format_RGB32);
    const double high = scale().second;
    std::vector<Sum> sums(static_cast<std::size_t>(experts()));
    for (int column = 0; column < columns; ++column) {
        std::ranges::fill(sums, Sum{});
        const int begin = first + column * group, end = std::min(begin + group, last);
        for (int t = begin; t < end; ++t) {
            const StepIndex tokenStep = m_index.stepOf(TokenIndex{t});
            for (std::int32_t e = 0; tokenStep.value() >= 0 && e < experts(); ++e)
                sums[static_cast<std::size_t>(e)].resident += m_residency.residentIn(m_layer, ExpertId{e}, tokenStep);
            for (std::int32_t slot = 0; slot < m_index.topK(); ++slot) {
                const std::int64_t at = m_index.find(m_layer, TokenIndex{t}, slot);
                if (at < 0) continue;
                const SelectionRecord& s = trace.selections[static_cast<std::size_t>(at)];
                if (s.expert.value() < 0 || s.expert.value() >= experts()) continue;
                Sum& sum = sums[s.expert.index()];
                sum.weight = std::max(sum.weight, static_cast<double>(s.weight));
                sum.outcome = std::max(sum.outcome, static_cast<int>(s.outcome));
            }
        }
        for (std::int32_t e = 0; e < experts(); ++e) {
            const Sum& sum = sums[static_cast<std::size_t>(e)];
            image.setPixel(
                column, e,
                cellColor(sum.weight, high, sum.outcome, static_cast<double>(sum.resident) / (end - begin), theme));
        }
    }
    list.images.push_back({QRectF(first, 0, static_cast<double>(columns) * group, experts()), image});
    for (const RequestRecord& request : trace.requests) {
        const double start = request.firstToken.value(), generated = start + request.promptTokens;
        if (start > 0) list.lines.push_back({QPointF(start, 0), QPointF(start, experts()), theme.text(), false});
        if (request.promptTokens > 0 && generated <= m_tokens)
            list.lines.push_back({QPointF(generated, 0), QPointF(generated, experts()), theme.mutedText(), true});
    }
    return list;
}

DrawList TokenExpertModel::marks(const Viewport& viewport, const Theme& theme, const Selection& selected,
                                 const Selection& hovered) const {
    DrawList list;
    const auto mark = [&](const Selection& what, const QColor& color) {
        const bool expert = what.expert && what.expert->value() < experts() && (!what.layer || *what.layer == m_layer);
        const bool tokens = what.tokens && what.tokens->from.value() < m_tokens;
        const double from = tokens ? what.tokens->from.value() : 0;
        const double to = tokens ? std::min(what.tokens->to.value(), m_tokens) : m_tokens;
        if (tokens) addOutline(list, QRectF(from, 0, to - from, experts()), viewport, color);
        if (expert) addOutline(list, QRectF(from, what.expert->value(), to - from, 1), viewport, color);
    };
    mark(selected, theme.highlight());
    mark(hovered, theme.hover());
    return list;
}

std::optional<TokenExpertModel::Cell> TokenExpertModel::cellAt(const QPointF& at) const {
    if (!(at.x() >= 0 && at.x() < m_tokens && at.y() >= 0 && at.y() < experts())) return {};
    return Cell{TokenIndex{static_cast<std::int32_t>(at.x())}, ExpertId{static_cast<std::int32_t>(at.y())}};
}

const SelectionRecord* TokenExpertModel::choice(Cell cell, const TraceView& trace) const {
    for (std::int32_t slot = 0; slot < m_index.topK(); ++slot) {
        const std::int64_t at = m_index.find(m_layer, cell.token, slot);
        if (at >= 0 && trace.selections[static_cast<std::size_t>(at)].expert == cell.expert)
            return &trace.selections[static_cast<std::size_t>(at)];
    }
    return nullptr;
}

double TokenExpertModel::weight(Cell cell, const TraceView& trace) const {
    const SelectionRecord* s = choice(cell, trace);
    return s ? static_cast<double>(s->weight) : std::numeric_limits<double>::quiet_NaN();
}

QString TokenExpertModel::describe(Cell cell, const TraceView& trace) const {
    QString lines = QStringLiteral("Token %1").arg(cell.token.value());
    if (cell.token.index() < trace.tokens.size()) {
        const TokenRecord& token = trace.tokens[cell.token.index()];
        lines += QStringLiteral(" “%1” (%2)")
                     .arg(tokenText(token),
                          token.phase == Phase::Prefill ? QStringLiteral("prompt") : QStringLiteral("generated"));
    }
    lines += QStringLiteral("\nlayer %1 · expert %2").arg(m_layer.value()).arg(cell.expert.value());
    const StepIndex step = m_index.stepOf(cell.token);
    if (step.value() < 0) return lines + QStringLiteral("\nnot run: its layers have no recorded choice");
    if (const SelectionRecord* s = choice(cell, trace)) {
        lines += QStringLiteral("\nchoice %1 of %2, weight %3, %4")
                     .arg(s->slot + 1)
                     .arg(m_index.topK())
                     .arg(numberText(static_cast<double>(s->weight)), outcomeText(s->outcome));
        if (std::isfinite(s->norm))
            lines += QStringLiteral("\noutput norm %1").arg(numberText(static_cast<double>(s->norm)));
    } else {
        lines += QStringLiteral("\nnot chosen");
    }
    return lines + (wasResident(cell) ? QStringLiteral("\nresident when step %1 looked it up")
                                      : QStringLiteral("\nnot resident when step %1 looked it up"))
                       .arg(step.value());
}

}  // namespace expertscope
