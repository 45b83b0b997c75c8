// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>
#include <QString>
#include <QWidget>
#include <vector>

#include "views/base/draw_list.h"

namespace expertscope {

class Theme;

struct LegendEntry {
    QString text;
    QColor color;
    Pattern pattern = Pattern::Solid;
    bool operator==(const LegendEntry&) const = default;
};

/// A line of swatches with their words, wrapped where the view is narrow. Colour and pattern are those of the marks.
class LegendStrip : public QWidget {
    Q_OBJECT
public:
    explicit LegendStrip(QWidget* parent = nullptr);
    void setEntries(std::vector<LegendEntry> entries);
    const std::vector<LegendEntry>& entries() const { return m_entries; }
    void setTheme(const Theme& theme);

    bool hasHeightForWidth() const override { return true; }
    int heightForWidth(int width) const override;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    std::vector<QRect> placed(int width) const;
    std::vector<LegendEntry> m_entries;
    const Theme* m_theme;
};

/// Fills `box` with a colour in a pattern, as draw lists do.
void paintSwatch(QPainter& painter, const QRectF& box, const QColor& color, Pattern pattern);

}  // namespace expertscope
