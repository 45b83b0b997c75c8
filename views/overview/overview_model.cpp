// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/overview/overview_model.h"

#include <algorithm>
#include <cmath>

#include "views/base/number_format.h"
#include "views/base/run_origin.h"

namespace expertscope {
namespace {

constexpr LaneId kComputeLane{0};
constexpr int kRateWindow = 8;

QString text(const std::string& utf8) { return QString::fromStdString(utf8); }

double milliseconds(Nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

/// Nearest-rank percentile; 0 without values.
double percentile(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
    std::ranges::nth_element(values, at);
    return *at;
}

bool isPhase(SpanKind kind) {
    switch (kind) {
        case SpanKind::Attention:
        case SpanKind::Router:
        case SpanKind::Experts:
        case SpanKind::Combine:
        case SpanKind::Head:
        case SpanKind::Sample:
            return true;
        default:
            return false;
    }
}

QString stoppedWords(const std::string& stopped) {
    if (stopped == "tokens") return QStringLiteral("all tokens made");
    if (stopped == "eos") return QStringLiteral("stopped at the end-of-text token");
    if (stopped == "context") return QStringLiteral("stopped at the end of the context");
    if (stopped == "interrupted") return QStringLiteral("interrupted");
    if (stopped == "failed") return QStringLiteral("failed");
    return QStringLiteral("going on");
}

}  // namespace

void OverviewModel::setTrace(const RunTrace* trace) {
    *this = OverviewModel();
    m_trace = trace;
    update();
}

void OverviewModel::update() {
    if (!m_trace) return;
    readSelections();
    readTransfers();
    readSpans();
    readTokens();
    finishFigures();
}

void OverviewModel::readSelections() {
    const auto& selections = m_trace->selections();
    for (; m_selectionsRead < selections.size(); ++m_selectionsRead) {
        const SelectionRecord& selection = selections[m_selectionsRead];
        if (!selection.firstUse) continue;
        ++m_counted.accesses;
        if (selection.outcome == Outcome::Hit) ++m_counted.hits;
        if (selection.outcome == Outcome::InFlight) ++m_counted.hitsInFlight;
        if (selection.outcome == Outcome::Miss) ++m_counted.misses;
    }
    m_counted.selections = static_cast<std::int64_t>(selections.size());
}

void OverviewModel::readTransfers() {
    const auto& transfers = m_trace->transfers();
    for (; m_transfersRead < transfers.size(); ++m_transfersRead) {
        const TransferRecord& transfer = transfers[m_transfersRead];
        if (transfer.purpose == TransferPurpose::Preload) continue;
        m_counted.moved += transfer.moved;
        if (transfer.purpose == TransferPurpose::Demand) {
            m_counted.demand += transfer.bytes;
            continue;
        }
        m_counted.prefetch += transfer.bytes;
        switch (transfer.fate) {
            case TransferFate::Used:
            case TransferFate::Useful:
                m_counted.useful += transfer.bytes;
                break;
            case TransferFate::Late:
                m_counted.late += transfer.bytes;
                break;
            case TransferFate::Wasted:
                m_counted.wasted += transfer.bytes;
                break;
            case TransferFate::Cancelled:
                m_counted.cancelled += transfer.bytes;
                break;
        }
    }
}

void OverviewModel::readSpans() {
    const auto& spans = m_trace->spans();
    for (; m_spansRead < spans.size(); ++m_spansRead) {
        const SpanRecord& span = spans[m_spansRead];
        if (span.lane != kComputeLane) continue;
        m_first = m_last.count() == 0 ? span.start : std::min(m_first, span.start);
        m_last = std::max(m_last, span.end);
        if (isPhase(span.kind)) m_phases += span.end - span.start;
        if (span.kind == SpanKind::Wait) m_wait += span.end - span.start;
    }
    m_counted.spans = static_cast<std::int64_t>(spans.size());
    m_counted.totalMs = milliseconds(m_last - m_first);
    m_counted.waitMs = milliseconds(m_wait);
    m_counted.computeMs = milliseconds(std::max(Nanoseconds(0), m_phases - m_wait));
    m_counted.otherMs = std::max(0.0, m_counted.totalMs - m_counted.waitMs - m_counted.computeMs);
}

void OverviewModel::readTokens() {
    const auto& tokens = m_trace->tokens();
    for (; m_tokensRead < tokens.size(); ++m_tokensRead) {
        const TokenRecord& token = tokens[m_tokensRead];
        if (token.phase == Phase::Prefill) {
            ++m_counted.promptTokens;
        } else {
            ++m_counted.generatedTokens;
            m_generated[token.request.value()] += token.bytes;
        }
    }
}

void OverviewModel::finishFigures() {
    m_fromTrace = !m_trace->entry().summary;
    if (m_fromTrace) {
        speeds();
        m_figures = m_counted;
    } else {
        m_figures = *m_trace->entry().summary;
    }
}

/// Speeds of what has been made so far: a request's prefill ends with its first generated token, decoding is what
/// follows.
void OverviewModel::speeds() {
    const auto& requests = m_trace->requests();
    std::map<std::int32_t, Nanoseconds> previous;
    std::vector<double> gaps, firsts;
    double decodeMs = 0, prefillMs = 0;
    std::int64_t prefilled = 0;
    for (const TokenRecord& token : m_trace->tokens()) {
        if (token.phase == Phase::Prefill) continue;
        const auto before = previous.find(token.request.value());
        if (before != previous.end()) {
            gaps.push_back(milliseconds(token.time - before->second));
            decodeMs += gaps.back();
        } else if (const auto request = std::ranges::find(requests, token.request, &RequestRecord::request);
                   request != requests.end()) {
            firsts.push_back(milliseconds(token.time - request->start));
            prefillMs += firsts.back();
            prefilled += request->promptTokens;
        }
        previous[token.request.value()] = token.time;
    }
    m_counted.decodeTokensPerSecond = decodeMs > 0 ? static_cast<double>(gaps.size()) / decodeMs * 1e3 : 0;
    m_counted.prefillTokensPerSecond = prefillMs > 0 ? static_cast<double>(prefilled) / prefillMs * 1e3 : 0;
    m_counted.ttftMs = firsts.empty() ? 0 : prefillMs / static_cast<double>(firsts.size());
    m_counted.tpotP50Ms = percentile(gaps, 0.50);
    m_counted.tpotP90Ms = percentile(gaps, 0.90);
    m_counted.tpotP99Ms = percentile(gaps, 0.99);
}

QString OverviewModel::policy() const { return text(m_trace->entry().description.policy); }

QString OverviewModel::stateSentence() const {
    const RunDescription& run = m_trace->entry().description;
    const QString made = countText(m_figures.generatedTokens);
    switch (m_trace->entry().state) {
        case RunState::Running:
            return run.plannedTokens > 0
                       ? QStringLiteral("Running: %1 of %2 tokens made.").arg(made, countText(run.plannedTokens))
                       : QStringLiteral("Running: %1 tokens made.").arg(made);
        case RunState::Complete:
            return QStringLiteral("Complete: %1 prompt and %2 generated tokens%3.")
                .arg(countText(m_figures.promptTokens), made,
                     m_figures.totalMs > 0 ? " in " + millisecondsText(m_figures.totalMs) : QString());
        case RunState::Interrupted:
            return QStringLiteral("Interrupted after %1 generated tokens; what was recorded until then is kept.")
                .arg(made);
        case RunState::Crashed:
            return QStringLiteral(
                       "Ended early after %1 generated tokens: the recording program is gone, and up to the last 0.2 s "
                       "may be missing.")
                .arg(made);
        case RunState::Failed:
            return QStringLiteral("Failed after %1 generated tokens; the notes say why.").arg(made);
    }
    return {};
}

std::vector<OverviewFact> OverviewModel::facts() const {
    const RunDescription& run = m_trace->entry().description;
    const ModelFacts& model = run.model;
    const auto bytesFact = [](const char* name, Bytes bytes, const QString& more = {}) {
        return OverviewFact{QString::fromLatin1(name), bytesText(bytes) + more,
                            countText(bytes.count()) + QStringLiteral(" bytes")};
    };
    std::vector<OverviewFact> facts;
    facts.push_back({"Model", text(model.name), text(model.path)});
    facts.push_back({"Family", text(model.family), {}});
    facts.push_back(
        {"Experts", QStringLiteral("%1 layers × %2, top-%3").arg(model.layers).arg(model.experts).arg(model.topK), {}});
    facts.push_back(bytesFact("Expert size", model.expertBytes,
                              QStringLiteral(", %1 in all").arg(bytesText(model.totalExpertBytes))));
    facts.push_back({"Policy", text(run.policy), {}});
    if (madeByEngine(run)) {
        facts.push_back({"Eviction", text(run.eviction), {}});
        const std::int64_t all = static_cast<std::int64_t>(model.layers) * model.experts;
        const QString share = percentText(run.budget.count(), model.totalExpertBytes.count());
        facts.push_back(bytesFact("Budget", run.budget, QStringLiteral(", %1 of all").arg(share)));
        facts.push_back({"Slots", QStringLiteral("%1 of %2 experts").arg(countText(run.slots), countText(all)), {}});
        facts.push_back({"Link", run.link.empty() ? QStringLiteral("not paced") : text(run.link), {}});
        facts.push_back({"Reads", text(run.io), {}});
        facts.push_back(
            {"Device", QStringLiteral("%1, %2 threads").arg(text(run.device)).arg(run.threads), text(run.machineJson)});
    }
    if (run.reference) facts.push_back({"Arithmetic", QStringLiteral("float32 reference"), {}});
    facts.push_back(
        {"Started", text(run.startedUtc).replace(QChar('T'), QChar(' ')).remove(QChar('Z')), QStringLiteral("UTC")});
    QString recorded =
        QStringLiteral("%1 spans, %2 selections").arg(countText(m_figures.spans), countText(m_figures.selections));
    if (m_figures.dropped > 0) recorded += QStringLiteral(", %1 dropped").arg(countText(m_figures.dropped));
    facts.push_back({"Recorded", recorded, {}});
    // What another tool did not tell has no line.
    std::erase_if(facts, [](const OverviewFact& fact) { return fact.value.isEmpty(); });
    return facts;
}

std::vector<OverviewText> OverviewModel::texts() const {
    std::vector<OverviewText> texts;
    for (const RequestRecord& request : m_trace->requests()) {
        OverviewText item;
        const QString label =
            request.label.empty() ? QStringLiteral("Request %1").arg(request.request.value() + 1) : text(request.label);
        item.title = QStringLiteral("%1 · %2 prompt tokens · %3")
                         .arg(label, countText(request.promptTokens), stoppedWords(request.stopped));
        item.prompt = text(request.prompt);
        // Tokens may split a character, so their bytes are joined first.
        const auto generated = m_generated.find(request.request.value());
        if (generated != m_generated.end()) item.text = text(generated->second);
        texts.push_back(std::move(item));
    }
    return texts;
}

std::vector<OverviewNote> OverviewModel::notes() const {
    std::vector<OverviewNote> notes;
    for (const DiagnosticRecord& diagnostic : m_trace->diagnostics()) {
        QString sentence = text(diagnostic.sentence);
        if (diagnostic.count > 1) sentence += QStringLiteral(" (%1 times)").arg(countText(diagnostic.count));
        notes.push_back({diagnostic.severity, sentence});
    }
    std::ranges::stable_sort(notes,
                             [](const OverviewNote& a, const OverviewNote& b) { return a.severity > b.severity; });
    return notes;
}

std::vector<TokenRate> OverviewModel::rates() const { return tokenRates(m_trace->tokens(), kRateWindow); }

}  // namespace expertscope
