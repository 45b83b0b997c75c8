// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/lane_title.h"

#include <QStringList>
#include <algorithm>

namespace expertscope {
namespace {

const QString kBetween = QStringLiteral(" · ");

bool isOfRanges(const LaneInfo& lane) { return lane.role == LaneRole::Thread || lane.role == LaneRole::Ranges; }

/// "python3 7 · " of "python3 7 · main"; empty where the name has no such part.
QString programOf(const LaneInfo& lane) {
    const QString name = QString::fromStdString(lane.name);
    const auto at = name.indexOf(kBetween);
    return at < 0 ? QString() : name.left(at + kBetween.size());
}

}  // namespace

QString laneTitle(std::span<const LaneInfo> lanes, LaneId lane) {
    const auto found = std::ranges::find(lanes, lane, &LaneInfo::lane);
    if (found == lanes.end() || found->name.empty()) return QStringLiteral("Ranges %1").arg(lane.value());
    QString name = QString::fromStdString(found->name);
    if (!isOfRanges(*found)) return name;

    const auto at = name.lastIndexOf(kBetween);
    bool isNumber = false;
    const int level = at < 0 ? 0 : name.mid(at + kBetween.size()).toInt(&isNumber);
    const auto isThread = [&](const LaneInfo& other) { return QString::fromStdString(other.name) == name.left(at); };
    if (isNumber && std::ranges::any_of(lanes, isThread)) return QStringLiteral("level %1").arg(level);

    const QString program = programOf(*found);
    const auto sharesIt = [&](const LaneInfo& other) { return !isOfRanges(other) || programOf(other) == program; };
    if (!std::ranges::all_of(lanes, sharesIt)) return name;
    // A thread without a name of its own is called as its program.
    const QString programName = program.left(program.indexOf(QChar(' ')) + 1);
    name.remove(0, program.size());
    const bool isNamed = programName.isEmpty() || !name.startsWith(programName);
    return isNamed ? name : QStringLiteral("thread ") + name.mid(programName.size());
}

}  // namespace expertscope
