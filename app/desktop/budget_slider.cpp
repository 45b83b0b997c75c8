// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/budget_slider.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QLayoutItem>
#include <QPainter>
#include <QPushButton>
#include <QSlider>
#include <QStyle>
#include <QVBoxLayout>
#include <vector>

namespace expertscope {
namespace {

/// A slider that draws lines at given positions; QSlider's own ticks are evenly spaced.
class MarkedSlider : public QSlider {
public:
    using QSlider::QSlider;
    void setMarks(std::vector<int> marks) {
        m_marks = std::move(marks);
        update();
    }

protected:
    void paintEvent(QPaintEvent* event) override {
        QPainter painter(this);
        painter.setPen(palette().color(QPalette::WindowText));
        const int handle = style()->pixelMetric(QStyle::PM_SliderLength, nullptr, this);
        for (const int mark : m_marks) {
            const int x = handle / 2 + QStyle::sliderPositionFromValue(minimum(), maximum(), mark, width() - handle);
            painter.drawLine(x, 0, x, height());
        }
        painter.end();
        QSlider::paintEvent(event);
    }

private:
    std::vector<int> m_marks;
};

}  // namespace

BudgetSlider::BudgetSlider(QWidget* parent)
    : QWidget(parent),
      m_slider(new MarkedSlider(Qt::Horizontal, this)),
      m_marks(new QHBoxLayout),
      m_reading(new QLabel(this)) {
    m_slider->setObjectName("budgetSlider");
    m_slider->setAccessibleName("Memory budget in experts");
    m_reading->setObjectName("budgetReading");
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(3);
    layout->addWidget(m_slider);
    auto* row = new QHBoxLayout;
    row->addWidget(m_reading, 1);
    row->addLayout(m_marks);
    layout->addLayout(row);
    connect(m_slider, &QSlider::valueChanged, this, &BudgetSlider::showReading);
    clearScale();
}

void BudgetSlider::setScale(const BudgetScale& scale, double share) {
    m_scale = scale;
    m_slider->setEnabled(true);
    m_slider->setRange(scale.smallest(), scale.largest());
    m_slider->setPageStep(std::max(1, scale.largest() / 16));
    std::vector<int> positions;
    while (QLayoutItem* item = m_marks->takeAt(0)) {
        item->widget()->deleteLater();
        delete item;
    }
    for (const BudgetScale::Mark& mark : scale.marks()) {
        positions.push_back(mark.experts);
        auto* button = new QPushButton(QString("%1: %2").arg(mark.text).arg(mark.experts), this);
        button->setFlat(true);
        button->setToolTip(mark.meaning);
        connect(button, &QPushButton::clicked, this, [this, experts = mark.experts] { setExperts(experts); });
        m_marks->addWidget(button);
    }
    static_cast<MarkedSlider*>(m_slider)->setMarks(std::move(positions));
    m_slider->setValue(scale.expertsAt(share));
    showReading();
}

void BudgetSlider::clearScale() {
    m_scale.reset();
    m_slider->setEnabled(false);
    m_reading->setText("Choose a model first.");
}

void BudgetSlider::setExperts(int experts) { m_slider->setValue(experts); }

void BudgetSlider::showReading() {
    if (!m_scale) return;
    m_reading->setText(m_scale->text(m_slider->value()));
    emit changed();
}

QString BudgetSlider::argument() const { return m_scale ? m_scale->argument(m_slider->value()) : QString(); }

QString BudgetSlider::reading() const { return m_reading->text(); }

}  // namespace expertscope
