// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/norms/norms_data.h"

#include <algorithm>
#include <cmath>

#include "profiler/analysis/deep/deep_session.h"
#include "views/base/background_job.h"
#include "views/base/number_format.h"
#include "views/base/run_analyses.h"

namespace expertscope {

const DeepLayer* NormsRun::deepLayer(std::int32_t layer) const {
    const auto found = std::ranges::find(deep, LayerIndex(layer), &DeepLayer::layer);
    return found != deep.end() && found->tokens > 0 ? &*found : nullptr;
}

std::int32_t NormsRun::layerToShow(std::int32_t layer) const {
    const std::vector<LayerIndex>& kept = raw.layers();
    return kept.empty() || std::ranges::find(kept, LayerIndex(layer)) != kept.end() ? layer : kept.front().value();
}

QString NormsRun::tokenName(std::int32_t token) const {
    QString name = QStringLiteral("token ") + countText(token);
    const auto at = static_cast<std::size_t>(token);
    if (at >= texts.size() || texts[at].empty()) return name;
    QString text = QString::fromUtf8(texts[at].data(), static_cast<qsizetype>(texts[at].size()));
    text.replace(QChar('\n'), QChar(0x23CE)).replace(QChar('\t'), QChar(0x21E5));
    return name + QStringLiteral(" “%1”").arg(text);
}

std::shared_ptr<const NormsRun> readNormsRun(const std::filesystem::path& session, RunId run,
                                             const JobControl& control) {
    const SessionReader reader(session);
    const RunEntry entry = reader.run(run);
    auto made = std::make_shared<NormsRun>(NormsRun{.run = entry,
                                                    .session = session,
                                                    .norms = SelectedNorms(entry.description.model),
                                                    .deep = {},
                                                    .raw = RawCapture(session, run),
                                                    .activeTokens = {},
                                                    .texts = {}});
    readRecords(reader, entry, control, [&](const RecordBatch& batch) {
        made->norms.add(batch.selections);
        for (const SelectionRecord& selection : batch.selections)
            made->tokens = std::max(made->tokens, selection.token.value() + 1);
        for (const TokenRecord& token : batch.tokens) {
            if (token.token.value() < 0) continue;
            if (token.token.index() >= made->texts.size()) made->texts.resize(token.token.index() + 1);
            made->texts[token.token.index()] = token.bytes;
        }
    });
    made->norms.finish();
    if (auto deep = readDeepCapture(session, run)) made->deep = std::move(deep->layers);
    if (!made->raw.layers().empty()) {
        const std::vector<std::int32_t> tokens = made->raw.tokens(made->raw.layers().front());
        made->activeTokens = {tokens.front(), tokens.back()};
    }
    return made;
}

std::shared_ptr<const NormsOfToken> findToken(const NormsRun& run, std::int32_t token, const JobControl& control) {
    auto made = std::make_shared<NormsOfToken>();
    made->token = token;
    made->layers.resize(static_cast<std::size_t>(run.model().layers));
    const SessionReader reader(run.session);
    readRecords(reader, run.run, control, [&](const RecordBatch& batch) {
        for (const SelectionRecord& selection : batch.selections) {
            if (selection.token.value() != token || selection.action == SelectionAction::Dropped) continue;
            if (selection.layer.value() < 0 || selection.layer.index() >= made->layers.size()) continue;
            made->layers[selection.layer.index()].push_back({.expert = selection.expert.value(),
                                                             .norm = static_cast<double>(selection.norm),
                                                             .score = static_cast<double>(selection.weight)});
        }
    });
    for (auto& layer : made->layers)
        std::ranges::stable_sort(layer, std::ranges::greater{}, &NormOfExpert::score);
    return made;
}

std::shared_ptr<const ActivationsOfToken> findActivations(const NormsRun& run, std::int32_t layer, std::int32_t token,
                                                          const JobControl& control) {
    control.at(QStringLiteral("Reading a token's activations…"));
    return std::make_shared<const ActivationsOfToken>(
        ActivationsOfToken{layer, token, run.raw.activations(LayerIndex(layer), TokenIndex(token))});
}

}  // namespace expertscope
