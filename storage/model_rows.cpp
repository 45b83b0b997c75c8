// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/model_rows.h"

#include <tuple>
#include <vector>

#include "storage/row_fields.h"
#include "storage/schema.h"

namespace expertscope {
namespace {

auto tied(const ModelFacts& m) {
    return std::tie(m.name, m.family, m.path, m.fingerprint, m.layers, m.experts, m.topK, m.hidden, m.vocabulary,
                    m.context, m.expertBytes, m.totalExpertBytes, m.hasPreGates, m.gateDiversity, m.layerExpertBytes);
}

/// Sessions made by earlier versions have no such table.
bool knowsLayerSizes(Database& database) {
    Statement known(database.handle(), "SELECT 1 FROM sqlite_master WHERE name='layer_expert_bytes'");
    return known.step();
}

void readLayerSizes(Database& database, std::int64_t modelId, ModelFacts& model) {
    if (!knowsLayerSizes(database)) return;
    Statement sizes(database.handle(), "SELECT expert_bytes FROM layer_expert_bytes WHERE model_id=? ORDER BY layer");
    sizes.bind(1, modelId);
    while (sizes.step())
        model.layerExpertBytes.push_back(Bytes(sizes.integer(0)));
}

void addLayerSizes(Database& database, std::int64_t modelId, const ModelFacts& model) {
    if (model.layerExpertBytes.empty()) return;
    if (!knowsLayerSizes(database)) database.execute(kLayerExpertBytesSql);
    Statement size(database.handle(), "INSERT INTO layer_expert_bytes(model_id, layer, expert_bytes) VALUES(?, ?, ?)");
    for (std::size_t i = 0; i < model.layerExpertBytes.size(); ++i) {
        size.bind(1, modelId);
        size.bind(2, static_cast<std::int64_t>(i));
        size.bind(3, model.layerExpertBytes[i].count());
        size.run();
    }
}

}  // namespace

ModelFacts readModel(Database& database, std::int64_t modelId) {
    ModelFacts model;
    Statement facts(database.handle(), "SELECT " + rowNames<ModelFacts>().names + " FROM model WHERE model_id=?");
    facts.bind(1, modelId);
    if (!facts.step()) throw SqliteError(SQLITE_CORRUPT, "model " + std::to_string(modelId) + " is missing");
    visitFields(RowReader{facts, 0}, model);
    Statement layers(database.handle(), "SELECT gate_diversity FROM model_layer WHERE model_id=? ORDER BY layer");
    layers.bind(1, modelId);
    while (layers.step()) {
        model.gateDiversity.push_back(static_cast<float>(layers.real(0)));
    }
    readLayerSizes(database, modelId, model);
    return model;
}

std::int64_t findOrAddModel(Database& database, const ModelFacts& model) {
    std::vector<std::int64_t> candidates;
    Statement same(database.handle(), "SELECT model_id FROM model WHERE fingerprint=?");
    same.bindText(1, model.fingerprint);
    while (same.step()) {
        candidates.push_back(same.integer(0));
    }
    for (const std::int64_t candidate : candidates) {
        if (tied(readModel(database, candidate)) == tied(model)) return candidate;
    }
    const RowNames names = rowNames<ModelFacts>();
    Statement insert(database.handle(), "INSERT INTO model(" + names.names + ") VALUES(" + names.marks + ")");
    visitFields(RowBinder{insert, 1}, model);
    insert.run();
    const std::int64_t modelId = sqlite3_last_insert_rowid(database.handle());
    Statement layer(database.handle(), "INSERT INTO model_layer(model_id, layer, gate_diversity) VALUES(?, ?, ?)");
    for (std::size_t i = 0; i < model.gateDiversity.size(); ++i) {
        layer.bind(1, modelId);
        layer.bind(2, static_cast<std::int64_t>(i));
        layer.bind(3, static_cast<double>(model.gateDiversity[i]));
        layer.run();
    }
    addLayerSizes(database, modelId, model);
    return modelId;
}

}  // namespace expertscope
