// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/prepared_file.h"

#include <QPromise>
#include <QThreadPool>
#include <algorithm>

#include "engine/base/error.h"
#include "engine/offload/policy_registry.h"
#include "engine/offload/pre_gate_table.h"

namespace expertscope {
namespace {

/// Throws BadInputError where a fitted pre-gate has another shape than the model's routers.
bool hasFittedPreGates(const PreparedData& data, const ModelFacts& model) {
    bool all = model.layers > 1;
    for (int layer = 0; layer + 1 < model.layers; ++layer) {
        const std::string name = preGateTable(1, LayerIndex(layer));
        if (data.find(name))
            static_cast<void>(data.table(name, {model.experts, model.hidden}));
        else
            all = false;
    }
    return all;
}

bool serves(const PreparedData& data, const PolicyInfo& policy, bool preGates) {
    const auto isThere = [&](const std::string& table) { return data.find(table) != nullptr; };
    if (policy.needsPreGates) return preGates;
    if (!policy.prepared.empty()) return std::ranges::all_of(policy.prepared, isThere);
    return std::ranges::any_of(policy.startsFrom, isThere);
}

PreparedLook read(const QString& file) {
    try {
        return {.data = std::make_shared<const PreparedData>(PreparedData::load(file.toStdString())), .problem = {}};
    } catch (const std::exception& error) { return {.data = nullptr, .problem = QString::fromUtf8(error.what())}; }
}

}  // namespace

PreparedUse useOf(const PreparedData& data, const ModelFacts& model) {
    PreparedUse use;
    try {
        data.requireModel(model.fingerprint, model.name);
        use.hasPreGates = hasFittedPreGates(data, model);
    } catch (const Error& error) {
        use.problem = QString::fromUtf8(error.what());
        return use;
    }
    for (const PolicyInfo& policy : policyCatalogue())
        if (serves(data, policy, use.hasPreGates)) use.policies << QString::fromStdString(policy.name);
    return use;
}

QString describePrepared(const PreparedData& data, const PreparedUse& use) {
    const QString tables =
        QString("%1 tables of the model '%2'").arg(data.tables().size()).arg(QString::fromStdString(data.modelName()));
    return use.policies.isEmpty() ? "Serves no policy of this program · " + tables
                                  : "Serves " + use.policies.join(", ") + " · " + tables;
}

PreparedLoader::PreparedLoader(QObject* parent) : QObject(parent) {
    connect(&m_watcher, &QFutureWatcher<PreparedLook>::finished, this, [this] {
        if (m_watcher.future().resultCount() > 0) emit looked(m_watcher.result());
    });
}

void PreparedLoader::look(const QString& file) {
    auto promise = std::make_shared<QPromise<PreparedLook>>();
    // Watching another future drops the answer to an older question.
    m_watcher.setFuture(promise->future());
    promise->start();
    QThreadPool::globalInstance()->start([promise, file] {
        promise->addResult(read(file));
        promise->finish();
    });
}

void PreparedLoader::forget() { m_watcher.setFuture({}); }

}  // namespace expertscope
