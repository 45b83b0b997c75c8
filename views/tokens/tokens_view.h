// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "profiler/analysis/trace_view.h"
#include "views/base/view.h"
#include "views/tokens/token_text_model.h"

class QComboBox;
class QLabel;
class QSpinBox;

namespace expertscope {

class EmptyState;
class RunTrace;
class TokenLegend;
class TokenTable;
class TokenTextArea;

/// The text of the current run, each token coloured by its top expert in a layer, by how its experts were found, or by
/// its log-probability. Hovering shows what every layer chose; clicking and dragging select tokens.
class TokensView : public View {
    Q_OBJECT
public:
    TokensView(SessionModel& session, SelectionModel& selection, QWidget* parent = nullptr);

    QString name() const override { return QStringLiteral("tokens"); }
    QString title() const override { return tr("Tokens"); }
    void setTheme(const Theme& theme) override;
    void refresh() override;
    void exportTo(const QString& file, const QSize& size) override;
    QAbstractItemModel* table() override;
    void setLayer(int layer) override;
    void setColour(TokenColour colour);
    const TokenTextModel& model() const { return m_model; }
    TokenTextArea* area() const { return m_area; }

protected:
    void showEvent(QShowEvent* event) override;

private:
    QWidget* makeControls();
    void takeRun();
    void follow();
    void takeSelection();
    void updateLegend();
    TraceView traceView() const;

    const Theme* m_theme;
    const RunTrace* m_trace = nullptr;
    TokenTextModel m_model;
    TokenTable* m_table;
    bool m_stale = true;

    QSpinBox* m_layer;
    QComboBox* m_colour;
    QWidget* m_controls;
    TokenLegend* m_legend;
    TokenTextArea* m_area;
    QLabel* m_counted;
    EmptyState* m_emptyState;
};

}  // namespace expertscope
