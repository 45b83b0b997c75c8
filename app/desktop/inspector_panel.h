// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>
#include <QTimer>
#include <QWidget>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/base/ids.h"
#include "views/base/background_job.h"
#include "views/base/selection.h"

class QFormLayout;
class QLabel;
class QVBoxLayout;

namespace expertscope {

class JobStrip;
class SessionModel;
struct InspectorText;

/// The Inspector dock: what is selected, its numbers, and buttons that show it in another view. What takes longer than
/// a moment to count is counted off the UI thread; until then it shows what it knows at once, and never the numbers of
/// something else.
class InspectorPanel : public QWidget {
    Q_OBJECT
public:
    /// `views`: name and title of each view that can be shown.
    InspectorPanel(SessionModel& session, SelectionModel& selection, const QList<std::pair<QString, QString>>& views,
                   QWidget* parent = nullptr);
    void refresh();
    /// More records than this are counted off the UI thread.
    void setCountAtOnce(std::size_t records) { m_countAtOnce = records; }
    bool counting() const { return m_job.running(); }
    QSize sizeHint() const override { return {230, 300}; }

signals:
    void showIn(const QString& view);

private:
    /// What numbers are of; those of a growing run are of the same subject.
    struct Subject {
        QString file;
        RunId run;
        Selection selection;
        bool operator==(const Subject&) const = default;
    };
    void countAgain();
    void count(const Subject& subject);
    void drop();
    void ended(const QString& failure, bool cancelled);
    void showUncounted(const QString& state, const QString& meaning);
    void show(const InspectorText& text);

    SessionModel& m_session;
    SelectionModel& m_selection;
    QLabel* m_title;
    QLabel* m_subtitle;
    QWidget* m_facts;
    QFormLayout* m_form;
    QWidget* m_buttons;
    JobStrip* m_strip;
    QTimer m_pending;  ///< coalesces updates of a growing run
    std::size_t m_countAtOnce;
    std::optional<Subject> m_asked;  ///< what the job counts, or has last
    bool m_counted = false;          ///< its numbers are shown
    bool m_refused = false;          ///< it was cancelled or failed: counted when asked for
    std::int64_t m_revision = 0;     ///< of the trace that it counts, or has last
    BackgroundJob m_job;
};

}  // namespace expertscope
