// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/base/deep_aggregates.h"
#include "profiler/analysis/deep/raw_capture.h"
#include "profiler/analysis/selected_norms.h"
#include "storage/session_reader.h"

namespace expertscope {

class JobControl;

/// What the norms view shows of one run, whichever token is looked at.
struct NormsRun {
    RunEntry run;
    std::filesystem::path session;
    SelectedNorms norms;
    std::vector<DeepLayer> deep;                         ///< by layer, of all experts; empty without a deep capture
    RawCapture raw;                                      ///< what was kept of single tokens
    std::pair<std::int32_t, std::int32_t> activeTokens;  ///< first and last of which activations were kept
    std::vector<std::string> texts;                      ///< of the tokens, by their index; empty where not recorded
    std::int32_t tokens = 0;                             ///< one more than the last that is known

    const ModelFacts& model() const { return run.description.model; }
    /// Of a layer that the deep capture took; null otherwise.
    const DeepLayer* deepLayer(std::int32_t layer) const;
    /// `layer`, unless activations were kept of other layers only: then the first of those.
    std::int32_t layerToShow(std::int32_t layer) const;
    /// "token 12 “ word”"
    QString tokenName(std::int32_t token) const;
};

/// A norm and the weight or score that goes with it.
struct NormOfExpert {
    std::int32_t expert = 0;
    double norm = 0, score = 0;
    bool chosen = true;
};

/// What the experts that one token chose made of it.
struct NormsOfToken {
    std::int32_t token = 0;
    std::vector<std::vector<NormOfExpert>> layers;  ///< each by falling weight
};

/// What every neuron of a layer's experts made of one token.
struct ActivationsOfToken {
    std::int32_t layer = 0, token = 0;
    std::optional<ActivationMap> map;  ///< nothing where the session does not have it
};

/// To be called off the UI thread. They throw Error where the session or the run cannot be read.
std::shared_ptr<const NormsRun> readNormsRun(const std::filesystem::path& session, RunId run,
                                             const JobControl& control);
std::shared_ptr<const NormsOfToken> findToken(const NormsRun& run, std::int32_t token, const JobControl& control);
std::shared_ptr<const ActivationsOfToken> findActivations(const NormsRun& run, std::int32_t layer, std::int32_t token,
                                                          const JobControl& control);

}  // namespace expertscope
