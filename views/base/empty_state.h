// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QWidget>
#include <vector>

class QHBoxLayout;
class QLabel;

namespace expertscope {

class RunTrace;
class Theme;

/// A button of an empty state: its words and the command of the window that it asks for.
struct EmptyAction {
    QString text, command;
    bool operator==(const EmptyAction&) const = default;
};

/// Covers a view that has nothing to show and says what would fill it: "No run to show" · "Open a session, or profile a
/// model", with the buttons that do it. Lies over its parent and follows its size; hidden while there is something to
/// show.
class EmptyState : public QWidget {
    Q_OBJECT
public:
    explicit EmptyState(QWidget* parent);
    /// Shows the sentence (what is missing), the hint (what would fill the view) and the buttons that would.
    void tell(const QString& sentence, const QString& hint, const std::vector<EmptyAction>& actions = {});
    QString sentence() const;
    void setTheme(const Theme& theme);

signals:
    void commandWanted(const QString& command);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    QLabel* m_sentence;
    QLabel* m_hint;
    QHBoxLayout* m_buttons;
    std::vector<EmptyAction> m_actions;
};

/// What a view shows of a run: "the tokens", and whether the run was asked to record it, by the word of `run --record`
/// (empty: it always is).
struct EmptySubject {
    QString what;
    QString recordWord = {};
    bool asked = true;
};

/// Tells why a run (null: there is none) has nothing to show, in the same words in every view.
void tellWhyEmpty(EmptyState& state, const RunTrace* run, const EmptySubject& subject);

}  // namespace expertscope
