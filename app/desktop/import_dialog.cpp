// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/import_dialog.h"

#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QFileInfo>
#include <QFormLayout>
#include <QGroupBox>
#include <QGuiApplication>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSpinBox>
#include <QVBoxLayout>

#include "app/desktop/dialog_rows.h"
#include "engine/base/error.h"
#include "profiler/interchange/import_registry.h"

namespace expertscope {
namespace {

constexpr int kMostLayers = 4096, kMostExperts = 65'536;
constexpr const char* kAsTheFileSays = "as the file says";

QString textOf(std::string_view words) { return QString::fromUtf8(words.data(), static_cast<qsizetype>(words.size())); }

QSpinBox* numberBox(const char* name, int most, const QString& meaning) {
    auto* box = new QSpinBox;
    box->setObjectName(name);
    box->setRange(0, most);
    box->setSpecialValueText(kAsTheFileSays);
    box->setToolTip(meaning);
    return box;
}

}  // namespace

ImportDialog::ImportDialog(const QString& file, QWidget* parent)
    : QDialog(parent),
      m_file(QFileInfo(file).absoluteFilePath()),
      m_format(new QComboBox(this)),
      m_recognised(new QLabel(this)),
      m_session(new QLineEdit(this)),
      m_sessionFacts(new QLabel(this)),
      m_leaveOutWarmUp(new QCheckBox("Leave out what looks like an engine's warm-up", this)),
      m_modelName(new QLineEdit(this)),
      m_layers(numberBox("importLayers", kMostLayers, "Layers with experts (--layers)")),
      m_experts(numberBox("importExperts", kMostExperts, "Experts of a layer (--experts)")),
      m_topK(numberBox("importTopK", kMostExperts, "Experts of a token in a layer (--top-k)")),
      m_expertBytes(new QLineEdit(this)),
      m_problem(new QLabel(this)),
      m_copy(new QPushButton("Copy as command", this)),
      m_import(new QPushButton("Import", this)) {
    setObjectName("importDialog");
    setWindowTitle("Import what another tool recorded");
    setAttribute(Qt::WA_DeleteOnClose);
    m_format->setObjectName("importFormat");
    m_format->addItem("recognise it", QString("auto"));
    for (const ImportFormat& format : importFormats())
        m_format->addItem(textOf(format.name) + ": " + textOf(format.what), textOf(format.name));
    m_recognised->setObjectName("importRecognised");
    m_recognised->setWordWrap(true);
    m_leaveOutWarmUp->setObjectName("importLeaveOutWarmUp");
    m_leaveOutWarmUp->setChecked(true);
    m_leaveOutWarmUp->setToolTip(
        "Serving engines begin with thousands of dummy tokens that all route alike. Sixteen or more tokens in a row "
        "with the same experts in every layer are left out; how many rows these were is told.");

    auto* name = new QLabel(m_file, this);
    name->setTextInteractionFlags(Qt::TextSelectableByMouse);
    name->setWordWrap(true);
    auto* form = new QFormLayout;
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    form->addRow("File", name);
    form->addRow("Format", m_format);
    form->addRow("", m_recognised);
    form->addRow("Session", makeSessionRow());
    form->addRow("Warm-up", m_leaveOutWarmUp);
    auto* layout = new QVBoxLayout(this);
    layout->addLayout(form);
    layout->addWidget(makeModelBox());
    layout->addStretch(1);
    m_problem->setObjectName("importProblem");
    m_problem->setWordWrap(true);
    layout->addWidget(m_problem);
    layout->addWidget(makeButtons());
    resize(720, 460);
    connect(m_format, &QComboBox::currentIndexChanged, this, &ImportDialog::recognise);
    recognise();
}

QWidget* ImportDialog::makeSessionRow() {
    m_session->setObjectName("importSession");
    m_session->setText(sessionBeside(m_file));
    m_sessionFacts->setObjectName("importSessionFacts");
    connect(m_session, &QLineEdit::textChanged, this, &ImportDialog::check);
    auto* holder = new QWidget(this);
    auto* layout = new QVBoxLayout(holder);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(sessionRow(*m_session, "Write the session to"));
    layout->addWidget(m_sessionFacts);
    return holder;
}

QWidget* ImportDialog::makeModelBox() {
    auto* box = new QGroupBox("Of the model, where the file does not say it", this);
    auto* form = new QFormLayout(box);
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    m_modelName->setObjectName("importModelName");
    m_modelName->setPlaceholderText(kAsTheFileSays);
    m_modelName->setToolTip("Name of the model (--model-name)");
    m_expertBytes->setObjectName("importExpertBytes");
    m_expertBytes->setPlaceholderText("as the file says, else 1 byte: budgets then count experts");
    m_expertBytes->setToolTip("Size of one expert, such as 6.75MiB (--expert-bytes)");
    connect(m_expertBytes, &QLineEdit::textChanged, this, &ImportDialog::check);
    form->addRow("Name", m_modelName);
    form->addRow("Layers", inARow({m_layers, new QLabel("Experts"), m_experts, new QLabel("Top-k"), m_topK}, -1));
    form->addRow("Size of an expert", m_expertBytes);
    return box;
}

QWidget* ImportDialog::makeButtons() {
    m_import->setObjectName("importStart");
    connect(m_copy, &QPushButton::clicked, this,
            [this] { QGuiApplication::clipboard()->setText(request().commandLine()); });
    return dialogButtons(*this, *m_copy, *m_import, [this] {
        const ImportRequest chosen = request();
        close();
        emit importRequested(chosen);
    });
}

/// Looks at the beginning of the file, off the UI thread: it may be on a slow disk, or compressed.
void ImportDialog::recognise() {
    const std::string format = m_format->currentData().toString().toStdString();
    m_recognised->setText("Looking at the file…");
    m_unknown = "The file is being looked at…";
    check();
    m_look.start([this, file = m_file.toStdString(), format](const JobControl&) -> BackgroundJob::Taker {
        QString found, unknown;
        try {
            const ImportFormat& known = importFormat(format, file);
            found = (format == "auto" ? "Recognised: " : "Taken as ") + textOf(known.name) + ", " + textOf(known.what);
        } catch (const Error& error) { unknown = QString::fromUtf8(error.what()); }
        return [this, found, unknown] {
            m_recognised->setText(found);
            m_recognised->setVisible(!found.isEmpty());
            m_unknown = unknown;
            check();
        };
    });
}

ImportRequest ImportDialog::request() const {
    ImportRequest request;
    request.file = m_file;
    const QString session = m_session->text().trimmed();
    request.session = session.isEmpty() ? session : QFileInfo(session).absoluteFilePath();
    request.format = m_format->currentData().toString();
    request.options.keepWarmUp = !m_leaveOutWarmUp->isChecked();
    request.options.modelName = m_modelName->text().trimmed().toStdString();
    request.options.layers = m_layers->value();
    request.options.experts = m_experts->value();
    request.options.topK = m_topK->value();
    request.options.expertBytes = expertBytesOf(m_expertBytes->text().trimmed().toStdString(), "The size");
    return request;
}

QString ImportDialog::problem() const {
    if (!m_unknown.isEmpty()) return m_unknown;
    try {
        const ImportRequest chosen = request();
        if (chosen.session.isEmpty()) return "The session has no name: say where to write it.";
        if (chosen.session == m_file)
            return "The session would overwrite the file that is imported: choose another name.";
    } catch (const Error& error) { return QString::fromUtf8(error.what()); }
    return {};
}

void ImportDialog::check() {
    const QString wrong = problem();
    m_problem->setText(wrong);
    m_problem->setVisible(!wrong.isEmpty());
    m_copy->setEnabled(wrong.isEmpty());
    m_import->setEnabled(wrong.isEmpty());
    const QString session = m_session->text().trimmed();
    m_sessionFacts->setText(QFileInfo::exists(session)
                                ? "There is such a session: the import becomes another run of it."
                                : "A new session.");
}

}  // namespace expertscope
