// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/overview/run_texts.h"

#include <QScrollBar>
#include <algorithm>
#include <limits>

#include "views/base/plot_style.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

constexpr int kTabCharacters = 4;
/// Laid out at once, in some milliseconds.
constexpr qsizetype kCharactersAtOnce = 8'000;

QTextCharFormat inColour(const QColor& color) {
    QTextCharFormat format;
    format.setForeground(color);
    return format;
}

/// Whether `now` is `before` with more text generated.
bool hasOnlyGrown(const OverviewText& before, const OverviewText& now) {
    return now.title == before.title && now.prompt == before.prompt && now.text.startsWith(before.text);
}

}  // namespace

RunTexts::RunTexts(QWidget* parent) : QPlainTextEdit(parent), m_theme(&Theme::light()) {
    setReadOnly(true);
    setUndoRedoEnabled(false);
    setFrameShape(QFrame::NoFrame);
    setFont(plotFont());
    setTabStopDistance(kTabCharacters * QFontMetricsF(font()).horizontalAdvance(QLatin1Char('0')));
    setTabChangesFocus(true);
    document()->setDocumentMargin(0);
    setAccessibleName(QStringLiteral("Texts of the run"));
    m_more.setSingleShot(true);
    connect(&m_more, &QTimer::timeout, this, [this] { showMore(kCharactersAtOnce); });
}

void RunTexts::setTheme(const Theme& theme) {
    m_theme = &theme;
    QPalette palette = theme.palette();
    palette.setColor(QPalette::Base, theme.background());
    setPalette(palette);
    const std::vector<OverviewText> texts = m_wanted;
    setTexts({}, false);  // colours are part of the text
    setTexts(texts, false);
}

void RunTexts::setTexts(const std::vector<OverviewText>& texts, bool follow) {
    m_wanted = texts;
    m_follow = follow;
    showMore(kCharactersAtOnce);
}

void RunTexts::finish() { showMore(std::numeric_limits<qsizetype>::max()); }

/// Brings what is shown nearer to what is wanted, by about `most` characters.
void RunTexts::showMore(qsizetype most) {
    m_more.stop();
    const std::vector<OverviewText>& texts = m_wanted;
    const auto differs = std::ranges::mismatch(m_shown, texts);
    const auto kept = static_cast<std::size_t>(differs.in1 - m_shown.begin());
    if (kept == m_shown.size() && kept == texts.size()) return;
    QScrollBar* bar = verticalScrollBar();
    const bool atEnd = bar->value() == bar->maximum();
    const bool lastGrew = kept + 1 == m_shown.size() && kept < texts.size() && hasOnlyGrown(m_shown[kept], texts[kept]);
    if (lastGrew) {
        QTextCursor cursor(document());
        cursor.movePosition(QTextCursor::End);
        cursor.insertText(texts[kept].text.mid(m_shown[kept].text.size()), inColour(m_theme->text()));
        m_shown[kept] = texts[kept];
    } else if (kept < m_shown.size()) {
        QTextCursor cursor(document());
        cursor.setPosition(m_starts[kept]);
        cursor.movePosition(QTextCursor::End, QTextCursor::KeepAnchor);
        cursor.removeSelectedText();
        m_shown.resize(kept);
        m_starts.resize(kept);
    }
    qsizetype appended = 0;
    while (m_shown.size() < texts.size() && appended < most) {
        const OverviewText& next = texts[m_shown.size()];
        append(next);
        appended += next.prompt.size() + next.text.size();
    }
    if (m_follow && atEnd) bar->setValue(bar->maximum());
    if (m_shown.size() < texts.size()) m_more.start(0);
}

void RunTexts::append(const OverviewText& item) {
    QTextCursor cursor(document());
    cursor.movePosition(QTextCursor::End);
    m_starts.push_back(cursor.position());
    const QTextCharFormat muted = inColour(m_theme->mutedText());
    cursor.insertText((m_shown.empty() ? QString() : QStringLiteral("\n\n")) + item.title + QLatin1Char('\n'), muted);
    cursor.insertText(item.prompt, muted);
    cursor.insertText(item.text, inColour(m_theme->text()));
    m_shown.push_back(item);
}

}  // namespace expertscope
