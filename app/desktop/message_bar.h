// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QFrame>
#include <functional>

class QLabel;
class QPushButton;

namespace expertscope {

/// Tells what went wrong, where and what to do, above the views and without stopping anything. Hidden while there is
/// nothing to tell; a new message replaces the one before.
class MessageBar : public QFrame {
    Q_OBJECT
public:
    enum class Kind { Note, Problem };

    explicit MessageBar(QWidget* parent = nullptr);
    void tell(Kind kind, const QString& sentence);
    /// With a button that does something about it, and closes the message.
    void tell(Kind kind, const QString& sentence, const QString& offer, std::function<void()> accept);
    QString sentence() const;

private:
    QLabel* m_icon;
    QLabel* m_text;
    QPushButton* m_offer;
    std::function<void()> m_accept;
};

}  // namespace expertscope
