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

TEST(ValueTicker, GivesFewerNumbersWhereTheirLabelsWouldTouch) {
    for (const int width : {260, 420, 1200}) {
        QCustomPlot plot;
        plot.setViewport(QRect(0, 0, width, 200));
        const auto names = QSharedPointer<QCPAxisTickerText>::create();
        names->addTick(1, QStringLiteral("#3 mixtral-offloading"));
        plot.yAxis->setTicker(names);
        plot.xAxis->setTicker(QSharedPointer<ValueTicker>::create(*plot.xAxis));
        plot.xAxis->setRange(0, 18200);
        plot.replot();
        plot.replot();  // by now the left axis' labels are known
        const QFontMetrics metrics(plot.xAxis->tickLabelFont());
        const QVector<double> ticks = plot.xAxis->tickVector();
        const QVector<QString> labels = plot.xAxis->tickVectorLabels();
        ASSERT_GE(ticks.size(), 2) << width;
        for (int i = 1; i < ticks.size(); ++i) {
            const double half = (metrics.horizontalAdvance(labels[i]) + metrics.horizontalAdvance(labels[i - 1])) / 2.0;
            EXPECT_GT(plot.xAxis->coordToPixel(ticks[i]) - plot.xAxis->coordToPixel(ticks[i - 1]), half)
                << labels[i].toStdString() << " at " << width;
        }
        EXPECT_GE(ticks.size(), width == 1200 ? 7 : 2);
    }
}

}  // namespace
}  // namespace expertscope
