// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/profile_dialog.h"

#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QGridLayout>
#include <QGuiApplication>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QSpinBox>
#include <QStackedWidget>
#include <QStandardPaths>
#include <QVBoxLayout>

#include "app/desktop/budget_slider.h"
#include "app/desktop/dialog_rows.h"
#include "app/resource_paths.h"
#include "engine/base/error.h"
#include "engine/offload/policy_registry.h"

namespace expertscope {
namespace {

constexpr double kFirstShare = 0.25;
/// Of the list of policies, in pixels; the rest is scrolled.
constexpr int kPoliciesHeight = 190;
enum PromptKind { kBundled, kText, kFile };

struct RecordChoice {
    const char* name;
    const char* text;
    const char* cost;
};
constexpr RecordChoice kRecordChoices[] = {
    {"routing", "routing", "Which experts each token chose, and what was moved for it: the least that the views need."},
    {"spans", "time spans", "What every thread did when: needed by the timeline and the token strip."},
    {"norms", "output norms", "The length of every selected expert's output: one pass more over each."},
    {"predictions", "predictions", "What the checkpoint's predictors expect: one small matrix product more a layer."},
};

struct LinkChoice {
    const char* text;
    const char* link;
};
constexpr LinkChoice kLinkChoices[] = {
    {"as fast as the disk", ""},
    {"25GB/s@10us  (PCIe 4 ×16)", "25GB/s@10us"},
    {"3.5GB/s@80us  (NVMe disk)", "3.5GB/s@80us"},
    {"500MB/s@100us  (SATA disk)", "500MB/s@100us"},
    {"210MB/s@20us  (so slow that one can watch)", first_run::kLink},
};

QLabel* badge(bool exact, QWidget* parent) {
    auto* label = new QLabel(exact ? "exact" : "approximate", parent);
    label->setFrameShape(QFrame::StyledPanel);
    label->setAlignment(Qt::AlignCenter);
    label->setToolTip(exact
                          ? "Gives logits bit-identical to the run with every expert resident."
                          : "Changes which experts are used, and so the text; its fidelity is shown beside its speed.");
    return label;
}

}  // namespace

ProfileDialog::ProfileDialog(const QStringList& recentModels, const QStringList& recentPrepared, QWidget* parent)
    : QDialog(parent),
      m_model(new QComboBox(this)),
      m_modelFacts(new QLabel(this)),
      m_preparedInput(new QComboBox(this)),
      m_preparedFacts(new QLabel(this)),
      m_promptKind(new QComboBox(this)),
      m_promptInput(new QStackedWidget(this)),
      m_text(new QPlainTextEdit(this)),
      m_file(new QLineEdit(this)),
      m_eviction(new QComboBox(this)),
      m_budget(new BudgetSlider(this)),
      m_moreBudgets(new QLineEdit(this)),
      m_link(new QComboBox(this)),
      m_tokens(new QSpinBox(this)),
      m_session(new QLineEdit(this)),
      m_problem(new QLabel(this)),
      m_start(new QPushButton("▶ Start", this)) {
    setObjectName("profileDialog");
    setWindowTitle("Profile a model");
    setAttribute(Qt::WA_DeleteOnClose);
    for (const EvictionInfo& info : evictionCatalogue()) {
        if (info.replayOnly) continue;
        m_eviction->addItem(QString::fromStdString(info.name));
        m_eviction->setItemData(m_eviction->count() - 1, QString::fromStdString(info.summary), Qt::ToolTipRole);
    }
    for (const LinkChoice& choice : kLinkChoices)
        m_link->addItem(choice.text, QString(choice.link));
    m_moreBudgets->setObjectName("profileMoreBudgets");
    m_moreBudgets->setPlaceholderText("other budgets to compare with: 10%, 50%, 4MiB");
    m_moreBudgets->setToolTip("Every policy runs once at each budget.");
    connect(m_moreBudgets, &QLineEdit::textChanged, this, &ProfileDialog::check);
    m_link->setEditable(true);
    m_link->setToolTip(
        "Paces transfers like a slower or faster link: bandwidth@latency. Paced runs are marked as such.");
    m_tokens->setRange(1, 1'000'000);
    m_tokens->setValue(first_run::kTokensPerPrompt);
    m_tokens->setSuffix(" for each prompt");

    auto* form = new QFormLayout;
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    form->addRow("Model", makeModelRow(recentModels));
    form->addRow("Prompts", makePrompts());
    form->addRow("Policies", makePolicies());
    form->addRow("Prepared data", makePreparedRow(recentPrepared));
    form->addRow("Budget", m_budget);
    form->addRow("Also at", m_moreBudgets);
    auto* eviction = new QLabel("Eviction", this);
    auto* tokens = new QLabel("Tokens", this);
    form->addRow("Link", inARow({m_link, eviction, m_eviction, tokens, m_tokens}, 0));
    form->addRow("Record", makeRecord());
    form->addRow("Session", makeSessionRow());

    auto* layout = new QVBoxLayout(this);
    layout->addLayout(form);
    layout->addStretch(1);
    m_problem->setObjectName("profileProblem");
    m_problem->setWordWrap(true);
    layout->addWidget(m_problem);
    layout->addWidget(makeButtons());
    resize(900, 640);
    connect(m_budget, &BudgetSlider::changed, this, &ProfileDialog::check);
    connect(m_link, &QComboBox::editTextChanged, this, &ProfileDialog::check);
    askForModel();
}

QWidget* ProfileDialog::makeModelRow(const QStringList& recentModels) {
    m_model->setObjectName("profileModel");
    m_model->setEditable(true);
    m_model->addItem("demo");
    m_model->addItems(recentModels);
    m_model->setToolTip("“demo” is the bundled model; otherwise a folder with config.json and safetensors.");
    m_modelFacts->setWordWrap(true);
    auto* browse = new QPushButton("Browse…", this);
    connect(browse, &QPushButton::clicked, this, [this] {
        const QString folder = QFileDialog::getExistingDirectory(this, "Choose a checkpoint folder");
        if (folder.isEmpty()) return;
        m_model->setEditText(folder);
        askForModel();
    });
    connect(m_model, &QComboBox::activated, this, &ProfileDialog::askForModel);
    connect(m_model->lineEdit(), &QLineEdit::editingFinished, this, [this] {
        // Also told when the keyboard goes elsewhere, which is no question.
        if (m_model->currentText().trimmed() != m_lookedAt) askForModel();
    });
    auto* holder = new QWidget(this);
    auto* layout = new QVBoxLayout(holder);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(inARow({m_model, browse}, 0));
    layout->addWidget(m_modelFacts);
    return holder;
}

QWidget* ProfileDialog::makePreparedRow(const QStringList& recentPrepared) {
    m_preparedInput->setObjectName("profilePrepared");
    m_preparedInput->setEditable(true);
    m_preparedInput->addItems(recentPrepared);
    m_preparedInput->clearEditText();
    m_preparedInput->lineEdit()->setPlaceholderText(
        "none: what a policy lacks is collected by a calibration pass first");
    m_preparedInput->setToolTip(
        "What policies need beforehand (popularity, activation matrices, fitted pre-gates…), collected from sessions "
        "by "
        "“expertscope prepare”.");
    m_preparedFacts->setObjectName("profilePreparedFacts");
    m_preparedFacts->setWordWrap(true);
    m_preparedFacts->hide();
    auto* browse = new QPushButton("Browse…", this);
    browse->setAutoDefault(false);
    connect(browse, &QPushButton::clicked, this, [this] {
        const QString file = QFileDialog::getOpenFileName(this, "Choose prepared data");
        if (file.isEmpty()) return;
        m_preparedInput->setEditText(file);
        askForPrepared();
    });
    connect(m_preparedInput, &QComboBox::activated, this, &ProfileDialog::askForPrepared);
    connect(m_preparedInput->lineEdit(), &QLineEdit::editingFinished, this, [this] {
        if (m_preparedInput->currentText().trimmed() != m_preparedFile) askForPrepared();
    });
    auto* holder = new QWidget(this);
    auto* layout = new QVBoxLayout(holder);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(inARow({m_preparedInput, browse}, 0));
    layout->addWidget(m_preparedFacts);
    return holder;
}

QWidget* ProfileDialog::makePrompts() {
    m_promptKind->setObjectName("profilePromptKind");
    m_promptKind->addItems({"Bundled: twelve domains", "Text", "File"});
    m_text->setPlaceholderText("The text that the model continues");
    m_text->setTabChangesFocus(true);
    m_text->setFixedHeight(3 * m_text->fontMetrics().lineSpacing() + 12);
    m_file->setPlaceholderText("One prompt a line, or JSON Lines with “prompt” and “label”");
    auto* browse = new QPushButton("Browse…", this);
    connect(browse, &QPushButton::clicked, this, [this] {
        const QString file =
            QFileDialog::getOpenFileName(this, "Choose a prompt file", {}, "Prompts (*.txt *.jsonl);;All files (*)");
        if (!file.isEmpty()) m_file->setText(file);
    });
    auto* bundled =
        new QLabel("C++, a dictionary, scripture, Spanish…: twelve short prompts with their domains as labels.", this);
    bundled->setWordWrap(true);
    bundled->setAlignment(Qt::AlignLeft | Qt::AlignTop);
    bundled->setContentsMargins(0, 5, 0, 0);
    m_promptInput->addWidget(bundled);
    m_promptInput->addWidget(m_text);
    m_promptInput->addWidget(inARow({m_file, browse}, 0));
    connect(m_promptKind, &QComboBox::currentIndexChanged, m_promptInput, &QStackedWidget::setCurrentIndex);
    connect(m_promptKind, &QComboBox::currentIndexChanged, this, &ProfileDialog::check);
    connect(m_text, &QPlainTextEdit::textChanged, this, &ProfileDialog::check);
    connect(m_file, &QLineEdit::textChanged, this, &ProfileDialog::check);
    auto* holder = inARow({m_promptKind, m_promptInput}, 1);
    holder->layout()->setAlignment(m_promptKind, Qt::AlignTop);
    return holder;
}

QWidget* ProfileDialog::makePolicies() {
    // There are more of them than a dialog is tall.
    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setMinimumHeight(kPoliciesHeight);
    scroll->setAccessibleName("Policies");
    auto* holder = new QWidget(scroll);
    scroll->setWidget(holder);
    auto* grid = new QGridLayout(holder);
    grid->setContentsMargins(6, 4, 6, 4);
    grid->setColumnStretch(2, 1);
    int at = 0;
    for (const PolicyInfo& info : policyCatalogue()) {
        auto* box = new QCheckBox(QString::fromStdString(info.name), holder);
        box->setObjectName("policy_" + QString::fromStdString(info.name));
        box->setChecked(first_run::kPolicies.contains(box->text()));
        auto* summary = new QLabel(QString::fromStdString(info.summary), holder);
        summary->setWordWrap(true);
        QStringList more;
        if (!info.source.empty()) more << "Source: " + QString::fromStdString(info.source);
        if (!info.needs.empty()) more << "Needs " + QString::fromStdString(info.needs);
        if (!info.parameters.empty()) more << "Parameters: " + QString::fromStdString(info.parameters);
        summary->setToolTip(more.join('\n'));
        grid->addWidget(box, at, 0);
        grid->addWidget(badge(info.exact, holder), at, 1);
        grid->addWidget(summary, at++, 2);
        connect(box, &QCheckBox::toggled, this, &ProfileDialog::check);
        m_policies[info.name] = box;
    }
    return scroll;
}

QWidget* ProfileDialog::makeRecord() {
    auto* holder = new QWidget(this);
    auto* layout = new QHBoxLayout(holder);
    layout->setContentsMargins(0, 0, 0, 0);
    for (const RecordChoice& choice : kRecordChoices) {
        auto* box = new QCheckBox(choice.text, holder);
        box->setChecked(true);
        box->setToolTip(choice.cost);
        // Without routing no view has anything to show.
        box->setEnabled(std::string_view(choice.name) != "routing");
        layout->addWidget(box);
        m_record[choice.name] = box;
    }
    layout->addStretch(1);
    return holder;
}

QWidget* ProfileDialog::makeSessionRow() {
    m_session->setObjectName("profileSession");
    try {
        m_session->setText(newSessionPath("demo"));
    } catch (const Error& error) { m_session->setPlaceholderText(QString::fromUtf8(error.what())); }
    connect(m_session, &QLineEdit::textChanged, this, &ProfileDialog::check);
    m_session->setToolTip("Where the runs are recorded; they are added where the file exists.");
    return sessionRow(*m_session, "Record to");
}

QWidget* ProfileDialog::makeButtons() {
    auto* copy = new QPushButton("Copy as command", this);
    m_start->setObjectName("profileStart");
    connect(copy, &QPushButton::clicked, this, [this] { QGuiApplication::clipboard()->setText(job().commandLine()); });
    return dialogButtons(*this, *copy, *m_start, [this] {
        const ProfileJob chosen = job();
        close();
        emit startRequested(chosen);
    });
}

void ProfileDialog::askForModel() {
    m_facts.reset();
    m_modelProblem.clear();
    m_modelFacts->setText("Looking at the model…");
    m_budget->clearScale();
    // Connected late, so that a dialog without an event loop is never answered half-built.
    connect(&m_loader, &ModelLoader::looked, this, &ProfileDialog::showModel, Qt::UniqueConnection);
    m_lookedAt = m_model->currentText().trimmed();
    m_loader.look(m_lookedAt);
    check();
}

void ProfileDialog::showModel(const QString&, const ModelLook& look) {
    m_facts = look.facts;
    m_modelProblem = look.problem;
    m_modelFacts->setText(m_facts ? describeModel(*m_facts) : m_modelProblem);
    if (m_facts) m_budget->setScale(BudgetScale(*m_facts), kFirstShare);
    updatePolicies();
}

void ProfileDialog::askForPrepared() {
    m_preparedFile = m_preparedInput->currentText().trimmed();
    m_prepared = {};
    if (m_preparedFile.isEmpty()) {
        m_preparedLoader.forget();
    } else {
        connect(&m_preparedLoader, &PreparedLoader::looked, this, &ProfileDialog::showPrepared, Qt::UniqueConnection);
        m_preparedLoader.look(m_preparedFile);
    }
    updatePolicies();
}

void ProfileDialog::showPrepared(const PreparedLook& look) {
    m_prepared = look;
    updatePolicies();
}

/// What the model and the prepared data together make possible.
void ProfileDialog::updatePolicies() {
    m_preparedUse = m_facts && m_prepared.data ? useOf(*m_prepared.data, *m_facts) : PreparedUse{};
    const bool looking = !m_preparedFile.isEmpty() && !m_prepared.data && m_prepared.problem.isEmpty();
    // What is wrong with them is said beside Start.
    m_preparedFacts->setText(looking ? "Looking at the prepared data…"
                             : m_facts && m_prepared.data && m_preparedUse.problem.isEmpty()
                                 ? describePrepared(*m_prepared.data, m_preparedUse)
                                 : QString());
    m_preparedFacts->setVisible(!m_preparedFacts->text().isEmpty());
    for (const PolicyInfo& info : policyCatalogue()) {
        if (!info.needsPreGates) continue;
        const bool possible = m_facts && (m_facts->hasPreGates || m_preparedUse.hasPreGates);
        QCheckBox* box = m_policies.at(info.name);
        box->setEnabled(possible);
        if (!possible && !looking) box->setChecked(false);
        box->setToolTip(possible ? QString()
                                 : "Needs pre-gates, which this checkpoint does not have: fit them with “expertscope "
                                   "prepare --for pre-gated” and choose the file under Prepared data.");
    }
    check();
}

ProfileJob ProfileDialog::job() const {
    ProfileJob job;
    job.model = m_model->currentText().trimmed();
    job.promptSource =
        m_promptKind->currentIndex() == kText ? ProfileJob::PromptSource::Text : ProfileJob::PromptSource::File;
    if (m_promptKind->currentIndex() == kText) job.prompt = m_text->toPlainText();
    if (m_promptKind->currentIndex() == kFile) job.prompt = m_file->text();
    if (m_promptKind->currentIndex() == kBundled) job.prompt = QString::fromStdString(bundledPrompts().string());
    for (const PolicyInfo& info : policyCatalogue()) {
        if (m_policies.at(info.name)->isChecked()) job.policies << QString::fromStdString(info.name);
    }
    job.eviction = m_eviction->currentText();
    QStringList budgets{m_budget->argument()};
    for (const QString& more : m_moreBudgets->text().split(',', Qt::SkipEmptyParts))
        if (const QString budget = more.trimmed(); !budget.isEmpty() && !budgets.contains(budget)) budgets << budget;
    job.budget = budgets.join(',');
    // A preset's text carries an explanation; what was typed is the link itself.
    const int preset = m_link->findText(m_link->currentText());
    job.link = preset >= 0 ? m_link->itemData(preset).toString() : m_link->currentText().trimmed();
    job.prepared = m_preparedInput->currentText().trimmed();
    job.tokens = m_tokens->value();
    job.record.clear();
    for (const RecordChoice& choice : kRecordChoices) {
        if (m_record.at(choice.name)->isChecked()) job.record << choice.name;
    }
    job.session = m_session->text().trimmed();
    return job;
}

QString ProfileDialog::problem() const {
    if (!m_modelProblem.isEmpty()) return m_modelProblem;
    if (!m_facts) return "The model is being looked at…";
    if (!m_prepared.problem.isEmpty()) return m_prepared.problem;
    if (!m_preparedUse.problem.isEmpty()) return m_preparedUse.problem;
    try {
        const ProfileJob chosen = job();
        if (!m_preparedFile.isEmpty() && !m_prepared.data) return "The prepared data are being looked at…";
        if (chosen.prompt.isEmpty()) return "There is no prompt: write a text or choose a file.";
        if (m_promptKind->currentIndex() == kFile && !QFileInfo(chosen.prompt).isFile()) {
            return QString("There is no file %1: choose another prompt file.").arg(chosen.prompt);
        }
        if (chosen.policies.isEmpty()) return "No policy is chosen: tick at least one.";
        if (chosen.session.isEmpty()) return "There is no session file: say where to record.";
        for (const QString& budget : chosen.budget.split(','))
            static_cast<void>(parseSize(budget.toStdString(), "the budget"));
        if (!chosen.link.isEmpty()) static_cast<void>(parseLink(chosen.link.toStdString()));
    } catch (const Error& error) { return QString::fromUtf8(error.what()); }
    return {};
}

void ProfileDialog::check() {
    const QString sentence = problem();
    m_problem->setText(sentence);
    m_start->setEnabled(sentence.isEmpty());
}

}  // namespace expertscope
