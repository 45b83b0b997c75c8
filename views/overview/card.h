// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QLabel>
#include <QWidget>

class QVBoxLayout;

namespace expertscope {

class Theme;

/// A label that wraps and is as tall as its lines at the width it gets. Qt's own asks for the height that it would have
/// at its narrowest.
class WrappedLabel : public QLabel {
    Q_OBJECT
public:
    explicit WrappedLabel(QWidget* parent = nullptr) : WrappedLabel(QString(), parent) {}
    explicit WrappedLabel(const QString& text, QWidget* parent = nullptr);
    QSize minimumSizeHint() const override { return {1, fontMetrics().height()}; }
};

/// A titled, framed part of a page.
class Card : public QWidget {
    Q_OBJECT
public:
    explicit Card(const QString& title, QWidget* parent = nullptr);
    /// Where the card's content goes, below its title.
    QVBoxLayout* body() const { return m_body; }
    void setTheme(const Theme& theme);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QLabel* m_title;
    QVBoxLayout* m_body;
    const Theme* m_theme;
};

/// A number to be seen from afar: its name above, what belongs to it below. Its size does not depend on the number, so
/// that one that changes ten times a second moves nothing.
class Figure : public QWidget {
    Q_OBJECT
public:
    Figure(const QString& name, const QString& explanation, QWidget* parent = nullptr);
    void setValue(const QString& value, const QString& note);
    void setTheme(const Theme& theme);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QString m_name;
    QString m_explanation;
    QString m_value;
    QString m_note;
    const Theme* m_theme;
};

/// A word in a coloured frame: "exact", "paced 25GB/s".
class Badge : public QWidget {
    Q_OBJECT
public:
    explicit Badge(QWidget* parent = nullptr);
    void setBadge(const QString& text, const QColor& color, const QString& explanation);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override { return sizeHint(); }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QString m_text;
    QColor m_color;
};

}  // namespace expertscope
