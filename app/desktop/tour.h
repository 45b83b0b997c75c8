// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QFrame>
#include <vector>

class QLabel;
class QPushButton;

namespace expertscope {

/// One page of the tour: what it talks about, by object name, and what it says.
struct TourPage {
    QString target;  ///< object name of the widget that is framed; empty for none
    QString view;    ///< view to bring to the front; empty for none
    QString title;
    QString text;
};

/// The pages, in order.
const std::vector<TourPage>& tourPages();

/// A call-out in the corner of the window that goes through the tour's pages; what a page talks about gets a frame.
class Tour : public QFrame {
    Q_OBJECT
public:
    /// Lies over `window`, whose widgets it frames.
    explicit Tour(QWidget* window);
    void start();
    int page() const { return m_page; }

signals:
    void wantsView(const QString& name);
    void ended();

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void showPage(int page);
    void place();
    void end();

    QWidget* m_window;
    QWidget* m_outline;
    QLabel* m_title;
    QLabel* m_text;
    QLabel* m_count;
    QPushButton* m_back;
    QPushButton* m_next;
    int m_page = -1;
};

}  // namespace expertscope
