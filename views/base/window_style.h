// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QProxyStyle>

namespace expertscope {

/// The window's style: Fusion, with frames of check boxes and radio buttons that can be seen on dark ground, where
/// Fusion draws them darker than what they lie on.
class WindowStyle : public QProxyStyle {
    Q_OBJECT
public:
    WindowStyle();
    void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                       const QWidget* widget = nullptr) const override;
};

}  // namespace expertscope
