// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/theme.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "views/base/colour_science.h"

namespace expertscope {
namespace {

constexpr int kSteps = 256;
using Map = std::array<QRgb, kSteps>;

struct Pair {
    QRgb light, dark;
    QColor of(Theme::Mode mode) const { return QColor(mode == Theme::Mode::Dark ? dark : light); }
};

constexpr Pair kBackground{0xffffffff, 0xff15181d};
constexpr Pair kText{0xff1c2128, 0xffe4e7eb};
constexpr Pair kMutedText{0xff5a636e, 0xff9aa4b0};
constexpr Pair kGrid{0xffe1e4e8, 0xff2b3038};
constexpr Pair kHighlight{0xffb0007a, 0xffff8ad8};  // magenta: no meaning below uses it
constexpr Pair kHover{0xff1c2128, 0xffffffff};
constexpr Pair kNoData{0xffe6e8eb, 0xff2a2f37};
constexpr Pair kBlue{0xff2467b5, 0xff5b9ff0};
constexpr Pair kViolet{0xff7a3fd0, 0xffb08cf7};
constexpr Pair kOrange{0xffcf5a06, 0xfff28b3b};
constexpr Pair kTeal{0xff0b827c, 0xff2fbfae};
constexpr Pair kAmber{0xffa87800, 0xfff0c24b};
constexpr Pair kGrey{0xff767d86, 0xff8c959f};
constexpr Pair kRed{0xffc92a2a, 0xfff26b6b};
constexpr Pair kWindow{0xfff3f4f6, 0xff1d2127};
constexpr Pair kButton{0xffe9ebee, 0xff2a2f37};
constexpr Pair kAlternate{0xfff7f8fa, 0xff1a1e24};
constexpr Pair kToolTip{0xfffdfdf5, 0xff2a2f37};

const Pair& pairOf(Meaning meaning) {
    switch (meaning) {
        case Meaning::Compute:
        case Meaning::RunA:
            return kBlue;
        case Meaning::NearMemory:
            return kViolet;
        case Meaning::TransferDemand:
        case Meaning::RunB:
            return kOrange;
        case Meaning::PrefetchUseful:
        case Meaning::Hit:
            return kTeal;
        case Meaning::PrefetchLate:
        case Meaning::InFlight:
            return kAmber;
        case Meaning::PrefetchWasted:
        case Meaning::PrefetchCancelled:
            return kGrey;
        case Meaning::Wait:
        case Meaning::Miss:
            return kRed;
    }
    return kGrey;
}

/// cividis (Nuñez, Anderton, Renslow, PLOS ONE 13(7), 2018) by the polynomial of degree five that d3-scale-chromatic
/// publishes for it; channels 0…255, off by at most a few steps from the published table.
QRgb cividis(double t) {
    const auto poly = [t](std::array<double, 6> c) {
        double value = 0;
        for (std::size_t i = c.size(); i-- > 0;)
            value = value * t + c[i];
        return static_cast<int>(std::lround(std::clamp(value, 0.0, 255.0)));
    };
    return qRgb(poly({-4.54, -35.34, 2381.73, -6402.7, 7024.72, -2710.57}),
                poly({32.49, 170.73, 52.82, -131.46, 176.58, -67.37}),
                poly({81.24, 442.36, -2482.43, 6167.24, -6614.94, 2475.67}));
}

/// Blue–white–orange, straight lines in OKLab, so that equal steps look equal on both sides of zero.
QRgb blueWhiteOrange(double t) {
    const OkLab blue = toOkLab(QColor(0x14, 0x55, 0xa5));
    const OkLab white = toOkLab(QColor(0xf7, 0xf7, 0xf7));
    const OkLab orange = toOkLab(QColor(0xb2, 0x4c, 0x00));
    const OkLab& end = t < 0 ? blue : orange;
    const double s = std::abs(t);
    return fromOkLab(
               {white.L + s * (end.L - white.L), white.a + s * (end.a - white.a), white.b + s * (end.b - white.b)})
        .rgb();
}

const Map& sequentialTable() {
    static const Map table = [] {
        Map map;
        for (int i = 0; i < kSteps; ++i)
            map[static_cast<std::size_t>(i)] = cividis(i / (kSteps - 1.0));
        return map;
    }();
    return table;
}

const Map& signedTable() {
    static const Map table = [] {
        Map map;
        for (int i = 0; i < kSteps; ++i)
            map[static_cast<std::size_t>(i)] = blueWhiteOrange(2 * i / (kSteps - 1.0) - 1);
        return map;
    }();
    return table;
}

QRgb lookUp(const Map& table, double t) {
    return table[static_cast<std::size_t>(std::lround(std::clamp(t, 0.0, 1.0) * (kSteps - 1)))];
}

}  // namespace

const Theme& Theme::light() {
    static const Theme theme(Mode::Light);
    return theme;
}

const Theme& Theme::dark() {
    static const Theme theme(Mode::Dark);
    return theme;
}

QColor Theme::color(Meaning meaning) const { return pairOf(meaning).of(m_mode); }
QColor Theme::background() const { return kBackground.of(m_mode); }
QColor Theme::text() const { return kText.of(m_mode); }
QColor Theme::mutedText() const { return kMutedText.of(m_mode); }
QColor Theme::grid() const { return kGrid.of(m_mode); }
QColor Theme::highlight() const { return kHighlight.of(m_mode); }
QColor Theme::hover() const { return kHover.of(m_mode); }
QColor Theme::noData() const { return kNoData.of(m_mode); }

QColor Theme::expert(int expert) const {
    constexpr double kGoldenAngle = 137.50776405003785;  // 180° (3 − √5): neighbours in number are far apart in hue
    const double lightness = m_mode == Mode::Dark ? 0.74 : 0.60;
    return fromOkLch(lightness, 0.13, 25 + kGoldenAngle * expert);
}

QRgb Theme::sequential(double t) const { return std::isnan(t) ? noData().rgb() : lookUp(sequentialTable(), t); }
QRgb Theme::signedMap(double t) const { return std::isnan(t) ? noData().rgb() : lookUp(signedTable(), (t + 1) / 2); }

QPalette Theme::palette() const {
    QPalette p;
    p.setColor(QPalette::Window, kWindow.of(m_mode));
    p.setColor(QPalette::WindowText, text());
    p.setColor(QPalette::Base, background());
    p.setColor(QPalette::AlternateBase, kAlternate.of(m_mode));
    p.setColor(QPalette::Text, text());
    p.setColor(QPalette::PlaceholderText, mutedText());
    p.setColor(QPalette::Button, kButton.of(m_mode));
    p.setColor(QPalette::ButtonText, text());
    p.setColor(QPalette::BrightText, color(Meaning::Wait));
    p.setColor(QPalette::ToolTipBase, kToolTip.of(m_mode));
    p.setColor(QPalette::ToolTipText, text());
    p.setColor(QPalette::Link, color(Meaning::Compute));
    p.setColor(QPalette::Highlight, QColor(m_mode == Mode::Dark ? 0xff2f5f9e : 0xff2467b5));
    p.setColor(QPalette::HighlightedText, Qt::white);
    p.setColor(QPalette::Light, kGrid.of(m_mode).lighter(115));
    p.setColor(QPalette::Midlight, kGrid.of(m_mode));
    p.setColor(QPalette::Mid, kMutedText.of(m_mode));
    p.setColor(QPalette::Dark, kMutedText.of(m_mode).darker(130));
    p.setColor(QPalette::Shadow, QColor(0, 0, 0));
    for (const QPalette::ColorRole role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText}) {
        p.setColor(QPalette::Disabled, role, kGrey.of(m_mode));
    }
    return p;
}

}  // namespace expertscope
