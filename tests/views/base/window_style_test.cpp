// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/window_style.h"

#include <QCheckBox>
#include <QImage>
#include <QPainter>
#include <QRadioButton>
#include <QStyleOptionButton>

#include <gtest/gtest.h>

#include "views/base/colour_science.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

/// The strongest contrast with the window's ground of any pixel in the left half of an indicator: of its frame.
double contrastOfFrame(const Theme& theme, QStyle::PrimitiveElement element) {
    const QColor ground = theme.palette().color(QPalette::Window);
    QImage image(14, 14, QImage::Format_RGB32);
    image.fill(ground);
    QStyleOptionButton option;
    option.rect = image.rect();
    option.palette = theme.palette();
    option.state = QStyle::State_Enabled | QStyle::State_Off;
    QPainter painter(&image);
    WindowStyle().drawPrimitive(element, &option, &painter);
    painter.end();
    double most = 1;
    for (int x = 0; x < 7; ++x)
        most = std::max(most, contrast(image.pixelColor(x, 7), ground));
    return most;
}

TEST(WindowStyle, FramesOfUncheckedBoxesCanBeSeen) {
    for (const Theme* theme : {&Theme::light(), &Theme::dark()})
        for (const auto element :
             {QStyle::PE_IndicatorCheckBox, QStyle::PE_IndicatorRadioButton, QStyle::PE_IndicatorItemViewItemCheck})
            EXPECT_GE(contrastOfFrame(*theme, element), 3) << element;
}

}  // namespace
}  // namespace expertscope
