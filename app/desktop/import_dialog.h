// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <QString>

#include "app/desktop/session_import.h"
#include "views/base/background_job.h"

class QCheckBox;
class QComboBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace expertscope {

/// Composes one import of another tool's file: what it is, the session that it becomes, and what the file does not say.
/// What cannot be imported says why beside Import, which waits until it can.
class ImportDialog : public QDialog {
    Q_OBJECT
public:
    explicit ImportDialog(const QString& file, QWidget* parent = nullptr);
    /// What Import would import.
    ImportRequest request() const;
    /// Why it cannot, as a sentence; empty when it can.
    QString problem() const;

signals:
    void importRequested(const ImportRequest& request);

private:
    QWidget* makeSessionRow();
    QWidget* makeModelBox();
    QWidget* makeButtons();
    void recognise();
    void check();

    QString m_file;
    QComboBox* m_format;
    QLabel* m_recognised;
    QLineEdit* m_session;
    QLabel* m_sessionFacts;
    QCheckBox* m_leaveOutWarmUp;
    QLineEdit* m_modelName;
    QSpinBox* m_layers;
    QSpinBox* m_experts;
    QSpinBox* m_topK;
    QLineEdit* m_expertBytes;
    QLabel* m_problem;
    QPushButton* m_copy;
    QPushButton* m_import;
    QString m_unknown = "The file is being looked at…";  ///< why no format is known; empty when one is
    BackgroundJob m_look;
};

}  // namespace expertscope
