// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/model_rows.h"

#include <tuple>
#include <vector>

#include "storage/row_fields.h"

namespace expertscope {
namespace {

auto tied(const ModelFacts& m) {
    return std::tie(m.name, m.family, m.path, m.fingerprint, m.layers, m.experts, m.topK, m.hidden, m.vocabulary,
                    m.context, m.expertBytes, m.totalExpertBytes, m.hasPreGates, m.gateDiversity);
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
    return modelId;
}

}  // namespace expertscope
