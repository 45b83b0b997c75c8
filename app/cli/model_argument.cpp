// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/model_argument.h"

#include <fmt/format.h>

#include "app/resource_paths.h"
#include "engine/base/error.h"
#include "profiler/analysis/gate_diversity.h"

namespace expertscope {

const Tokenizer& LoadedModel::needTokenizer(const std::string& whatElse) const {
    if (!tokenizer) {
        throw BadInputError(
            fmt::format("{} has no tokenizer (tokenizer.json): {}.", checkpoint.folder().string(), whatElse));
    }
    return *tokenizer;
}

ModelFacts LoadedModel::facts() const {
    ModelFacts facts = checkpoint.facts();
    const ModelConfig& config = checkpoint.config();
    for (int layer = 0; layer < config.layers; ++layer) {
        const std::vector<float> gate = checkpoint.readFloats(fmt::format("model.layers.{}.mlp.gate.weight", layer));
        facts.gateDiversity.push_back(static_cast<float>(gateDiversity(gate, config.experts, config.hidden)));
    }
    return facts;
}

LoadedModel loadModel(const std::string& model) {
    const std::filesystem::path folder = resolveModel(model);
    if (folder.extension() == ".gguf") {
        throw BadInputError(
            fmt::format("{} is a GGUF file, which this build does not read: give a safetensors checkpoint folder.",
                        folder.string()));
    }
    LoadedModel loaded{Checkpoint::open(folder), std::nullopt};
    if (Tokenizer::exists(folder)) loaded.tokenizer = Tokenizer::load(folder);
    const std::int32_t vocabulary = loaded.checkpoint.config().vocabulary;
    if (loaded.tokenizer && loaded.tokenizer->vocabularySize() > vocabulary) {
        throw BadInputError(
            fmt::format("The tokenizer in {} has {} tokens but the model only {}: put the model's own "
                        "tokenizer.json there.",
                        folder.string(), loaded.tokenizer->vocabularySize(), vocabulary));
    }
    return loaded;
}

}  // namespace expertscope
