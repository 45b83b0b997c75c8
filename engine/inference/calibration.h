// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/inference/engine.h"

namespace expertscope {

/// Text by which something is fitted to a model, or (held out) by which the fit is judged.
struct CalibrationText {
    std::vector<std::int32_t> ids;
    bool heldOut = false;
};

struct CalibrationLength {
    int tokens = 160;  ///< made for each prompt and round, as far as the context goes
    int rounds = 5;    ///< continuations of each prompt; those of the last are held out, without their prompt
};

/// Continues each prompt `rounds` times at temperature 1, with seeds 0, 1, …: the model's own text, on which it routes
/// as it does when it is used. `options` says where experts are (an exact policy).
std::vector<CalibrationText> calibrationTexts(const Checkpoint& checkpoint, const EngineOptions& options,
                                              std::span<const std::vector<std::int32_t>> prompts,
                                              const CalibrationLength& length);

/// exp of the mean negative log-probability of each token but the first of each text, the texts run as prompts.
/// What happens is told to `observer`.
double perplexity(const Checkpoint& checkpoint, const EngineOptions& options, std::span<const CalibrationText> texts,
                  Observer& observer);

std::vector<CalibrationText> heldOut(std::span<const CalibrationText> texts);

}  // namespace expertscope
