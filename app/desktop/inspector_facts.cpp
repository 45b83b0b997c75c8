// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/inspector_facts.h"

#include <QStringList>
#include <algorithm>
#include <cmath>

#include "views/base/number_format.h"
#include "views/base/run_origin.h"

namespace expertscope {
namespace {

bool covers(const Selection& selection, const SelectionRecord& record) {
    if (selection.layer && record.layer != *selection.layer) return false;
    if (selection.expert && record.expert != *selection.expert) return false;
    return !selection.tokens || (record.token >= selection.tokens->from && record.token < selection.tokens->to);
}

/// Counts over the selected experts' uses.
struct Uses {
    std::int64_t selections = 0, ofLayer = 0;  ///< ofLayer: what every expert of the same layers and tokens got
    double weight = 0, norm = 0;
    std::int64_t norms = 0;
    std::int64_t hits = 0, inFlight = 0, misses = 0;
    std::vector<std::int64_t> perExpert;
    std::int64_t accesses() const { return hits + inFlight + misses; }
};

bool countsTime(const Selection& selection) { return selection.time.has_value(); }
bool countsUses(const Selection& selection) { return selection.tokens || selection.layer || selection.expert; }
bool countsLoads(const Selection& selection) { return selection.layer || selection.expert; }

/// Goes through a run's records and tells how far it is.
class Walk {
public:
    Walk(std::size_t records, const InspectProgress& progress)
        : m_records(std::max<std::size_t>(1, records)), m_progress(progress) {}

