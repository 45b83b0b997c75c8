// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/theme.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "views/base/colour_science.h"

namespace expertscope {
namespace {

constexpr Meaning kMeanings[] = {Meaning::Compute,
                                 Meaning::NearMemory,
                                 Meaning::TransferDemand,
                                 Meaning::PrefetchUseful,
                                 Meaning::PrefetchLate,
                                 Meaning::PrefetchWasted,
                                 Meaning::PrefetchCancelled,
                                 Meaning::Wait,
                                 Meaning::Hit,
                                 Meaning::InFlight,
                                 Meaning::Miss,
                                 Meaning::RunA,
                                 Meaning::RunB};

/// WCAG 2.1's formula, written out again.
double relativeLuminance(const QColor& c) {
    const auto f = [](double v) { return v <= 0.03928 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); };
    return 0.2126 * f(c.redF()) + 0.7152 * f(c.greenF()) + 0.0722 * f(c.blueF());
}

double ratio(const QColor& a, const QColor& b) {
    const double x = relativeLuminance(a) + 0.05;
    const double y = relativeLuminance(b) + 0.05;
    return x > y ? x / y : y / x;
}

class ThemeTest : public testing::TestWithParam<Theme::Mode> {
protected:
    const Theme& theme() const { return Theme::of(GetParam()); }
};

TEST_P(ThemeTest, TextReadsOnEveryBackground) {
    const QPalette palette = theme().palette();
    for (const QColor& background :
         {theme().background(), palette.color(QPalette::Window), palette.color(QPalette::Button),
          palette.color(QPalette::AlternateBase), palette.color(QPalette::ToolTipBase)}) {
        EXPECT_GE(ratio(theme().text(), background), 4.5) << background.name().toStdString();
        EXPECT_GE(ratio(theme().mutedText(), background), 4.5) << background.name().toStdString();
    }
    EXPECT_GE(ratio(palette.color(QPalette::HighlightedText), palette.color(QPalette::Highlight)), 4.5);
}

TEST_P(ThemeTest, MarksStandOutFromTheBackground) {
    for (const Meaning meaning : kMeanings) {
        EXPECT_GE(ratio(theme().color(meaning), theme().background()), 3.0) << static_cast<int>(meaning);
    }
    for (int expert = 0; expert < 256; ++expert) {
        EXPECT_GE(ratio(theme().expert(expert), theme().background()), 3.0) << expert;
    }
    EXPECT_GE(ratio(theme().highlight(), theme().background()), 3.0);
    EXPECT_GE(ratio(theme().hover(), theme().background()), 3.0);
}

TEST_P(ThemeTest, LabelsInsideMarksRead) {
    for (const Meaning meaning : kMeanings) {
        const QColor fill = theme().color(meaning);
        EXPECT_GE(ratio(readableOn(fill), fill), 4.5) << fill.name().toStdString();
    }
}

TEST_P(ThemeTest, ExpertsAreEquallyLightAndNeighboursDifferInHue) {
    const double lightness = toOkLab(theme().expert(0)).L;
    for (int expert = 0; expert < 64; ++expert) {
        const OkLab here = toOkLab(theme().expert(expert));
        const OkLab next = toOkLab(theme().expert(expert + 1));
        EXPECT_NEAR(here.L, lightness, 0.01) << expert;
        EXPECT_GT(std::hypot(here.a - next.a, here.b - next.b), 0.1) << expert;
    }
    EXPECT_EQ(theme().expert(5), theme().expert(5));
}

INSTANTIATE_TEST_SUITE_P(Modes, ThemeTest, testing::Values(Theme::Mode::Light, Theme::Mode::Dark),
                         [](const auto& p) { return p.param == Theme::Mode::Dark ? "Dark" : "Light"; });

TEST(ColourScience, AgreesWithPublishedOkLabValues) {
    // From the reference implementation's documentation: white is (1, 0, 0), red is (0.628, 0.225, 0.126).
    const OkLab white = toOkLab(Qt::white);
    EXPECT_NEAR(white.L, 1, 1e-3);
    EXPECT_NEAR(std::hypot(white.a, white.b), 0, 1e-3);
    const OkLab red = toOkLab(Qt::red);
    EXPECT_NEAR(red.L, 0.628, 1e-3);
    EXPECT_NEAR(red.a, 0.225, 1e-3);
    EXPECT_NEAR(red.b, 0.126, 1e-3);
}

TEST(SequentialMap, HasTheEndsAndTheMiddleOfCividis) {
    const auto near = [](QRgb colour, int r, int g, int b) {
        return std::abs(qRed(colour) - r) <= 6 && std::abs(qGreen(colour) - g) <= 6 &&
               std::abs(qBlue(colour) - b) <= 14;
    };
    const Theme& theme = Theme::light();
    // The published table: #00224e, #7c7b78, #fee838.
    EXPECT_TRUE(near(theme.sequential(0), 0x00, 0x22, 0x4e));
    EXPECT_TRUE(near(theme.sequential(0.5), 0x7c, 0x7b, 0x78));
    EXPECT_TRUE(near(theme.sequential(1), 0xfe, 0xe8, 0x38));
}

TEST(SequentialMap, GrowsLighterAllTheWay) {
    double previous = -1;
    for (int i = 0; i <= 64; ++i) {
        const double lightness = toOkLab(QColor(Theme::light().sequential(i / 64.0))).L;
        EXPECT_GT(lightness, previous) << i;
        previous = lightness;
    }
}

TEST(SequentialMap, ShowsMissingDataInAColourOfItsOwn) {
    for (const Theme* theme : {&Theme::light(), &Theme::dark()}) {
        const QRgb none = theme->sequential(std::numeric_limits<double>::quiet_NaN());
        EXPECT_EQ(none, theme->noData().rgb());
        for (int i = 0; i <= 255; ++i)
            EXPECT_NE(none, theme->sequential(i / 255.0));
    }
}

TEST(SignedMap, IsWhitestAtZeroAndBlueBelow) {
    const Theme& theme = Theme::light();
    const double middle = toOkLab(QColor(theme.signedMap(0))).L;
    for (const double t : {0.25, 0.5, 1.0}) {
        EXPECT_LT(toOkLab(QColor(theme.signedMap(t))).L, middle);
        EXPECT_LT(toOkLab(QColor(theme.signedMap(-t))).b, 0);
        EXPECT_GT(toOkLab(QColor(theme.signedMap(t))).b, 0);
    }
}

}  // namespace
}  // namespace expertscope
