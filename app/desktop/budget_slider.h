// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>
#include <optional>

#include "app/desktop/budget_scale.h"

class QHBoxLayout;
class QLabel;
class QSlider;

namespace expertscope {

/// The budget as a slider over whole experts, with its three marks as buttons and its reading in words below.
class BudgetSlider : public QWidget {
    Q_OBJECT
public:
    explicit BudgetSlider(QWidget* parent = nullptr);
    /// Shows another model's scale at a share (0…1) of its experts.
    void setScale(const BudgetScale& scale, double share);
    void clearScale();
    /// As --budget takes it; empty without a scale.
    QString argument() const;
    QString reading() const;
    void setExperts(int experts);

signals:
    void changed();

private:
    void showReading();
    std::optional<BudgetScale> m_scale;
    QSlider* m_slider;
    QHBoxLayout* m_marks;
    QLabel* m_reading;
};

}  // namespace expertscope