    template <class Record, class Use>
    void through(const std::vector<Record>& records, Use use) {
        for (std::size_t from = 0; from < records.size(); from += kBlock) {
            const std::size_t to = std::min(records.size(), from + kBlock);
            for (std::size_t i = from; i < to; ++i)
                use(records[i]);
            m_done += to - from;
            if (m_progress) m_progress(static_cast<double>(m_done) / static_cast<double>(m_records));
        }
    }

private:
    static constexpr std::size_t kBlock = 1 << 17;  // about a millisecond
    std::size_t m_records, m_done = 0;
    const InspectProgress& m_progress;
};

Uses countUses(const RunTrace& trace, const Selection& selection, Walk& walk) {
    Uses uses;
    uses.perExpert.resize(static_cast<std::size_t>(std::max(0, trace.model().experts)));
    const Selection everyExpert{selection.time, selection.tokens, selection.layer, std::nullopt};
    walk.through(trace.selections(), [&](const SelectionRecord& record) {
        if (!covers(everyExpert, record)) return;
        ++uses.ofLayer;
        if (record.expert.index() < uses.perExpert.size()) ++uses.perExpert[record.expert.index()];
        if (selection.expert && record.expert != *selection.expert) return;
        ++uses.selections;
        uses.weight += record.weight;
        if (std::isfinite(record.norm)) {
            uses.norm += record.norm;
            ++uses.norms;
        }
        if (!record.firstUse) return;
        if (record.outcome == Outcome::Hit) ++uses.hits;
        if (record.outcome == Outcome::InFlight) ++uses.inFlight;
        if (record.outcome == Outcome::Miss) ++uses.misses;
    });
    return uses;
}

void addHits(InspectorText& text, std::int64_t hits, std::int64_t inFlight, std::int64_t misses) {
    const std::int64_t accesses = hits + inFlight + misses;
    text.facts.push_back(
        {"● hits", percentText(hits, accesses),
         QString("%1 of %2 accesses found the expert on the device.").arg(countText(hits), countText(accesses))});
    text.facts.push_back({"◐ in flight", percentText(inFlight, accesses),
                          QString("%1 accesses found a prefetch that had not all arrived.").arg(countText(inFlight))});
    text.facts.push_back({"○ misses", percentText(misses, accesses),
                          QString("%1 accesses found the expert neither there nor under way.").arg(countText(misses))});
}

void addLoads(InspectorText& text, const RunTrace& trace, const Selection& selection, Walk& walk) {
    std::int64_t loads = 0;
    Bytes moved;
    walk.through(trace.transfers(), [&](const TransferRecord& transfer) {
        if (selection.layer && transfer.expert.layer != *selection.layer) return;
        if (selection.expert && transfer.expert.expert != *selection.expert) return;
        ++loads;
        moved += transfer.moved;
    });
    text.facts.push_back({"transfers", countText(loads), "How often it was moved to the device, in the whole run."});
    text.facts.push_back({"bytes moved", bytesText(moved), "What went over the link for it, in the whole run."});
}

void describeUses(InspectorText& text, const RunTrace& trace, const Selection& selection, Walk& walk) {
    const Uses uses = countUses(trace, selection, walk);
    text.facts.push_back(
        {"selections", countText(uses.selections), "Times that a token chose it, one per token, layer and rank."});
    if (selection.expert) {
        const double random = trace.model().experts > 0 ? 100.0 / trace.model().experts : 0;
        text.facts.push_back(
            {"share", percentText(uses.selections, uses.ofLayer),
             QString("Of all selections of the same tokens and layers; if random %1 %.").arg(numberText(random))});
    } else if (uses.ofLayer > 0) {
        const auto busiest = std::max_element(uses.perExpert.begin(), uses.perExpert.end());
        const auto used = std::count_if(uses.perExpert.begin(), uses.perExpert.end(), [](auto n) { return n > 0; });
        text.facts.push_back({"experts used", QString("%1 of %2").arg(used).arg(trace.model().experts),
                              "Experts that were chosen at least once."});
        text.facts.push_back(
            {"busiest",
             QString("expert %1 · %2").arg(busiest - uses.perExpert.begin()).arg(percentText(*busiest, uses.ofLayer)),
             "The most chosen expert and its share of these selections."});
    }
    if (uses.selections > 0) {
        text.facts.push_back({"mean weight", numberText(uses.weight / static_cast<double>(uses.selections)),
                              "Router weight applied to its output, averaged over its selections."});
    }
    if (uses.norms > 0) {
        text.facts.push_back({"mean output norm", numberText(uses.norm / static_cast<double>(uses.norms)),
                              "L2 norm of its unweighted output, averaged over its selections."});
    }
    addHits(text, uses.hits, uses.inFlight, uses.misses);
    if (countsLoads(selection)) addLoads(text, trace, selection, walk);
}

/// What only a run of our engine has.
void describePolicy(InspectorText& text, const RunDescription& run) {
    text.facts.push_back({"eviction", QString::fromStdString(run.eviction),
                          "Rule that chooses the expert that leaves when room is needed."});
    text.facts.push_back(
        {"budget", bytesText(run.budget), QString("Expert bytes on the device: %1 experts.").arg(run.slots)});
    text.facts.push_back({"link", run.link.empty() ? QString("not paced") : QString::fromStdString(run.link),
                          run.link.empty() ? "Transfers went as fast as the disk gave them."
                                           : "Transfers were paced to this bandwidth and latency."});
    text.facts.push_back(
        {"logits", run.exact ? "exact" : "approximate", "Exact: bit-identical to the run with every expert resident."});
}

void describeRun(InspectorText& text, const RunTrace& trace) {
    const bool ours = madeByEngine(trace.entry().description);
    if (ours) describePolicy(text, trace.entry().description);
    if (!trace.entry().summary) return;
    const RunSummary& summary = *trace.entry().summary;
    if (ours) {
        text.facts.push_back({"decode", numberText(summary.decodeTokensPerSecond, "tok/s"),
                              "Generated tokens a second, prompts not counted."});
        text.facts.push_back({"first token after", millisecondsText(summary.ttftMs),
                              "From a request's start to its first generated token."});
    }
    addHits(text, summary.hits, summary.hitsInFlight, summary.misses);
    text.facts.push_back({"bytes moved", bytesText(summary.moved), "Expert bytes that went over the link."});
    if (!ours) return;
    text.facts.push_back({"wait", percentText(summary.waitMs / summary.totalMs),
                          "Of the compute thread's time, spent waiting for expert bytes."});
}

void describeTime(InspectorText& text, const RunTrace& trace, const TimeRange& range, Walk& walk) {
    Nanoseconds compute, wait;
    std::int64_t transfers = 0;
    walk.through(trace.spans(), [&](const SpanRecord& span) {
        const Nanoseconds overlap = std::min(span.end, range.to) - std::max(span.start, range.from);
        if (overlap.count() <= 0) return;
        if (span.kind == SpanKind::Wait) wait += overlap;
        if (span.kind == SpanKind::Step) compute += overlap;
        if (span.kind == SpanKind::TransferDemand || span.kind == SpanKind::TransferPrefetch) ++transfers;
    });
    text.facts.push_back({"length", durationText(range.to - range.from), "Of the selected time."});
    text.facts.push_back(
        {"computing", durationText(compute - wait), "Steps of the compute thread in this time, without its waits."});
    text.facts.push_back({"waiting", durationText(wait), "The compute thread waited for expert bytes in this time."});
    text.facts.push_back({"transfers", countText(transfers), "Transfers that were under way in this time."});
}

void describeToken(InspectorText& text, const RunTrace& trace, TokenIndex token) {
    const auto& tokens = trace.tokens();
    if (token.value() < 0 || token.index() >= tokens.size()) return;
    const TokenRecord& record = tokens[token.index()];
    QString piece = QString::fromUtf8(record.bytes.data(), static_cast<qsizetype>(record.bytes.size()));
    text.facts.push_back({"text", "“" + piece.replace('\n', "⏎") + "”", "The token's piece of text."});
    text.facts.push_back(
        {"phase", record.phase == Phase::Prefill ? "prompt" : "generated", "Whether it was given or made."});
    if (std::isfinite(record.logProbability)) {
        text.facts.push_back({"probability", percentText(std::exp(static_cast<double>(record.logProbability))),
                              "That the model gave to this token."});
    }
}

QString titleOf(const RunTrace& trace, const Selection& selection) {
    QStringList parts;
    if (selection.layer) parts << QString("layer %1").arg(selection.layer->value());
    if (selection.expert) parts << QString("expert %1").arg(selection.expert->value());
    if (selection.tokens) {
        const int from = selection.tokens->from.value(), last = selection.tokens->to.value() - 1;
        parts << (from == last ? QString("token %1").arg(from) : QString("tokens %1–%2").arg(from).arg(last));
    }
    if (selection.time && parts.isEmpty()) parts << "time range";
    if (parts.isEmpty()) return QString::fromStdString(trace.entry().description.policy);
    parts.front()[0] = parts.front()[0].toUpper();
    return parts.join(" · ");
}

}  // namespace

InspectorText inspectAtOnce(const RunTrace& trace, const Selection& selection) {
    InspectorText text;
    text.title = titleOf(trace, selection);
    text.subtitle = QString("run %1 · %2")
                        .arg(trace.entry().id.value())
                        .arg(QString::fromStdString(trace.entry().description.policy));
    if (selection == Selection{}) describeRun(text, trace);
    if (selection.tokens && selection.tokens->to.value() - selection.tokens->from.value() == 1)
        describeToken(text, trace, selection.tokens->from);
    return text;
}

std::size_t recordsToInspect(const RunTrace& trace, const Selection& selection) {
    return (countsTime(selection) ? trace.spans().size() : 0) +
           (countsUses(selection) ? trace.selections().size() : 0) +
           (countsLoads(selection) ? trace.transfers().size() : 0);
}

InspectorText inspect(const RunTrace& trace, const Selection& selection, const InspectProgress& progress) {
    InspectorText text = inspectAtOnce(trace, selection);
    Walk walk(recordsToInspect(trace, selection), progress);
    if (countsTime(selection)) describeTime(text, trace, *selection.time, walk);
    if (countsUses(selection)) describeUses(text, trace, selection, walk);
    return text;
}

}  // namespace expertscope
