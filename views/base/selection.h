// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QString>
#include <optional>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/units.h"

namespace expertscope {

struct TimeRange {
    Nanoseconds from, to;
    bool operator==(const TimeRange&) const = default;
};  ///< [from, to)
struct TokenRange {
    TokenIndex from, to;
    bool operator==(const TokenRange&) const = default;
};  ///< [from, to)

/// What is selected, shared by all views. Each part is a chip that can be removed on its own.
struct Selection {
    std::optional<TimeRange> time;
    std::optional<TokenRange> tokens;
    std::optional<LayerIndex> layer;
    std::optional<ExpertId> expert;
    bool operator==(const Selection&) const = default;
};

/// The expert of `layer` that is selected, if any: one of another layer is none.
std::optional<int> expertIn(const Selection& selection, int layer);

/// The one shared selection (a stack that can be undone) and the one shared hover.
class SelectionModel : public QObject {
    Q_OBJECT
public:
    enum class Part { Time, Tokens, Layer, Expert };

    explicit SelectionModel(QObject* parent = nullptr);
    const Selection& current() const { return m_current; }
    const Selection& hovered() const { return m_hovered; }
    /// Parts in the order in which they were set, newest last.
    const std::vector<Part>& order() const { return m_order; }

    void set(const Selection& selection);
    void remove(Part part);
    void removeNewest();
    void undo();
    void clear();
    void hover(const Selection& selection);
    /// "tokens 40–96" (first and last), "layer 5", "time 12.3 ms" (its length): the text of a chip; empty without it.
    QString chipText(Part part) const;

signals:
    void changed();
    void hoverChanged();

private:
    void apply(const Selection& selection);
    Selection m_current;
    Selection m_hovered;
    std::vector<Selection> m_history;
    std::vector<Part> m_order;
};

}  // namespace expertscope
