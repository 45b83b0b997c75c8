// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <map>
#include <memory>

#include "app/desktop/model_loader.h"
#include "app/desktop/prepared_file.h"
#include "app/desktop/profile_job.h"

class QCheckBox;
class QComboBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QPlainTextEdit;
class QPushButton;
class QSpinBox;
class QStackedWidget;

namespace expertscope {

class BudgetSlider;

/// Composes one profiling job. What cannot run says why beside Start, which waits until it can.
class ProfileDialog : public QDialog {
    Q_OBJECT
public:
    /// `recentModels`: folders that were profiled before; `recentPrepared`: files of prepared data that were used.
    explicit ProfileDialog(const QStringList& recentModels, const QStringList& recentPrepared = {},
                           QWidget* parent = nullptr);
    /// What Start would start.
    ProfileJob job() const;
    /// Why it cannot start, as a sentence; empty when it can.
    QString problem() const;

signals:
    void startRequested(const ProfileJob& job);

private:
    QWidget* makeModelRow(const QStringList& recentModels);
    QWidget* makePreparedRow(const QStringList& recentPrepared);
    QWidget* makePrompts();
    QWidget* makePolicies();
    QWidget* makeRecord();
    QWidget* makeSessionRow();
    QWidget* makeButtons();
    void askForModel();
    void showModel(const QString& model, const ModelLook& look);
    void askForPrepared();
    void showPrepared(const PreparedLook& look);
    void updatePolicies();
    void check();

    ModelLoader m_loader;
    std::shared_ptr<const ModelFacts> m_facts;
    QString m_modelProblem;
    QString m_lookedAt;
    QComboBox* m_model;
    QLabel* m_modelFacts;
    PreparedLoader m_preparedLoader;
    PreparedLook m_prepared;
    PreparedUse m_preparedUse;
    QString m_preparedFile;  ///< that was asked for
    QComboBox* m_preparedInput;
    QLabel* m_preparedFacts;
    QComboBox* m_promptKind;
    QStackedWidget* m_promptInput;
    QPlainTextEdit* m_text;
    QLineEdit* m_file;
    std::map<std::string, QCheckBox*> m_policies;
    QComboBox* m_eviction;
    BudgetSlider* m_budget;
    QLineEdit* m_moreBudgets;
    QComboBox* m_link;
    QSpinBox* m_tokens;
    std::map<std::string, QCheckBox*> m_record;
    QLineEdit* m_session;
    QLabel* m_problem;
    QPushButton* m_start;
};

}  // namespace expertscope
