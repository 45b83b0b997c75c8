// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

class QHBoxLayout;

namespace expertscope {

class SelectionModel;

/// The shared selection as chips, one a part, each with a ✕ that removes it.
class SelectionChips : public QWidget {
    Q_OBJECT
public:
    explicit SelectionChips(SelectionModel& selection, QWidget* parent = nullptr);
    /// What the chips say, in order.
    QStringList texts() const;

private:
    void rebuild();
    SelectionModel& m_selection;
    QHBoxLayout* m_layout;
};

}  // namespace expertscope
