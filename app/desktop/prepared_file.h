// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QFutureWatcher>
#include <QObject>
#include <QString>
#include <QStringList>
#include <memory>

#include "engine/base/run_facts.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {

/// What a file of prepared data is to a model.
struct PreparedUse {
    QString problem;           ///< why it cannot be used with the model, as a sentence; empty when it can
    QStringList policies;      ///< that find in it what they need or start from, in the catalogue's order
    bool hasPreGates = false;  ///< fitted ones, one layer ahead of every layer but the last
};

/// Whether the data are of the model and of its shapes, and which policies they serve.
PreparedUse useOf(const PreparedData& data, const ModelFacts& model);

/// "Serves pre-gated and static · 14 tables of the model 'x'".
QString describePrepared(const PreparedData& data, const PreparedUse& use);

/// What became of reading a file of prepared data: the data, or a sentence that says why not.
struct PreparedLook {
    std::shared_ptr<const PreparedData> data;
    QString problem;
};

/// Reads files of prepared data (up to some gigabytes) off the window's thread; the newest question wins.
class PreparedLoader : public QObject {
    Q_OBJECT
public:
    explicit PreparedLoader(QObject* parent = nullptr);
    /// Answered by looked().
    void look(const QString& file);
    /// What is being read is no longer asked for.
    void forget();

signals:
    void looked(const PreparedLook& look);

private:
    QFutureWatcher<PreparedLook> m_watcher;
};

}  // namespace expertscope
