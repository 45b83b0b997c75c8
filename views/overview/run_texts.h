// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPlainTextEdit>
#include <vector>

#include "views/overview/overview_model.h"

namespace expertscope {

class Theme;

/// The texts of a run's requests below one another, to be read, scrolled and copied: title and prompt muted, what was
/// generated in full colour. New text is inserted where it belongs and nothing else is laid out again, so a growing
/// text costs what has come.
class RunTexts : public QPlainTextEdit {
    Q_OBJECT
public:
    explicit RunTexts(QWidget* parent = nullptr);
    /// Shows these texts. With `follow`, a text that was scrolled to its end stays there.
    void setTexts(const std::vector<OverviewText>& texts, bool follow);
    void setTheme(const Theme& theme);

private:
    void append(const OverviewText& item);

    const Theme* m_theme;
    std::vector<OverviewText> m_shown;
    std::vector<int> m_starts;  ///< where each text starts in the document
};

}  // namespace expertscope
