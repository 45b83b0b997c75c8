// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/model_options.h"

#include <fmt/format.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

void takeOption(std::int32_t wanted, std::int32_t found, std::int32_t& told, const char* option, const char* what) {
    if (wanted == 0 && told == 0) told = found;
    if (wanted == 0) return;
    if (wanted < found)
        throw UsageError(fmt::format("{} {} is too few: the file holds {} {}.", option, wanted, found, what));
    told = wanted;
}

}  // namespace

ModelFacts completeModel(ModelFacts model, const ModelCounts& found, const ImportOptions& options,
                         std::vector<std::string>& notes) {
    if (model.experts == 0 && options.experts == 0)
        notes.push_back(
            fmt::format("The file does not say how many experts a layer has: {} is one more than the highest that was "
                        "chosen (--experts N tells it).",
                        found.experts));
    takeOption(options.layers, found.layers, model.layers, "--layers", "layers");
    takeOption(options.experts, found.experts, model.experts, "--experts", "experts");
    takeOption(options.topK, found.topK, model.topK, "--top-k", "experts for one token");
    if (!options.modelName.empty()) model.name = options.modelName;
    if (options.expertBytes.count() > 0) {
        model.expertBytes = options.expertBytes;
        model.layerExpertBytes.clear();
        model.totalExpertBytes = Bytes{};
    } else if (model.expertBytes.count() == 0) {
        model.expertBytes = Bytes(1);
        notes.emplace_back(
            "The file does not say how large an expert is: it counts as 1 byte, so that budgets and "
            "bytes count experts (--expert-bytes SIZE tells it).");
    }
    if (model.totalExpertBytes.count() == 0)
        model.totalExpertBytes = model.expertBytes * (std::int64_t{model.layers} * model.experts);
    if (model.fingerprint.empty())
        model.fingerprint = fmt::format("imported:{}:{}:{}:{}:{}", model.name, model.layers, model.experts, model.topK,
                                        model.expertBytes.count());
    return model;
}

}  // namespace expertscope
