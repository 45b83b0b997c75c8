// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/model_loader.h"

#include <QPromise>
#include <QThreadPool>

#include "app/resource_paths.h"
#include "engine/base/error.h"
#include "engine/model/checkpoint.h"
#include "views/base/number_format.h"

namespace expertscope {
namespace {

ModelLook lookAt(const QString& model) {
    try {
        const Checkpoint checkpoint = Checkpoint::open(resolveModel(model.toStdString()));
        return {.facts = std::make_shared<const ModelFacts>(checkpoint.facts()), .problem = {}};
    } catch (const Error& error) {
        return {.facts = nullptr, .problem = QString::fromUtf8(error.what())};
    } catch (const std::exception& error) {
        return {.facts = nullptr, .problem = QString("The model could not be read: %1.").arg(error.what())};
    }
}

}  // namespace

ModelLoader::ModelLoader(QObject* parent) : QObject(parent) {
    connect(&m_watcher, &QFutureWatcher<ModelLook>::finished, this,
            [this] { emit looked(m_asked, m_watcher.result()); });
}

void ModelLoader::look(const QString& model) {
    m_asked = model;
    auto promise = std::make_shared<QPromise<ModelLook>>();
    // Watching another future drops the answer to an older question.
    m_watcher.setFuture(promise->future());
    promise->start();
    QThreadPool::globalInstance()->start([promise, model] {
        promise->addResult(lookAt(model));
        promise->finish();
    });
}

QString describeModel(const ModelFacts& facts) {
    return QString("%1 · %2 layers × %3 experts, top %4 · %5 of experts, %6 each · context %7%8")
        .arg(QString::fromStdString(facts.family))
        .arg(facts.layers)
        .arg(facts.experts)
        .arg(facts.topK)
        .arg(bytesText(facts.totalExpertBytes), bytesText(facts.expertBytes), countText(facts.context),
             facts.hasPreGates ? " · with pre-gates" : "");
}

}  // namespace expertscope
