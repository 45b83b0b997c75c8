// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QWidget>

class QLabel;

namespace expertscope {

class Theme;

/// Covers a view that has nothing to show and says what would fill it: "No run is open" · "Open a session or profile a
/// model." Lies over its parent and follows its size; hidden while there is something to show.
class EmptyState : public QWidget {
    Q_OBJECT
public:
    explicit EmptyState(QWidget* parent);
    /// Shows the sentence (what is missing) and the hint (what would fill the view).
    void tell(const QString& sentence, const QString& hint);
    QString sentence() const;
    void setTheme(const Theme& theme);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    QLabel* m_sentence;
    QLabel* m_hint;
};

}  // namespace expertscope
