// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/view_export.h"

#include <QBuffer>
#include <QCoreApplication>
#include <QFileInfo>
#include <QImage>
#include <QLayout>
#include <QPageSize>
#include <QPdfWriter>
#include <QRegularExpression>
#include <QResizeEvent>
#include <QSaveFile>
#include <QSvgGenerator>
#include <QWidget>

#include <qcustomplot.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

void layOutChildren(QWidget& widget, void (*layOut)(QWidget&)) {
    for (QObject* child : widget.children()) {
        auto* part = qobject_cast<QWidget*>(child);
        if (part && !part->isWindow()) layOut(*part);
    }
}

/// Tells parents what their children need, from the innermost out.
void measure(QWidget& widget) {
    widget.ensurePolished();
    layOutChildren(widget, measure);
    QCoreApplication::sendPostedEvents(&widget);
    QEvent request(QEvent::LayoutRequest);
    QCoreApplication::sendEvent(&widget, &request);
}

/// Gives children their places, from the outermost in. Qt keeps resize events back from widgets that were never shown.
void place(QWidget& widget) {
    if (widget.testAttribute(Qt::WA_PendingResizeEvent)) {
        widget.setAttribute(Qt::WA_PendingResizeEvent, false);
        QResizeEvent event(widget.size(), QSize());
        QCoreApplication::sendEvent(&widget, &event);
    }
    if (QLayout* layout = widget.layout()) layout->activate();
    layOutChildren(widget, place);
}

/// Gives a widget a size for as long as it is painted.
class SizeFor {
public:
    SizeFor(QWidget& widget, const QSize& size) : m_widget(widget), m_before(widget.size()) { resize(size); }
    ~SizeFor() { resize(m_before); }
    SizeFor(const SizeFor&) = delete;
    SizeFor& operator=(const SizeFor&) = delete;

private:
    void resize(const QSize& size) {
        m_widget.resize(size);
        // What one round makes narrower may wrap and grow in the next.
        for (int round = 0; round < 3; ++round) {
            place(m_widget);
            measure(m_widget);
        }
        place(m_widget);
    }
    QWidget& m_widget;
    QSize m_before;
};

/// Paints a widget and its children; plots as their own vector commands rather than as the bitmap that they cache.
void paintTree(QWidget& widget, QCPPainter& painter, const QPoint& at) {
    painter.save();
    painter.translate(at);
    if (auto* plot = qobject_cast<QCustomPlot*>(&widget)) {
        plot->toPainter(&painter, plot->width(), plot->height());
    } else {
        // Asked to, Qt would fill the background of every child, also of those that let their parent's show.
        const bool own = widget.autoFillBackground();
        widget.render(&painter, QPoint(), QRegion(), own ? QWidget::DrawWindowBackground : QWidget::RenderFlags());
    }
    painter.restore();
    for (QObject* child : widget.children()) {
        auto* part = qobject_cast<QWidget*>(child);
        if (part && !part->isWindow() && !part->isHidden()) paintTree(*part, painter, at + part->pos());
    }
}

[[noreturn]] void fail(const QString& file, const QString& reason) {
    throw FailedError(
        QStringLiteral("The picture %1 cannot be written (%2): choose a folder that exists, may be written and "
                       "has room.")
            .arg(file, reason)
            .toStdString());
}

void paintPng(QWidget& widget, QIODevice& device, const QString& file) {
    QImage image(widget.size(), QImage::Format_ARGB32_Premultiplied);
    image.fill(widget.palette().color(QPalette::Window));
    {
        QCPPainter painter(&image);
        paintTree(widget, painter, QPoint());
    }
    if (!image.save(&device, "PNG")) fail(file, device.errorString());
}

void paintSvg(QWidget& widget, QIODevice& device, const QString& file) {
    QByteArray svg;
    {
        QBuffer buffer(&svg);
        QSvgGenerator generator;
        generator.setOutputDevice(&buffer);
        generator.setSize(widget.size());
        generator.setViewBox(QRect(QPoint(), widget.size()));
        generator.setResolution(96);
        generator.setTitle(widget.windowTitle());
        QCPPainter painter(&generator);
        painter.setMode(QCPPainter::pmVectorized);
        painter.fillRect(widget.rect(), widget.palette().color(QPalette::Window));
        paintTree(widget, painter, QPoint());
    }
    // Qt writes the size in millimetres, which readers turn into pixels at different resolutions.
    const QRegularExpression size(QStringLiteral("<svg width=\"[^\"]*\" height=\"[^\"]*\""));
    QString text = QString::fromUtf8(svg);
    const QRegularExpressionMatch match = size.match(text);
    text.replace(match.capturedStart(), match.capturedLength(),
                 QStringLiteral("<svg width=\"%1\" height=\"%2\"").arg(widget.width()).arg(widget.height()));
    if (device.write(text.toUtf8()) < 0) fail(file, device.errorString());
}

void paintPdf(QWidget& widget, QIODevice& device) {
    constexpr double kPointsPerPixel = 72.0 / 96.0;
    QPdfWriter writer(&device);
    writer.setResolution(96);
    writer.setPageSize(
        QPageSize(QSizeF(widget.size()) * kPointsPerPixel, QPageSize::Point, QString(), QPageSize::ExactMatch));
    writer.setPageMargins(QMarginsF());
    writer.setTitle(widget.windowTitle());
    QCPPainter painter(&writer);
    painter.setMode(QCPPainter::pmVectorized);
    painter.fillRect(widget.rect(), widget.palette().color(QPalette::Window));
    paintTree(widget, painter, QPoint());
}

}  // namespace

void exportWidget(QWidget& widget, const QString& file, const QSize& size) {
    if (size.isEmpty()) throw UsageError("A picture needs a width and a height of at least one pixel.");
    const QString ending = QFileInfo(file).suffix().toLower();
    if (ending != "png" && ending != "svg" && ending != "pdf") {
        throw UsageError(QStringLiteral("The ending of %1 names no picture format: use .png, .svg or .pdf.")
                             .arg(file)
                             .toStdString());
    }
    QSaveFile device(file);
    if (!device.open(QIODevice::WriteOnly)) fail(file, device.errorString());
    {
        const SizeFor sized(widget, size);
        if (ending == "png") {
            paintPng(widget, device, file);
        } else if (ending == "svg") {
            paintSvg(widget, device, file);
        } else {
            paintPdf(widget, device);
        }
    }
    if (!device.commit()) fail(file, device.errorString());
}

}  // namespace expertscope
