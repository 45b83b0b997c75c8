// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/selection.h"

#include <algorithm>
#include <array>

#include "views/base/number_format.h"

namespace expertscope {
namespace {

constexpr std::array kParts{SelectionModel::Part::Time, SelectionModel::Part::Tokens, SelectionModel::Part::Layer,
                            SelectionModel::Part::Expert};

bool has(const Selection& s, SelectionModel::Part part) {
    switch (part) {
        case SelectionModel::Part::Time:
            return s.time.has_value();
        case SelectionModel::Part::Tokens:
            return s.tokens.has_value();
        case SelectionModel::Part::Layer:
            return s.layer.has_value();
        case SelectionModel::Part::Expert:
            return s.expert.has_value();
    }
    return false;
}

bool same(const Selection& a, const Selection& b, SelectionModel::Part part) {
    switch (part) {
        case SelectionModel::Part::Time:
            return a.time == b.time;
        case SelectionModel::Part::Tokens:
            return a.tokens == b.tokens;
        case SelectionModel::Part::Layer:
            return a.layer == b.layer;
        case SelectionModel::Part::Expert:
            return a.expert == b.expert;
    }
    return true;
}

/// A long session of clicking must not grow without end.
constexpr std::size_t kLongestHistory = 1000;

}  // namespace

SelectionModel::SelectionModel(QObject* parent) : QObject(parent) {}

void SelectionModel::set(const Selection& selection) {
    if (selection == m_current) return;
    m_history.push_back(m_current);
    if (m_history.size() > kLongestHistory) m_history.erase(m_history.begin());
    apply(selection);
}

void SelectionModel::remove(Part part) {
    Selection next = m_current;
    switch (part) {
        case Part::Time:
            next.time.reset();
            break;
        case Part::Tokens:
            next.tokens.reset();
            break;
        case Part::Layer:
            next.layer.reset();
            break;
        case Part::Expert:
            next.expert.reset();
            break;
    }
    set(next);
}

void SelectionModel::removeNewest() {
    if (!m_order.empty()) remove(m_order.back());
}

void SelectionModel::undo() {
    if (m_history.empty()) return;
    const Selection previous = m_history.back();
    m_history.pop_back();
    apply(previous);
}

void SelectionModel::clear() { set(Selection{}); }

void SelectionModel::hover(const Selection& selection) {
    if (selection == m_hovered) return;
    m_hovered = selection;
    emit hoverChanged();
}

QString SelectionModel::chipText(Part part) const {
    if (!has(m_current, part)) return {};
    switch (part) {
        case Part::Time:
            return QStringLiteral("time %1").arg(durationText(m_current.time->to - m_current.time->from));
        case Part::Tokens: {
            const int first = m_current.tokens->from.value();
            const int last = m_current.tokens->to.value() - 1;
            if (last <= first) return QStringLiteral("token %1").arg(first);
            return QStringLiteral("tokens %1–%2").arg(first).arg(last);
        }
        case Part::Layer:
            return QStringLiteral("layer %1").arg(m_current.layer->value());
        case Part::Expert:
            return QStringLiteral("expert %1").arg(m_current.expert->value());
    }
    return {};
}

void SelectionModel::apply(const Selection& selection) {
    for (const Part part : kParts) {
        if (same(m_current, selection, part)) continue;
        std::erase(m_order, part);
        if (has(selection, part)) m_order.push_back(part);
    }
    m_current = selection;
    emit changed();
}

std::optional<int> expertIn(const Selection& selection, int layer) {
    if (!selection.expert || (selection.layer && selection.layer->value() != layer)) return std::nullopt;
    return selection.expert->value();
}

}  // namespace expertscope
