// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/token_strip_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "views/base/give_back.h"
#include "views/base/number_format.h"

namespace expertscope {
namespace {

constexpr double kNsPerMs = 1e6;
constexpr double kLabelWidth = 56;  // pixels that a request's label needs to be read

/// Bytes of a token as text: a part of a character and line ends are shown, not printed.
QString visibleText(const std::string& bytes) {
    QString text = QString::fromUtf8(bytes.data(), static_cast<qsizetype>(bytes.size()));
    return text.replace('\n', "⏎").replace('\t', "⇥");
}

double scaleTop(const std::vector<TokenBar>& bars) {
    if (bars.empty()) return 1;
    std::vector<double> totals;
    totals.reserve(bars.size());
    for (const TokenBar& bar : bars)
        totals.push_back(bar.totalMs());
    const auto rank = static_cast<std::ptrdiff_t>(0.99 * static_cast<double>(totals.size() - 1));
    std::nth_element(totals.begin(), totals.begin() + rank, totals.end());
    const double percentile = totals[static_cast<std::size_t>(rank)];
    return percentile > 0 ? 1.1 * percentile : 1;
}

void drawBar(DrawList& list, const TokenBar& bar, double from, double to, int tag, double top, const Theme& theme) {
    const double compute = std::min(bar.computeMs, top);
    const double total = std::min(bar.totalMs(), top);
    list.rects.push_back(
        {.rect = QRectF(from, 0, to - from, compute), .color = theme.color(Meaning::Compute), .tag = tag});
    if (total > compute) {
        list.rects.push_back({.rect = QRectF(from, compute, to - from, total - compute),
                              .color = theme.color(Meaning::Wait),
                              .pattern = Pattern::CrossHatch,
                              .tag = tag});
    }
    if (bar.totalMs() > top) { list.lines.push_back({.from = {from, top}, .to = {to, top}, .color = theme.text()}); }
}

}  // namespace

void TokenStripModel::clear() { giveBack(std::exchange(*this, {})); }

TokenStripModel::StepTime& TokenStripModel::step(StepIndex index) {
    if (index.index() >= m_steps.size()) m_steps.resize(index.index() + 1);
    return m_steps[index.index()];
}

void TokenStripModel::update(const RunTrace& trace) {
    const auto& spans = trace.spans();
    std::size_t changed = m_tokensRead;  // the first token whose bar does
    const auto touch = [&](StepIndex index) -> StepTime& {
        StepTime& time = step(index);
        changed = std::min(changed, time.firstToken);
        return time;
    };
    for (; m_spansRead < spans.size(); ++m_spansRead) {
        const SpanRecord& span = spans[m_spansRead];
        if (span.step.value() < 0) continue;
        const std::int64_t length = (span.end - span.start).count();
        if (span.kind == SpanKind::Step) touch(span.step).totalNs += length;
        if (span.kind == SpanKind::Wait) touch(span.step).waitNs += length;
    }
    const auto& tokens = trace.tokens();
    for (; m_tokensRead < tokens.size(); ++m_tokensRead) {
        const TokenRecord& token = tokens[m_tokensRead];
        if (token.step.value() >= 0) {
            StepTime& time = touch(token.step);
            ++time.tokens;
            time.firstToken = std::min(time.firstToken, m_tokensRead);
        }
        m_texts.push_back(visibleText(token.bytes));
    }
    m_requests.clear();
    for (const RequestRecord& request : trace.requests()) {
        m_requests.push_back({request.firstToken.value(), QString::fromStdString(request.label)});
    }
    rebuildBars(trace, changed);
}

void TokenStripModel::rebuildBars(const RunTrace& trace, std::size_t from) {
    m_bars.resize(from);
    m_bars.resize(m_tokensRead);
    for (std::size_t i = from; i < m_tokensRead; ++i) {
        const StepIndex index = trace.tokens()[i].step;
        if (index.value() < 0 || index.index() >= m_steps.size()) continue;
        const StepTime& time = m_steps[index.index()];
        if (time.tokens == 0) continue;
        const double share = 1.0 / (kNsPerMs * time.tokens);
        m_bars[i].waitMs = static_cast<double>(time.waitNs) * share;
        // A step's own span is told at its end, after its waits: until then nothing is known of its compute.
        m_bars[i].computeMs = std::max(0.0, static_cast<double>(time.totalNs - time.waitNs) * share);
    }
    m_top = scaleTop(m_bars);
}

DrawList TokenStripModel::draw(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    if (m_bars.empty() || viewport.pixels.width() <= 0 || viewport.range.width() <= 0) return list;
    const int count = static_cast<int>(m_bars.size());
    const int first = std::clamp(static_cast<int>(std::floor(viewport.range.left())), 0, count);
    const int last = std::clamp(static_cast<int>(std::ceil(viewport.range.right())), first, count);
    const double tokensPerPixel = viewport.range.width() / viewport.pixels.width();
    const int bucket = std::max(1, static_cast<int>(std::ceil(tokensPerPixel)));
    // Where a bar is wide enough, a gap keeps neighbours apart.
    const double gap = tokensPerPixel < 0.25 ? std::max(0.1, tokensPerPixel) : 0.0;
    for (int from = first - first % bucket; from < last; from += bucket) {
        const int to = std::min(from + bucket, count);
        const auto slowest =
            std::max_element(m_bars.begin() + from, m_bars.begin() + to,
                             [](const TokenBar& a, const TokenBar& b) { return a.totalMs() < b.totalMs(); });
        drawBar(list, *slowest, from, to - gap, bucket == 1 ? from : -1, m_top, theme);
    }
    drawRequests(list, viewport, theme);
    return list;
}

void TokenStripModel::drawRequests(DrawList& list, const Viewport& viewport, const Theme& theme) const {
    const double pixelsPerToken = viewport.pixels.width() / viewport.range.width();
    for (std::size_t i = 0; i < m_requests.size(); ++i) {
        const double x = m_requests[i].firstToken;
        const double end =
            i + 1 < m_requests.size() ? m_requests[i + 1].firstToken : static_cast<double>(m_bars.size());
        if (x > 0)
            list.lines.push_back({.from = {x, 0}, .to = {x, height()}, .color = theme.mutedText(), .dashed = true});
        if (!m_requests[i].label.isEmpty() && (end - x) * pixelsPerToken >= kLabelWidth) {
            list.texts.push_back({.at = {x + 3 / pixelsPerToken, height()},
                                  .text = m_requests[i].label,
                                  .color = theme.mutedText(),
                                  .alignment = Qt::AlignLeft | Qt::AlignTop});
        }
    }
}

QString TokenStripModel::describe(int token) const {
    if (token < 0 || static_cast<std::size_t>(token) >= m_bars.size()) return {};
    const auto at = static_cast<std::size_t>(token);
    const auto after = std::upper_bound(m_requests.begin(), m_requests.end(), token,
                                        [](int index, const Request& request) { return index < request.firstToken; });
    const QString label = after == m_requests.begin() ? QString() : std::prev(after)->label;
    const TokenBar& bar = m_bars[at];
    return QString("token %1 “%2”%3 · %4 ms = compute %5 ms + wait %6 ms")
        .arg(token)
        .arg(m_texts[at], label.isEmpty() ? QString() : " · " + label, numberText(bar.totalMs()),
             numberText(bar.computeMs), numberText(bar.waitMs));
}

}  // namespace expertscope
