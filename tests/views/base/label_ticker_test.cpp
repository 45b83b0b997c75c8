// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/label_ticker.h"

#include <QFontMetrics>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

struct Labelled {
    explicit Labelled(int width) {
        for (int i = 0; i < 24; ++i)
            labels << QString::number(1LL << i);
        plot.setViewport(QRect(0, 0, width, 200));  // a plot that is not shown gets no size
        setLabels(*plot.xAxis, labels);
        plot.xAxis->setRange(-0.5, 23.5);
        plot.replot();
    }
    /// Places of the labels that are shown.
    std::vector<int> shown() const {
        std::vector<int> places;
        const QVector<QString> texts = plot.xAxis->tickVectorLabels();
        for (int i = 0; i < texts.size(); ++i)
            if (!texts[i].isEmpty()) places.push_back(i);
        return places;
    }
    QStringList labels;
    QCustomPlot plot;
};

TEST(LabelTicker, ShowsAllLabelsWhereThereIsRoom) { EXPECT_EQ(Labelled(3000).shown().size(), 24U); }

TEST(LabelTicker, LeavesOutLabelsThatWouldTouch) {
    const Labelled narrow(500);
    const auto shown = narrow.shown();
    EXPECT_EQ(narrow.plot.xAxis->tickVector().size(), 24) << "ticks stay";
    EXPECT_LT(shown.size(), 24U);
    EXPECT_GT(shown.size(), 4U);
    const QFontMetrics metrics(narrow.plot.xAxis->tickLabelFont());
    for (std::size_t i = 1; i < shown.size(); ++i) {
        const auto half = [&](std::size_t at) { return metrics.horizontalAdvance(narrow.labels[shown[at]]) / 2.0; };
        const double apart = narrow.plot.xAxis->coordToPixel(shown[i]) - narrow.plot.xAxis->coordToPixel(shown[i - 1]);
        EXPECT_GT(apart, half(i) + half(i - 1)) << narrow.labels[shown[i]].toStdString();
    }
}

TEST(LabelTicker, LabelsOnlyWhatIsVisible) {
    Labelled part(800);
    part.plot.xAxis->setRange(2.5, 6.5);
    part.plot.replot();
    EXPECT_EQ(part.plot.xAxis->tickVector(), (QVector<double>{3, 4, 5, 6}));
}

}  // namespace
}  // namespace expertscope
