// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPlainTextEdit>
#include <QTimer>
#include <vector>

#include "views/overview/overview_model.h"

namespace expertscope {

class Theme;

/// The texts of a run's requests below one another, to be read, scrolled and copied: title and prompt muted, what was
/// generated in full colour. New text is inserted where it belongs and nothing else is laid out again, so a growing
/// text costs what has come. Laying out many long texts takes longer than a frame: they come one after another.
class RunTexts : public QPlainTextEdit {
    Q_OBJECT
public:
    explicit RunTexts(QWidget* parent = nullptr);
    /// Shows these texts, long ones by and by. With `follow`, a text that was scrolled to its end stays there.
    void setTexts(const std::vector<OverviewText>& texts, bool follow);
    /// Shows all of them now.
    void finish();
    void setTheme(const Theme& theme);

private:
    void showMore(qsizetype most);
    void append(const OverviewText& item);

    const Theme* m_theme;
    std::vector<OverviewText> m_wanted, m_shown;
    bool m_follow = false;
    QTimer m_more;
    std::vector<int> m_starts;  ///< where each text starts in the document
};

}  // namespace expertscope
