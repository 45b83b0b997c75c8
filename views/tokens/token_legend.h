// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>
#include <QString>
#include <QWidget>
#include <vector>

namespace expertscope {

/// A row of labelled colour boxes over a token text; as many as fit.
class TokenLegend : public QWidget {
    Q_OBJECT
public:
    struct Entry {
        QColor color;
        QString inside;  ///< in the box: "17"
        QString beside;  ///< after it: "12.3 %"
    };
    explicit TokenLegend(QWidget* parent = nullptr);
    void setEntries(const QString& title, std::vector<Entry> entries, const QColor& text);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QString m_title;
    std::vector<Entry> m_entries;
    QColor m_text;
};

}  // namespace expertscope
