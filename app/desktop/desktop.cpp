// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/desktop.h"

#include <QApplication>
#include <QSettings>

#include "app/desktop/main_window.h"
#include "app/desktop/recent_sessions.h"
#include "app/view_catalogue.h"
#include "views/base/window_style.h"

namespace expertscope {

int runDesktop(QApplication& application, const QStringList& sessions) {
    QApplication::setOrganizationName("expertscope");
    QApplication::setApplicationName("expertscope");
    QApplication::setApplicationDisplayName("ExpertScope");
    QApplication::setApplicationVersion(EXPERTSCOPE_VERSION);
    // Asked before our own palette replaces the system's.
    const bool dark = QApplication::palette().color(QPalette::Window).lightness() < 128;
    QApplication::setStyle(new WindowStyle);

    QSettings settings;
    MainWindow window(settings, QApplication::applicationFilePath(), viewCatalogue(),
                      dark ? Theme::Mode::Dark : Theme::Mode::Light);
    window.show();
    for (qsizetype i = sessions.size() - 1; i > 0; --i)
        RecentSessions(settings).add(sessions.at(i));
    if (!sessions.isEmpty()) window.openSession(sessions.first());
    return application.exec();
}

}  // namespace expertscope
