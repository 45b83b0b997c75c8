// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QFrame>

class QLabel;

namespace expertscope {

/// Tells what went wrong, where and what to do, above the views and without stopping anything. Hidden while there is
/// nothing to tell; a new message replaces the one before.
class MessageBar : public QFrame {
    Q_OBJECT
public:
    enum class Kind { Note, Problem };

    explicit MessageBar(QWidget* parent = nullptr);
    void tell(Kind kind, const QString& sentence);
    QString sentence() const;

private:
    QLabel* m_icon;
    QLabel* m_text;
};

}  // namespace expertscope
