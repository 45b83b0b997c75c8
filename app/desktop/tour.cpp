// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/tour.h"

#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <QVBoxLayout>

namespace expertscope {
namespace {

constexpr int kWidth = 420;
constexpr int kMargin = 20;

/// A frame around what a page talks about; the mouse goes through it.
class Outline : public QWidget {
public:
    explicit Outline(QWidget* parent) : QWidget(parent) { setAttribute(Qt::WA_TransparentForMouseEvents); }

protected:
    void paintEvent(QPaintEvent*) override {
        QPainter painter(this);
        painter.setPen(QPen(palette().color(QPalette::Highlight), 4));
        painter.drawRect(rect().adjusted(2, 2, -2, -2));
    }
};

}  // namespace

const std::vector<TourPage>& tourPages() {
    static const std::vector<TourPage> pages{
        {"", "overview", "What this is for",
         "A Mixture-of-Experts model uses a few of its many experts for each token. Where they do not all fit the "
         "memory, "
         "they have to be moved in, and tokens wait. ExpertScope runs a model under such a budget and records every "
         "choice, "
         "every transfer and every wait."},
        {"panel_runs", "", "Runs",
         "A session holds one or several runs of the same work, here under different offload policies. Choose one, and "
         "every "
         "view shows it. Its speed and its hit rate stand beside it: a hit is an expert that was there when it was "
         "needed."},
        {"view_overview", "overview", "Overview",
         "What was run, how fast, what share of its time went into waiting, and the text that it made."},
        {"view_experts", "experts", "Expert heat map",
         "One row a layer, one column an expert. Bright experts are used much. Click a cell: that layer and expert are "
         "now "
         "selected everywhere."},
        {"view_timeline", "timeline", "Timeline",
         "When each thread computed, waited and moved bytes. W and S zoom, A and D move, F goes to what is selected, "
         "and "
         "dragging measures."},
        {"view_tokens", "tokens", "Tokens",
         "The text, each token in the colour of its strongest expert in one layer. Hover to see the choices of all "
         "layers."},
        {"panel_tokens", "", "The token strip",
         "The map of the run: one bar a token, as high as it took long, red where it waited. Drag over it to limit "
         "every view "
         "to those tokens. The chips in the toolbar show what is selected; Esc drops the newest, Ctrl+Z goes back."},
    };
    return pages;
}

Tour::Tour(QWidget* window)
    : QFrame(window),
      m_window(window),
      m_outline(new Outline(window)),
      m_title(new QLabel(this)),
      m_text(new QLabel(this)),
      m_count(new QLabel(this)),
      m_back(new QPushButton("Back", this)),
      m_next(new QPushButton(this)) {
    setObjectName("tour");
    setFrameShape(QFrame::Box);
    setLineWidth(2);
    setAutoFillBackground(true);
    setFixedWidth(kWidth);
    QFont bold = m_title->font();
    bold.setBold(true);
    bold.setPointSizeF(bold.pointSizeF() * 1.2);
    m_title->setFont(bold);
    m_text->setWordWrap(true);
    m_next->setObjectName("tourNext");
    m_next->setDefault(true);
    auto* skip = new QPushButton("End tour", this);
    auto* buttons = new QHBoxLayout;
    buttons->addWidget(m_count, 1);
    buttons->addWidget(skip);
    buttons->addWidget(m_back);
    buttons->addWidget(m_next);
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(m_title);
    layout->addWidget(m_text);
    layout->addLayout(buttons);
    connect(skip, &QPushButton::clicked, this, &Tour::end);
    connect(m_back, &QPushButton::clicked, this, [this] { showPage(m_page - 1); });
    connect(m_next, &QPushButton::clicked, this, [this] { showPage(m_page + 1); });
    window->installEventFilter(this);
    m_outline->hide();
    hide();
}

void Tour::start() { showPage(0); }

void Tour::showPage(int page) {
    const auto& pages = tourPages();
    if (page >= static_cast<int>(pages.size())) return end();
    m_page = page;
    const TourPage& now = pages[static_cast<std::size_t>(page)];
    m_title->setText(now.title);
    m_text->setText(now.text);
    m_count->setText(QString("%1 of %2").arg(page + 1).arg(pages.size()));
    m_back->setEnabled(page > 0);
    m_next->setText(page + 1 == static_cast<int>(pages.size()) ? "Done" : "Next");
    if (!now.view.isEmpty()) emit wantsView(now.view);
    show();
    place();
    m_next->setFocus();
}

void Tour::place() {
    setFixedHeight(heightForWidth(kWidth) > 0 ? heightForWidth(kWidth) : sizeHint().height());
    const QString& name = tourPages()[static_cast<std::size_t>(m_page)].target;
    const QWidget* target = name.isEmpty() ? nullptr : m_window->findChild<QWidget*>(name);
    const bool framed = target != nullptr && target->isVisible();
    QRect frame;
    if (framed) frame = QRect(target->mapTo(m_window, QPoint(0, 0)), target->size());
    m_outline->setGeometry(frame);
    m_outline->setVisible(framed);
    // In the middle, but away from a target that lies low or high.
    const bool low = framed && frame.top() > m_window->height() / 2;
    const int y = framed && !low ? m_window->height() - height() - 4 * kMargin : (m_window->height() - height()) / 2;
    move((m_window->width() - width()) / 2, y);
    m_outline->raise();
    raise();
}

void Tour::end() {
    m_page = -1;
    m_outline->hide();
    hide();
    emit ended();
}

bool Tour::eventFilter(QObject* watched, QEvent* event) {
    if (watched == m_window && event->type() == QEvent::Resize && m_page >= 0) place();
    return QFrame::eventFilter(watched, event);
}

}  // namespace expertscope
