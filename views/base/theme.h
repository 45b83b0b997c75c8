// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>
#include <QPalette>
#include <cstdint>

namespace expertscope {

/// What a colour stands for, everywhere in the window (one meaning, one colour).
enum class Meaning : std::uint8_t {
    Compute,
    NearMemory,
    TransferDemand,
    PrefetchUseful,
    PrefetchLate,
    PrefetchWasted,
    PrefetchCancelled,
    Wait,
    Hit,
    InFlight,
    Miss,
    RunA,
    RunB,
};

/// All colours of the program, light or dark. Text on background has a contrast of at least 4.5:1, marks 3:1.
class Theme {
public:
    enum class Mode { Light, Dark };
    static const Theme& light();
    static const Theme& dark();
    static const Theme& of(Mode mode) { return mode == Mode::Dark ? dark() : light(); }

    Mode mode() const { return m_mode; }
    QColor color(Meaning meaning) const;
    QColor background() const;  ///< of plots
    QColor text() const;
    QColor mutedText() const;
    QColor grid() const;
    QColor highlight() const;  ///< outline of what is selected
    QColor hover() const;      ///< outline of what is under the cursor
    QColor noData() const;     ///< cell of a map that has no value
    /// The expert's own stable colour: hue by golden angle, equal lightness.
    QColor expert(int expert) const;
    /// Sequential map (cividis), t in 0…1; NaN gives the colour of "no data".
    QRgb sequential(double t) const;
    /// Signed map blue–white–orange, t in −1…1.
    QRgb signedMap(double t) const;
    QPalette palette() const;

private:
    explicit Theme(Mode mode) : m_mode(mode) {}
    Mode m_mode;
};

}  // namespace expertscope
