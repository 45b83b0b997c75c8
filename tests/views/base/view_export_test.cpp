// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/view_export.h"

#include <QFile>
#include <QImage>
#include <QLabel>
#include <QPainter>
#include <QSvgRenderer>
#include <QTemporaryDir>
#include <QVBoxLayout>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <qcustomplot.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

QByteArray contents(const QString& file) {
    QFile f(file);
    return f.open(QIODevice::ReadOnly) ? f.readAll() : QByteArray();
}

int distinctColours(const QImage& image) {
    QSet<QRgb> found;
    for (int y = 0; y < image.height(); ++y) {
        for (int x = 0; x < image.width(); ++x)
            found.insert(image.pixel(x, y));
    }
    return static_cast<int>(found.size());
}

/// A label above two plots, as views are made; never shown.
class ViewExportTest : public testing::Test {
protected:
    ViewExportTest() {
        auto* layout = new QVBoxLayout(&widget);
        layout->addWidget(new QLabel("Overview"));
        for (int i = 0; i < 2; ++i) {
            auto* plot = new QCustomPlot;
            plot->addGraph()->setData({0, 1, 2}, {0, 2, 1});
            plot->graph()->setPen(QPen(Qt::red, 3));
            plot->rescaleAxes();
            layout->addWidget(plot, 1);
        }
        widget.resize(320, 200);
    }
    QString path(const char* name) const { return folder.filePath(name); }
    QTemporaryDir folder;
    QWidget widget;
};

TEST_F(ViewExportTest, WritesAPngOfTheSizeAskedFor) {
    exportWidget(widget, path("a.png"), QSize(640, 480));
    const QImage image(path("a.png"));
    EXPECT_EQ(image.size(), QSize(640, 480));
    EXPECT_GT(distinctColours(image), 8);
    EXPECT_EQ(widget.size(), QSize(320, 200));
}

TEST_F(ViewExportTest, PaintsBothPlotsAndTheLabel) {
    exportWidget(widget, path("a.png"), QSize(640, 480));
    const QImage image(path("a.png"));
    EXPECT_GT(distinctColours(image.copy(0, 0, 640, 30)), 2);
    const auto hasRed = [](const QImage& part) {
        for (int y = 0; y < part.height(); ++y) {
            for (int x = 0; x < part.width(); ++x) {
                if (part.pixelColor(x, y).red() > 200 && part.pixelColor(x, y).green() < 60) return true;
            }
        }
        return false;
    };
    EXPECT_TRUE(hasRed(image.copy(0, 40, 640, 200)));
    EXPECT_TRUE(hasRed(image.copy(0, 270, 640, 200)));
}

TEST_F(ViewExportTest, WritesAnSvgOfVectors) {
    exportWidget(widget, path("a.svg"), QSize(640, 480));
    const QByteArray svg = contents(path("a.svg"));
    EXPECT_FALSE(svg.contains("<image"));
    EXPECT_TRUE(svg.contains("Overview"));
    QSvgRenderer renderer(svg);
    EXPECT_EQ(renderer.defaultSize(), QSize(640, 480));
    QImage image(640, 480, QImage::Format_ARGB32);
    image.fill(Qt::white);
    QPainter painter(&image);
    renderer.render(&painter);
    EXPECT_GT(distinctColours(image), 8);
}

TEST_F(ViewExportTest, WritesAPdfPageOfTheSameProportions) {
    exportWidget(widget, path("a.pdf"), QSize(640, 480));
    const QByteArray pdf = contents(path("a.pdf"));
    EXPECT_TRUE(pdf.startsWith("%PDF"));
    EXPECT_THAT(pdf.toStdString(), testing::HasSubstr("/MediaBox [0 0 480.000000 360.000000]"));
}

TEST_F(ViewExportTest, SaysWhichFileCannotBeWritten) {
    try {
        exportWidget(widget, path("missing/a.png"), QSize(64, 48));
        FAIL();
    } catch (const FailedError& error) { EXPECT_THAT(error.what(), testing::HasSubstr("missing/a.png")); }
}

TEST_F(ViewExportTest, RefusesEndingsAndSizesThatMakeNoPicture) {
    EXPECT_THROW(exportWidget(widget, path("a.bmp"), QSize(64, 48)), UsageError);
    EXPECT_THROW(exportWidget(widget, path("a.png"), QSize(0, 48)), UsageError);
    EXPECT_FALSE(QFile::exists(path("a.bmp")));
}

}  // namespace
}  // namespace expertscope
