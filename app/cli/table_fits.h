// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/model_argument.h"
#include "engine/inference/engine.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {

/// What a fit to a model is made of, and how it went.
struct TableFit {
    PreparedData data;
    std::string report;  ///< lines for a person: how good the fit is
};

/// Whether the policy's tables are fitted to the model itself, which is run for them, rather than counted in a session.
bool isFitted(std::string_view policy);

/// Fits what the policy needs to the model's own continuations of `prompts`. `options` says where experts are (an exact
/// policy). `progress` gets a sentence at each stage.
TableFit fitTables(std::string_view policy, const LoadedModel& model,
                   std::span<const std::vector<std::int32_t>> prompts, const EngineOptions& options,
                   const std::function<void(const std::string&)>& progress);

}  // namespace expertscope
