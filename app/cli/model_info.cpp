// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/model_info.h"

#include <algorithm>
#include <iostream>
#include <vector>

#include <fmt/format.h>

#include "app/cli/model_argument.h"
#include "app/cli/output.h"

namespace expertscope {
namespace {

/// A budget that marks a step in how offloading behaves.
struct SuggestedBudget {
    std::string meaning;
    std::int64_t experts;
};

std::vector<SuggestedBudget> suggestedBudgets(const ModelFacts& facts) {
    const std::int64_t all = static_cast<std::int64_t>(facts.layers) * facts.experts;
    const std::int64_t token = static_cast<std::int64_t>(facts.layers) * facts.topK;
    return {{"one layer's demand", facts.topK},
            {"one token's demand: below it, lru keeps nothing from token to token", token},
            {"a quarter of the experts", std::max<std::int64_t>(all / 4, 1)},
            {"half of the experts", std::max<std::int64_t>(all / 2, 1)},
            {"all experts", all}};
}

std::int64_t tensorBytes(const Checkpoint& checkpoint) {
    std::int64_t bytes = 0;
    for (const TensorInfo& tensor : checkpoint.tensors().tensors())
        bytes += tensor.bytes;
    return bytes;
}

Json tokenizerJson(const LoadedModel& model) {
    if (!model.tokenizer) return nullptr;
    return {{"tokens", model.tokenizer->vocabularySize()},
            {"bos_id", model.tokenizer->bosId()},
            {"eos_id", model.tokenizer->eosId()},
            {"adds_bos", model.tokenizer->addBos()}};
}

Json budgetsJson(const ModelFacts& facts) {
    const double all = static_cast<double>(facts.layers) * facts.experts;
    Json budgets = Json::array();
    for (const SuggestedBudget& budget : suggestedBudgets(facts)) {
        budgets.push_back({{"meaning", budget.meaning},
                           {"bytes", budget.experts * facts.expertBytes.count()},
                           {"share", static_cast<double>(budget.experts) / all},
                           {"experts", budget.experts},
                           {"experts_per_layer", static_cast<double>(budget.experts) / facts.layers}});
    }
    return budgets;
}

Json layersJson(const LoadedModel& model, const ModelFacts& facts) {
    const ModelConfig& config = model.checkpoint.config();
    Json layers = Json::array();
    for (int layer = 0; layer < config.layers; ++layer) {
        layers.push_back({{"layer", layer},
                          {"experts", config.experts},
                          {"expert_bytes", config.experts * facts.expertBytes.count()},
                          {"pre_gate", config.preGates && layer + 1 < config.layers},
                          {"gate_diversity", finiteOrNull(facts.gateDiversity[static_cast<std::size_t>(layer)])}});
    }
    return layers;
}

Json modelInfoJson(const LoadedModel& model, const ModelFacts& facts) {
    const ModelConfig& config = model.checkpoint.config();
    const std::int64_t bytes = tensorBytes(model.checkpoint);
    return {{"kind", "model"},
            {"name", facts.name},
            {"family", facts.family},
            {"path", facts.path},
            {"fingerprint", facts.fingerprint},
            {"layers", facts.layers},
            {"experts", facts.experts},
            {"top_k", facts.topK},
            {"hidden", facts.hidden},
            {"heads", config.heads},
            {"kv_heads", config.kvHeads},
            {"head_dim", config.headDim},
            {"expert_width", config.expertWidth},
            {"vocabulary", facts.vocabulary},
            {"context", facts.context},
            {"pre_gates", facts.hasPreGates},
            {"tensors", model.checkpoint.tensors().tensors().size()},
            {"files", model.checkpoint.tensors().files().size()},
            {"bytes", bytes},
            {"expert_bytes", facts.expertBytes.count()},
            {"total_expert_bytes", facts.totalExpertBytes.count()},
            {"other_bytes", bytes - facts.totalExpertBytes.count()},
            {"token_demand_bytes", static_cast<std::int64_t>(facts.layers) * facts.topK * facts.expertBytes.count()},
            {"suggested_budgets", budgetsJson(facts)},
            {"per_layer", layersJson(model, facts)},
            {"tokenizer", tokenizerJson(model)}};
}

void printModelText(const LoadedModel& model, const ModelFacts& facts) {
    std::cout << fmt::format("{} ({}), {}\n", facts.name, facts.family, facts.path);
    std::cout << fmt::format("  {} layers x {} experts, {} chosen a token; hidden {}, vocabulary {}, context {}{}\n",
                             facts.layers, facts.experts, facts.topK, facts.hidden, facts.vocabulary, facts.context,
                             facts.hasPreGates ? "; with pre-gates" : "");
    const std::int64_t bytes = tensorBytes(model.checkpoint);
    std::cout << fmt::format("  {} tensors, {}; one expert {}, all experts {}, the rest {}\n",
                             model.checkpoint.tensors().tensors().size(), formatBytes(Bytes(bytes)),
                             formatBytes(facts.expertBytes), formatBytes(facts.totalExpertBytes),
                             formatBytes(Bytes(bytes) - facts.totalExpertBytes));
    std::cout << (model.tokenizer ? fmt::format("  tokenizer with {} tokens\n\n", model.tokenizer->vocabularySize())
                                  : std::string("  no tokenizer: run it with --prompt-ids\n\n"));
    const double all = static_cast<double>(facts.layers) * facts.experts;
    std::vector<std::vector<std::string>> rows{{"budget", "share", "experts", "what it is"}};
    for (const SuggestedBudget& budget : suggestedBudgets(facts)) {
        rows.push_back({formatBytes(facts.expertBytes * budget.experts),
                        fmt::format("{:.4g}%", 100 * static_cast<double>(budget.experts) / all),
                        std::to_string(budget.experts), budget.meaning});
    }
    std::cout << formatTable(rows);
}

}  // namespace

void printModelInfo(const std::string& name, bool json) {
    const LoadedModel model = loadModel(name);
    const ModelFacts facts = model.facts();
    json ? printJson(modelInfoJson(model, facts)) : printModelText(model, facts);
}

}  // namespace expertscope
