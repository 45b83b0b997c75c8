// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractItemModel>
#include <QString>
#include <QWidget>

namespace expertscope {

class SelectionModel;
class SessionModel;
class Theme;

/// One view of a session: a thin widget over a headless model. It reads only the session model, and tells and obeys
/// only the shared selection.
class View : public QWidget {
    Q_OBJECT
public:
    View(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr)
        : QWidget(parent), m_session(session), m_selection(selection) {}

    /// Stable name, as `expertscope render --view` takes it: "experts".
    virtual QString name() const = 0;
    /// As the window shows it: "Expert heat map".
    virtual QString title() const = 0;
    virtual void setTheme(const Theme& theme) = 0;
    /// Brings the view up to date now (the widget otherwise coalesces updates).
    virtual void refresh() = 0;
    /// Writes the view as it stands, `size` in pixels; the file name's ending (.png .svg .pdf) decides the form.
    /// Throws FailedError when the file cannot be written.
    virtual void exportTo(const QString& file, const QSize& size) = 0;
    /// The table twin: the numbers behind the picture. Owned by the view.
    virtual QAbstractItemModel* table() = 0;
    /// Which layer a per-layer picture shows (`render --layer`); ignored by views without one.
    virtual void setLayer(int) {}

signals:
    /// A button of the view asks for a command of the window, by its id.
    void commandWanted(const QString& command);

protected:
    SessionModel& m_session;
    SelectionModel& m_selection;
};

}  // namespace expertscope
