// SPDX-License-Identifier: GPL-3.0-or-later
// What the timeline says of its items: labels in boxes, lines of tooltips.
#include <bit>

#include "engine/base/record_names.h"
#include "views/base/number_format.h"
#include "views/timeline/timeline_model.h"

namespace expertscope {
namespace {

QString kindTitle(SpanKind kind) {
    switch (kind) {
        case SpanKind::Step:
            return QStringLiteral("Step");
        case SpanKind::Layer:
            return QStringLiteral("Layer");
        case SpanKind::Attention:
            return QStringLiteral("Attention");
        case SpanKind::Router:
            return QStringLiteral("Router");
        case SpanKind::Experts:
            return QStringLiteral("Experts");
        case SpanKind::ExpertCompute:
            return QStringLiteral("Expert");
        case SpanKind::Combine:
            return QStringLiteral("Combine");
        case SpanKind::Head:
            return QStringLiteral("Head");
        case SpanKind::Sample:
            return QStringLiteral("Sample");
        case SpanKind::Wait:
            return QStringLiteral("Wait");
        case SpanKind::TransferDemand:
            return QStringLiteral("Transfer on demand");
        case SpanKind::TransferPrefetch:
            return QStringLiteral("Prefetch");
        case SpanKind::TransferPreload:
            return QStringLiteral("Preload");
        case SpanKind::Predict:
            return QStringLiteral("Shadow prediction");
        case SpanKind::Range:
            return QStringLiteral("Range");
    }
    return {};
}

QString expertName(LayerIndex layer, ExpertId expert) {
    return QStringLiteral("L%1 E%2").arg(layer.value()).arg(expert.value());
}

QString fateText(TransferFate fate) {
    switch (fate) {
        case TransferFate::Used:
            return QStringLiteral("used at once");
        case TransferFate::Useful:
            return QStringLiteral("useful: arrived before its need");
        case TransferFate::Late:
            return QStringLiteral("late: needed while under way");
        case TransferFate::Wasted:
            return QStringLiteral("wasted: arrived and left without use");
        case TransferFate::Cancelled:
            return QStringLiteral("cancelled before it had arrived");
    }
    return {};
}

QString countOf(std::int64_t count, const char* one) {
    return countText(count) + QChar(' ') + QString::fromLatin1(one) + (count == 1 ? QString() : QStringLiteral("s"));
}

}  // namespace

const RangeName* TimelineModel::rangeNameOf(const SpanRecord& span) const {
    const auto& names = m_rows->trace().rangeNames();
    const bool known = span.name.value() >= 0 && span.name.index() < names.size();
    return known ? &names[span.name.index()] : nullptr;
}

/// What a program said of its range: name, where it belongs, number.
void TimelineModel::describeRange(QStringList& lines, const SpanRecord& span) const {
    if (const RangeName* known = rangeNameOf(span)) {
        lines.front().replace(kindTitle(SpanKind::Range), QString::fromStdString(known->text));
        if (!known->domain.empty()) lines << QStringLiteral("domain %1").arg(QString::fromStdString(known->domain));
        if (!known->category.empty())
            lines << QStringLiteral("category %1").arg(QString::fromStdString(known->category));
    }
    if (span.payload == PayloadType::Integer) lines << QStringLiteral("payload %1").arg(countText(span.amount));
    if (span.payload == PayloadType::Real)
        lines << QStringLiteral("payload %1").arg(std::bit_cast<double>(span.amount));
}

QString TimelineModel::label(const TimelineRow& row, const SpanItem& item) const {
    if (item.source == TimelineRows::kDerived) {
        return row.paints[item.category] == SpanPaint::Exposed ? QStringLiteral("exposed") : QStringLiteral("hidden");
    }
    const SpanRecord* span = spanOf(item);
    if (!span) {
        const TransferRecord* transfer = m_rows->transferOf(item.source);
        return transfer ? expertName(transfer->expert.layer, transfer->expert.expert) : QString();
    }
    switch (span->kind) {
        case SpanKind::Step:
            return QStringLiteral("step %1 · %2").arg(span->step.value()).arg(countOf(span->amount, "token"));
        case SpanKind::Layer:
            return QStringLiteral("layer %1").arg(span->layer.value());
        case SpanKind::ExpertCompute:
        case SpanKind::TransferDemand:
        case SpanKind::TransferPrefetch:
        case SpanKind::TransferPreload:
            return expertName(span->layer, span->expert);
        case SpanKind::Range: {
            const RangeName* known = rangeNameOf(*span);
            return known ? QString::fromStdString(known->text) : QString();
        }
        case SpanKind::Wait:
            return span->expert.value() >= 0 ? expertName(span->layer, span->expert) : QStringLiteral("wait");
        default:
            return kindTitle(span->kind).toLower();
    }
}

QStringList TimelineModel::describe(const TimelineHit& hit) const {
    const SpanItem& item = hit.row->items.item(hit.item);
    const SpanRecord* span = spanOf(item);
    QStringList lines;
    if (const TimelineSum* sum = m_rows->sumOf(item.source)) {
        describeSum(lines, hit, *sum);
        return lines;
    }
    if (span) {
        QString title = kindTitle(span->kind);
        if (span->expert.value() >= 0) {
            title += QStringLiteral(" · layer %1, expert %2").arg(span->layer.value()).arg(span->expert.value());
        } else if (span->layer.value() >= 0) {
            title += QStringLiteral(" · layer %1").arg(span->layer.value());
        }
        lines << title;
        if (span->kind == SpanKind::Range) describeRange(lines, *span);
    } else if (item.source == TimelineRows::kDerived) {
        lines << (hit.row->paints[item.category] == SpanPaint::Exposed
                      ? QStringLiteral("Exposed: computing waits while bytes move")
                      : QStringLiteral("Hidden: bytes move while computing goes on"));
    } else if (const TransferRecord* transfer = m_rows->transferOf(item.source)) {
        lines << QStringLiteral("Transfer · layer %1, expert %2")
                     .arg(transfer->expert.layer.value())
                     .arg(transfer->expert.expert.value());
    }
    const TimeStretch when = stretchOf(hit);
    lines << QStringLiteral("%1 (%2 ns)")
                 .arg(durationText(Nanoseconds(when.to - when.from)), countText(when.to - when.from));
    lines << QStringLiteral("from %1 after the start").arg(durationText(Nanoseconds(when.from)));
    const bool isTransfer = item.amount > 0 || m_rows->transferOf(item.source);
    if (isTransfer) describeTransfer(lines, item);
    if (span && !isTransfer && span->kind != SpanKind::Range && span->amount > 0)
        lines << countOf(span->amount, "token");
    if (span && span->step.value() >= 0) {
        QString line = QStringLiteral("step %1").arg(span->step.value());
        if (const auto tokens = tokensOf(span->step)) {
            const int from = tokens->first.value();
            const int last = tokens->second.value() - 1;
            line += from == last ? QStringLiteral(", token %1").arg(from)
                                 : QStringLiteral(", tokens %1–%2").arg(from).arg(last);
        }
        lines << line;
    }
    return lines;
}

/// Of what is drawn as a sum: what is known of all the spans of a paint in a stretch.
void TimelineModel::describeSum(QStringList& lines, const TimelineHit& hit, const TimelineSum& sum) const {
    const SpanItem& item = hit.row->items.item(hit.item);
    const std::int64_t length = sum.to - sum.from;
    QString title = paintName(hit.row->paints[item.category]);
    title[0] = title[0].toUpper();
    lines << QStringLiteral("%1 in %2").arg(title, durationText(Nanoseconds(length)));
    lines << QStringLiteral("from %1 after the start").arg(durationText(Nanoseconds(sum.from)));
    lines << QStringLiteral("%1 (%2 of the time)")
                 .arg(durationText(Nanoseconds(sum.busy)), percentText(sum.busy, length));
    if (sum.count > 0)
        lines << QStringLiteral("%1 begin here, the longest takes %2")
                     .arg(countText(sum.count), durationText(Nanoseconds(sum.longest)));
    if (item.amount > 0) lines << QStringLiteral("%1 moved").arg(bytesText(Bytes(item.amount)));
    lines << QStringLiteral("zoom in to see each");
}

void TimelineModel::describeTransfer(QStringList& lines, const SpanItem& item) const {
    const Bytes bytes(item.amount);
    lines << QStringLiteral("%1 at %2").arg(bytesText(bytes), bandwidthText(bytes, Nanoseconds(item.end - item.start)));
    const TransferRecord* transfer = m_rows->transferOf(item.source);
    if (!transfer) {
        lines << QStringLiteral("its fate is not known yet");
        return;
    }
    lines << fateText(transfer->fate);
    lines << QStringLiteral("queued for %1").arg(durationText(transfer->started - transfer->issued));
    if (transfer->usedStep.value() >= 0)
        lines << QStringLiteral("first used in step %1").arg(transfer->usedStep.value());
}

}  // namespace expertscope
