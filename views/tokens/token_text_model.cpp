// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/tokens/token_text_model.h"

#include <algorithm>
#include <cmath>

#include "views/base/colour_science.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"

namespace expertscope {

namespace {

constexpr double kMargin = 8;         // left of the text
constexpr double kLineGap = 4;        // between the boxes of two lines
constexpr double kHeadingGap = 10;    // above a request's heading
constexpr double kPromptTint = 0.38;  // of a prompt token's colour over the background
constexpr double kWorstLogProbability = -8;
constexpr std::size_t kMostTokensOfCharacter = 4;  // UTF-8 has at most four bytes

QColor blend(const QColor& below, const QColor& above, double t) {
    const auto mix = [t](int a, int b) { return static_cast<int>(std::lround(a + t * (b - a))); };
    return {mix(below.red(), above.red()), mix(below.green(), above.green()), mix(below.blue(), above.blue())};
}

QString headingOf(const RequestRecord& request) {
    QString text = QStringLiteral("Request %1").arg(request.request.value() + 1);
    if (!request.label.empty()) text += QStringLiteral(" · ") + QString::fromStdString(request.label);
    text += QStringLiteral(" · %1 prompt").arg(countText(request.promptTokens));
    if (request.generatedTokens > 0) text += QStringLiteral(" + %1 generated").arg(countText(request.generatedTokens));
    text += QStringLiteral(" tokens");
    if (!request.stopped.empty() && request.stopped != "tokens")
        text += QStringLiteral(" · stopped: ") + QString::fromStdString(request.stopped);
    return text;
}

/// A token's text in pieces that each end a line, except the last.
QStringList pieces(const QString& text) {
    QStringList parts = text.split(QLatin1Char('\n'));
    if (parts.size() > 1 && parts.last().isEmpty()) parts.removeLast();
    return parts;
}

Meaning meaningOf(Outcome outcome) {
    if (outcome == Outcome::Hit) return Meaning::Hit;
    return outcome == Outcome::InFlight ? Meaning::InFlight : Meaning::Miss;
}

QString mark(Outcome outcome) {
    if (outcome == Outcome::Hit) return QStringLiteral("●");
    return outcome == Outcome::InFlight ? QStringLiteral("◐") : QStringLiteral("○");
}

void addFrame(DrawList& list, const QRectF& box, const QColor& color) {
    list.rects.push_back({box.adjusted(-1, -1, 1, 1), color, Pattern::Outline, {}, -1});
    list.rects.push_back({box, color, Pattern::Outline, {}, -1});
}

}  // namespace

void TokenTextModel::setRun(const ModelFacts& model) {
    m_index = SelectionIndex(model.layers, model.topK);
    m_usage = ExpertUsageCounter(model.layers, model.experts);
    m_fragments.clear();
    m_headings.clear();
    m_firstFragment.clear();
    m_lineStarts.clear();
    m_height = 0;
    setLayer(m_layer);
}

bool TokenTextModel::update(const TraceView& trace) {
    const bool indexed = m_index.update(trace);
    const bool counted = m_usage.update(trace);
    return indexed || counted || trace.tokens.size() != m_firstFragment.size();
}

void TokenTextModel::setLayer(LayerIndex layer) {
    m_layer = LayerIndex{std::clamp(layer.value(), 0, std::max(0, layers() - 1))};
}

double TokenTextModel::advance(const QString& text, const TextMetrics& metrics) {
    const auto known = m_advances.constFind(text);
    if (known != m_advances.cend()) return *known;
    return *m_advances.insert(text, metrics.advance(text));
}

/// Forgets what may change as the run grows, and returns where laying out goes on. The last tokens may share a
/// character whose bytes were not all there, and a request may be told after its first tokens.
TokenTextModel::LineStart TokenTextModel::resume(const TraceView& trace, double width, double lineHeight) {
    const bool same = width == m_laidWidth && lineHeight == m_laidLineHeight && tokensLaidOut() <= trace.tokens.size();
    if (!same) m_lineStarts.clear();
    m_laidWidth = width;
    m_laidLineHeight = lineHeight;
    const std::size_t settled = tokensLaidOut() - std::min(tokensLaidOut(), kMostTokensOfCharacter);
    const auto isLate = [&](const LineStart& at) {
        return at.headings < trace.requests.size() && trace.requests[at.headings].firstToken.index() < at.token;
    };
    while (!m_lineStarts.empty() && (m_lineStarts.back().token > settled || isLate(m_lineStarts.back())))
        m_lineStarts.pop_back();
    const LineStart from = m_lineStarts.empty() ? LineStart{0, 0, 0, kLineGap} : m_lineStarts.back();
    m_fragments.resize(from.fragments);
    m_headings.resize(from.headings);
    m_firstFragment.resize(from.token);
    for (std::size_t i = 0; i < m_headings.size(); ++i)
        m_headings[i].text = headingOf(trace.requests[i]);  // it tells how many tokens were made
    return from;
}

void TokenTextModel::layOut(const TraceView& trace, double width, const TextMetrics& metrics) {
    const LineStart from = resume(trace, width, metrics.lineHeight);
    // A character's first bytes may lie before the line, so its tokens are looked at, too.
    const std::size_t before = std::min(from.token, kMostTokensOfCharacter);
    const std::vector<QString> texts = displayTexts(trace.tokens.subspan(from.token - before));
    const double right = std::max(width - kMargin, kMargin + 1), pitch = metrics.lineHeight + kLineGap;
    double x = kMargin, y = from.y;
    std::size_t lineStart = from.fragments, wordStart = from.fragments;
    const auto newLine = [&] {
        x = kMargin;
        y += pitch;
        lineStart = wordStart = m_fragments.size();
    };
    const auto noteLineStart = [&](std::size_t token) {
        if (m_lineStarts.empty() || m_lineStarts.back().token < token)
            m_lineStarts.push_back({token, m_fragments.size(), m_headings.size(), y});
    };
    for (std::size_t i = from.token; i < trace.tokens.size(); ++i) {
        const TokenIndex token = trace.tokens[i].token;
        while (m_headings.size() < trace.requests.size() && trace.requests[m_headings.size()].firstToken <= token) {
            if (m_fragments.size() > lineStart) newLine();
            if (!m_headings.empty()) y += kHeadingGap;
            m_headings.push_back({QRectF(kMargin, y, right - kMargin, metrics.lineHeight),
                                  headingOf(trace.requests[m_headings.size()])});
            newLine();
        }
        if (m_fragments.size() == lineStart) noteLineStart(i);
        m_firstFragment.push_back(m_fragments.size());
        const QString& text = texts[i - from.token + before];
        const QStringList parts = pieces(text);
        for (qsizetype part = 0; part < parts.size(); ++part) {
            const double w = std::min(std::max(advance(parts[part], metrics), 3.0), right - kMargin);
            if (parts[part].isEmpty() || parts[part][0].isSpace()) wordStart = m_fragments.size();
            if (x + w > right && x > kMargin) {
                // The word goes to the next line whole, where it did not start the line.
                std::vector<Fragment> carried;
                if (wordStart > lineStart)
                    carried.assign(m_fragments.begin() + static_cast<std::ptrdiff_t>(wordStart), m_fragments.end());
                m_fragments.resize(m_fragments.size() - carried.size());
                newLine();
                if (carried.empty() && part == 0) noteLineStart(i);
                for (Fragment& fragment : carried) {
                    fragment.box.moveTopLeft(QPointF(x, y));
                    x += fragment.box.width();
                    m_fragments.push_back(fragment);
                }
            }
            m_fragments.push_back({token, QRectF(x, y, w, metrics.lineHeight), parts[part]});
            x += w;
            if (part + 1 < parts.size() || text.endsWith(QLatin1Char('\n'))) newLine();
        }
    }
    m_height = y + pitch;
}

std::optional<ExpertId> TokenTextModel::topExpert(TokenIndex token, const TraceView& trace) const {
    const std::int64_t at = m_index.find(m_layer, token, 0);
    if (at < 0) return {};
    return trace.selections[static_cast<std::size_t>(at)].expert;
}

std::optional<Outcome> TokenTextModel::worstOutcome(TokenIndex token, const TraceView& trace) const {
    std::optional<Outcome> worst;
    for (std::int32_t slot = 0; slot < m_index.topK(); ++slot) {
        const std::int64_t at = m_index.find(m_layer, token, slot);
        if (at < 0) continue;
        const Outcome outcome = trace.selections[static_cast<std::size_t>(at)].outcome;
        worst = std::max(worst.value_or(outcome), outcome);
    }
    return worst;
}

bool TokenTextModel::chose(TokenIndex token, ExpertId expert, const TraceView& trace) const {
    for (std::int32_t slot = 0; slot < m_index.topK(); ++slot) {
        const std::int64_t at = m_index.find(m_layer, token, slot);
        if (at >= 0 && trace.selections[static_cast<std::size_t>(at)].expert == expert) return true;
    }
    return false;
}

QColor TokenTextModel::fill(const TokenRecord& token, const TraceView& trace, const Theme& theme) const {
    switch (m_colour) {
        case TokenColour::TopExpert:
            if (const auto expert = topExpert(token.token, trace)) return theme.expert(expert->value());
            break;
        case TokenColour::Outcome:
            if (const auto outcome = worstOutcome(token.token, trace)) return theme.color(meaningOf(*outcome));
            break;
        case TokenColour::LogProbability:
            if (std::isfinite(token.logProbability))
                return QColor(theme.sequential(
                    std::max(0.0, 1 - static_cast<double>(token.logProbability) / kWorstLogProbability)));
            break;
    }
    return theme.noData();
}

void TokenTextModel::drawFragment(DrawList& list, const Fragment& fragment, const TraceView& trace,
                                  const Theme& theme) const {
    const TokenRecord& token = trace.tokens[fragment.token.index()];
    const bool prompt = token.phase == Phase::Prefill;
    const QColor full = fill(token, trace, theme);
    const QColor color = prompt ? blend(theme.background(), full, kPromptTint) : full;
    const QRectF& box = fragment.box;
    // A pixel between neighbours, so that each token is a box of its own.
    list.rects.push_back({box.adjusted(0, 0, -1, 0), color, Pattern::Solid, {}, fragment.token.value()});
    list.texts.push_back(
        {QPointF(box.left(), box.center().y()), fragment.text, readableOn(color), Qt::AlignLeft | Qt::AlignVCenter});
    if (m_colour == TokenColour::Outcome) {
        // Second cue beside the colour: no bar for a hit, half for in flight, whole for a miss.
        const auto outcome = worstOutcome(fragment.token, trace);
        if (!outcome || *outcome == Outcome::Hit) return;
        const double length = (box.width() - 1) * (*outcome == Outcome::Miss ? 1.0 : 0.5);
        list.rects.push_back(
            {QRectF(box.left(), box.bottom() - 2, length, 2), readableOn(color), Pattern::Solid, {}, -1});
    }
}

DrawList TokenTextModel::draw(const TraceView& trace, const Theme& theme, double top, double bottom,
                              const Selection& selected, const Selection& hovered) const {
    DrawList list;
    const auto below = [](const Fragment& fragment, double y) { return fragment.box.bottom() < y; };
    auto at = std::lower_bound(m_fragments.begin(), m_fragments.end(), top, below);
    const bool showUses = selected.expert && (!selected.layer || *selected.layer == m_layer);
    std::vector<std::pair<QRectF, QColor>> frames;
    const auto inside = [](const std::optional<TokenRange>& range, TokenIndex token) {
        return range && token >= range->from && token < range->to;
    };
    for (; at != m_fragments.end() && at->box.top() <= bottom; ++at) {
        if (at->token.index() >= trace.tokens.size()) break;
        drawFragment(list, *at, trace, theme);
        const QRectF box = at->box.adjusted(0, 0, -1, 0);
        if (showUses && chose(at->token, *selected.expert, trace)) {
            const QRectF bar(box.left(), box.bottom(), box.width(), 3);
            list.rects.push_back({bar, theme.highlight(), Pattern::Solid, {}, -1});
        }
        if (inside(selected.tokens, at->token)) frames.emplace_back(box, theme.highlight());
        if (inside(hovered.tokens, at->token)) frames.emplace_back(box, theme.hover());
    }
    for (const auto& [box, color] : frames)
        addFrame(list, box, color);
    for (const Heading& heading : m_headings) {
        if (heading.box.bottom() < top || heading.box.top() > bottom) continue;
        list.texts.push_back({QPointF(heading.box.left(), heading.box.center().y()), heading.text, theme.mutedText(),
                              Qt::AlignLeft | Qt::AlignVCenter});
        list.lines.push_back({heading.box.bottomLeft(), heading.box.bottomRight(), theme.grid(), false});
    }
    return list;
}

std::optional<TokenIndex> TokenTextModel::tokenAt(const QPointF& at, bool nearest) const {
    const auto below = [](const Fragment& fragment, double y) { return fragment.box.bottom() + kLineGap < y; };
    auto found = std::lower_bound(m_fragments.begin(), m_fragments.end(), at.y(), below);
    if (found == m_fragments.end())
        return nearest && !m_fragments.empty() ? std::optional(m_fragments.back().token) : std::nullopt;
    const double line = found->box.top();
    std::optional<TokenIndex> last;
    for (; found != m_fragments.end() && found->box.top() == line; ++found) {
        if (found->box.contains(at)) return found->token;
        if (!last || found->box.left() <= at.x()) last = found->token;
    }
    return nearest ? last : std::nullopt;
}

QRectF TokenTextModel::boxOf(TokenIndex token) const {
    if (token.value() < 0 || token.index() >= m_firstFragment.size()) return {};
    // A fragment carried to the next line keeps its place in the order, so the index holds.
    const std::size_t at = m_firstFragment[token.index()];
    return at < m_fragments.size() ? m_fragments[at].box : QRectF();
}

std::vector<std::pair<ExpertId, double>> TokenTextModel::mostUsed(std::size_t count) const {
    std::vector<std::pair<ExpertId, double>> experts;
    if (m_usage.layers() == 0) return experts;
    for (std::int32_t e = 0; e < m_usage.experts(); ++e)
        if (m_usage.at(m_layer, ExpertId{e}).selections > 0)
            experts.emplace_back(ExpertId{e}, m_usage.share(m_layer, ExpertId{e}));
    std::ranges::stable_sort(experts, std::greater{}, &std::pair<ExpertId, double>::second);
    if (experts.size() > count) experts.resize(count);
    return experts;
}

QString TokenTextModel::describe(TokenIndex token, const TraceView& trace, const Theme& theme) const {
    if (token.value() < 0 || token.index() >= trace.tokens.size()) return {};
    const TokenRecord& record = trace.tokens[token.index()];
    const std::size_t from = token.index() - std::min<std::size_t>(token.index(), 3);
    const std::size_t to = std::min(trace.tokens.size(), token.index() + 4);
    QString text = displayTexts(trace.tokens.subspan(from, to - from))[token.index() - from];
    text.remove(QLatin1Char('\n'));
    QString html = QStringLiteral("<b>token %1</b> “%2” (%3")
                       .arg(QString::number(token.value()), text.toHtmlEscaped(),
                            record.phase == Phase::Prefill ? QStringLiteral("prompt") : QStringLiteral("generated"));
    if (std::isfinite(record.logProbability))
        html += QStringLiteral(", log-probability %1").arg(numberText(static_cast<double>(record.logProbability)));
    html += QStringLiteral(")");
    if (m_index.stepOf(token).value() < 0) return html + QStringLiteral("<br>not run: no layer has a recorded choice");
    html += QStringLiteral("<table cellspacing='0' cellpadding='2'>");
    for (std::int32_t layer = 0; layer < layers(); ++layer) {
        html += QStringLiteral("<tr><td align='right'>%1</td>")
                    .arg(layer == m_layer.value() ? QStringLiteral("<b>▸ layer %1</b>").arg(layer)
                                                  : QStringLiteral("layer %1").arg(layer));
        for (std::int32_t slot = 0; slot < m_index.topK(); ++slot) {
            const std::int64_t at = m_index.find(LayerIndex{layer}, token, slot);
            if (at < 0) {
                html += QStringLiteral("<td>–</td>");
                continue;
            }
            const SelectionRecord& s = trace.selections[static_cast<std::size_t>(at)];
            const QColor color = theme.expert(s.expert.value());
            html += QStringLiteral(
                        "<td>&nbsp;<span style='background-color:%1;color:%2'>&nbsp;%3&nbsp;</span> %4 "
                        "<span style='color:%5'>%6</span></td>")
                        .arg(color.name(), readableOn(color).name(), QString::number(s.expert.value()),
                             QString::number(static_cast<double>(s.weight), 'f', 2),
                             theme.color(meaningOf(s.outcome)).name(), mark(s.outcome));
        }
        html += QStringLiteral("</tr>");
    }
    return html + QStringLiteral("</table>");
}

QString TokenTextModel::counted(const TraceView& trace) const {
    std::int64_t prompt = 0;
    for (const TokenRecord& token : trace.tokens)
        prompt += token.phase == Phase::Prefill;
    const auto all = static_cast<std::int64_t>(trace.tokens.size());
    return QStringLiteral("%1 tokens of %2 requests: %3 prompt (pale), %4 generated (full colour).")
        .arg(countText(all), countText(static_cast<std::int64_t>(trace.requests.size())), countText(prompt),
             countText(all - prompt));
}

}  // namespace expertscope
