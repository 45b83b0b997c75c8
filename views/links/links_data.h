// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "profiler/analysis/routing/co_activation.h"
#include "profiler/analysis/routing/layer_similarity.h"
#include "profiler/analysis/routing/transitions.h"
#include "storage/session_reader.h"

namespace expertscope {

class JobControl;

/// What the links view shows of one run, whichever layer is looked at.
struct LinksRun {
    RunEntry run;
    std::filesystem::path session;
    std::shared_ptr<const RunRouting> routing;
    QString counted;                            ///< in a sentence
    std::vector<LayerSimilarity> similarities;  ///< of every two layers, by layer, then the other
    const ModelFacts& model() const { return run.description.model; }
};

/// Pairs and successors of one layer's experts.
struct LinksLayer {
    std::int32_t layer = 0;
    TransitionPairs pairs = TransitionPairs::First;
    CoActivation together;
    std::optional<Transitions> next;  ///< to the next layer; none from the last one
};

/// What one layer's choices say about the next one's.
struct LinksInformation {
    struct Row {
        std::int32_t from = 0, to = 0;  ///< layers
        std::int64_t tokens = 0;
        double bits = 0, shuffledBits = 0;  ///< mutual information less its bias; of choices paired at random
        double normalised = 0;              ///< part of the next choice that is known, 0…1; NaN: nothing to know
        double top = 0, shuffledTop = 0;    ///< what an expert's most frequent fifth of the successors take
    };
    TransitionPairs pairs = TransitionPairs::First;
    std::vector<Row> rows;
};

QString transitionPairsName(TransitionPairs pairs);

/// To be called off the UI thread. They throw Error where the session or the run cannot be read.
std::shared_ptr<const LinksRun> readLinksRun(const std::filesystem::path& session, RunId run,
                                             const JobControl& control);
std::shared_ptr<const LinksLayer> countLinks(const LinksRun& run, std::int32_t layer, TransitionPairs pairs,
                                             const JobControl& control);
std::shared_ptr<const LinksInformation> findInformation(const LinksRun& run, TransitionPairs pairs,
                                                        const JobControl& control);

}  // namespace expertscope
