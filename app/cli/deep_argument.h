// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/deep_aggregates.h"
#include "engine/model/checkpoint.h"

namespace expertscope {

/// The items of a --record list; parameters of `deep` that follow it after commas (deep:layers=0-3,tokens=0-63) are
/// put where they belong, behind colons. Throws UsageError for an empty item.
std::vector<std::string> recordItems(const std::string& list);

/// What a --record list says of a deep capture: "deep", "deep:layers=0-3:tokens=0-63:examples=8:raw=2GiB"; a range may
/// be one number. Nothing where it asks for none. Throws UsageError for parameters and ranges that cannot be.
std::optional<DeepCaptureOptions> parseDeepCapture(const std::string& list);

/// How much the raw vectors of `runs` runs of at most `tokens` positions each take, as a sentence; nothing where none
/// are asked for. Throws UsageError where that is more than the user allows.
std::optional<std::string> rawVectorsNote(const DeepCaptureOptions& deep, const ModelConfig& model, std::int64_t tokens,
                                          std::int64_t runs);

}  // namespace expertscope
