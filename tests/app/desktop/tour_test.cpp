// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/tour.h"

#include <QPushButton>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

TEST(Tour, GoesThroughEveryPageAndEnds) {
    QWidget window;
    window.resize(1280, 720);
    Tour tour(&window);
    bool ended = false;
    QStringList views;
    QObject::connect(&tour, &Tour::ended, [&] { ended = true; });
    QObject::connect(&tour, &Tour::wantsView, [&](const QString& view) { views << view; });
    tour.start();
    for (std::size_t i = 0; i < tourPages().size(); ++i) {
        EXPECT_FALSE(ended);
        EXPECT_EQ(tour.page(), static_cast<int>(i));
        EXPECT_TRUE(window.rect().contains(tour.geometry())) << "page " << i << " is cut";
        tour.findChild<QPushButton*>("tourNext")->click();
    }
    EXPECT_TRUE(ended);
    EXPECT_EQ(views, (QStringList{"overview", "overview", "experts", "timeline", "tokens"}));
}

}  // namespace
}  // namespace expertscope
