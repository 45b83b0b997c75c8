// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/selection_chips.h"

#include <QHBoxLayout>
#include <QLayoutItem>
#include <QPushButton>

#include "views/base/selection.h"

namespace expertscope {

SelectionChips::SelectionChips(SelectionModel& selection, QWidget* parent)
    : QWidget(parent), m_selection(selection), m_layout(new QHBoxLayout(this)) {
    setObjectName("selectionChips");
    m_layout->setContentsMargins(4, 0, 4, 0);
    m_layout->setSpacing(4);
    connect(&selection, &SelectionModel::changed, this, &SelectionChips::rebuild);
    rebuild();
}

void SelectionChips::rebuild() {
    while (QLayoutItem* item = m_layout->takeAt(0)) {
        // A chip may be rebuilt from its own click, so it must outlive the call.
        if (item->widget() != nullptr) {
            item->widget()->hide();
            item->widget()->setParent(nullptr);
            item->widget()->deleteLater();
        }
        delete item;
    }
    for (const SelectionModel::Part part : m_selection.order()) {
        const QString text = m_selection.chipText(part);
        auto* chip = new QPushButton(text + "  ✕", this);
        chip->setObjectName("chip");
        chip->setProperty("chipText", text);
        chip->setToolTip("Remove “" + text + "” from the selection (Esc drops the newest)");
        chip->setAccessibleName("Remove " + text + " from the selection");
        connect(chip, &QPushButton::clicked, this, [this, part] { m_selection.remove(part); });
        m_layout->addWidget(chip);
        chip->show();
    }
}

QStringList SelectionChips::texts() const {
    QStringList texts;
    for (int i = 0; i < m_layout->count(); ++i)
        texts << m_layout->itemAt(i)->widget()->property("chipText").toString();
    return texts;
}

}  // namespace expertscope
