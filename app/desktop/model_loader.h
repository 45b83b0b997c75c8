// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QFutureWatcher>
#include <QObject>
#include <QString>
#include <functional>
#include <memory>

#include "engine/base/run_facts.h"

namespace expertscope {

/// What became of looking at a model: its facts, or a sentence that says why not.
struct ModelLook {
    std::shared_ptr<const ModelFacts> facts;
    QString problem;
};

/// Reads a checkpoint's header and configuration off the window's thread; the newest question wins.
class ModelLoader : public QObject {
    Q_OBJECT
public:
    explicit ModelLoader(QObject* parent = nullptr);
    /// Asks for the facts of a MODEL as the command line takes it; answered by looked().
    void look(const QString& model);

signals:
    void looked(const QString& model, const ModelLook& look);

private:
    QString m_asked;
    QFutureWatcher<ModelLook> m_watcher;
};

/// "qwen3_moe · 8 layers × 32 experts, top 4 · 27 MiB of experts, 108 KiB each · with pre-gates".
QString describeModel(const ModelFacts& facts);

}  // namespace expertscope
