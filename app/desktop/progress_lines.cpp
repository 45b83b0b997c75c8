// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/progress_lines.h"

#include <QJsonDocument>
#include <QJsonObject>

namespace expertscope {
namespace {

std::optional<ProgressEvent::Kind> kindOf(const QString& name) {
    if (name == "run") return ProgressEvent::Kind::Run;
    if (name == "progress") return ProgressEvent::Kind::Progress;
    if (name == "done") return ProgressEvent::Kind::Done;
    if (name == "error") return ProgressEvent::Kind::Error;
    return std::nullopt;
}

}  // namespace

std::optional<ProgressEvent> parseProgressLine(const QByteArray& line) {
    const QJsonObject object = QJsonDocument::fromJson(line).object();
    const std::optional<ProgressEvent::Kind> kind = kindOf(object.value("event").toString());
    if (!kind) return std::nullopt;
    ProgressEvent event;
    event.kind = *kind;
    event.run = object.value("run").toInt();
    event.runs = object.value("runs").toInt();
    event.runId = object.value("run_id").toInteger();
    event.policy = object.value("policy").toString();
    event.budgetBytes = object.value("budget_bytes").toInteger();
    event.generated = object.value("generated").toInteger();
    event.planned = object.value(event.kind == ProgressEvent::Kind::Run ? "planned_tokens" : "planned").toInteger();
    event.tokensPerSecond = object.value("tokens_per_s").toDouble();
    event.request = object.value("request").toInt();
    event.label = object.value("label").toString();
    event.sentence = object.value("sentence").toString();
    return event;
}

QByteArrayList LineSplitter::feed(const QByteArray& piece) {
    m_partial += piece;
    QByteArrayList lines;
    qsizetype start = 0;
    for (qsizetype end = m_partial.indexOf('\n'); end >= 0; end = m_partial.indexOf('\n', start)) {
        lines << m_partial.mid(start, end - start);
        start = end + 1;
    }
    m_partial.remove(0, start);
    while (m_partial.size() > kLongestLine) {
        lines << m_partial.left(kLongestLine);
        m_partial.remove(0, kLongestLine);
    }
    return lines;
}

QByteArray LineSplitter::rest() { return std::exchange(m_partial, {}); }

}  // namespace expertscope
