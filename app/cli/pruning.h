// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/deep_aggregates.h"
#include "engine/base/ids.h"
#include "engine/model/checkpoint.h"

namespace expertscope {

/// "reap:4", "frequency:12:global": the experts that a score puts last.
struct Pruning {
    std::string text;  ///< as it was written
    std::string score;
    int count = 0;        ///< experts of each layer, or of the whole model
    bool global = false;  ///< over all layers, never more of one than leaves those that a token needs
};
/// The items of --prune. Throws UsageError for what is none, and for scores that do not exist (naming those that do).
std::vector<Pruning> parsePrunings(const std::string& list);

/// Says which experts of a checkpoint a pruning removes. Scores of a run (those of `analyze --what importance`) come
/// from its deep capture; those of weights (distinctness, router_norm, weight_norm, stable_rank) from the checkpoint;
/// `random` needs neither and is what any score should beat.
class Pruner {
public:
    /// `scores`: SESSION or SESSION:RUN with a deep capture of this model; empty: none. Throws BadInputError where
    /// there is none, or it is another model's.
    Pruner(const Checkpoint& checkpoint, const std::string& scores);

    /// By layer and expert. Throws UsageError where the score needs a session that was not given, or a layer was not
    /// captured, or fewer experts would be left than a token needs.
    std::vector<ExpertRef> removed(const Pruning& pruning) const;

private:
    std::vector<std::vector<double>> valuesOf(const std::string& score) const;

    const Checkpoint& m_checkpoint;
    std::optional<DeepAggregates> m_deep;
};

}  // namespace expertscope
