// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractScrollArea>
#include <functional>
#include <optional>

#include "views/base/selection.h"
#include "views/tokens/token_text_model.h"

namespace expertscope {

/// Shows a token text and scrolls through it; paints the visible lines only. Tells what is clicked, dragged over and
/// hovered, and knows nothing of sessions.
class TokenTextArea : public QAbstractScrollArea {
    Q_OBJECT
public:
    explicit TokenTextArea(TokenTextModel& model, QWidget* parent = nullptr);

    /// The records that the model was last updated from; asked for at each painting.
    std::function<TraceView()> trace;
    std::function<Selection()> selected, hovered;
    void setTheme(const Theme& theme);
    /// Lays the text out again, for new tokens or a new width. A text that was scrolled to its end stays at its end.
    void layOutAgain();
    void scrollTo(TokenIndex token);

signals:
    void hoveredToken(std::optional<TokenIndex> token, QPoint global);
    void selectedTokens(TokenRange range);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    QPointF toText(const QPointF& pixel) const;
    TextMetrics metrics() const;

    TokenTextModel& m_model;
    const Theme* m_theme;
    std::optional<TokenIndex> m_pressed;
    std::optional<TokenRange> m_brush;
};

/// Paints a draw list whose coordinates are pixels.
void paintPixels(QPainter& painter, const DrawList& list);

}  // namespace expertscope
