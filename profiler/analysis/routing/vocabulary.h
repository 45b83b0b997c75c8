// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// Which token id a choice is counted under.
enum class TokenRole {
    Input,      ///< the token that was routed
    Predicted,  ///< what the model went on to say: the next token, where it was generated
    Next,       ///< what the prompt goes on with: the next token, where it is of the prompt too
};

/// How often tokens of one id chose one expert in one layer.
struct VocabularyCell {
    std::int32_t id = 0;
    std::int32_t expert = 0;
    std::int64_t count = 0;   ///< N_{x,e}
    std::int64_t tokens = 0;  ///< N_x: tokens of this id that the layer routed
    double share() const { return static_cast<double>(count) / static_cast<double>(tokens); }
};

/// Every pair of id and expert that occurs, by id, then expert; ids seen fewer than `least` times are left out, and
/// tokens whose id in this role is not known. O(assignments + tokens log tokens). Source: OLMoE (arXiv 2409.02060) §5,
/// VS(e, x) = N_{x,e} / N_x.
std::vector<VocabularyCell> vocabularyCells(const RunRouting& routing, std::int32_t layer, TokenRole role,
                                            std::int32_t least);

/// One layer's specialisation to token ids.
struct VocabularySpecialisation {
    LayerIndex layer;
    TokenRole role = TokenRole::Input;
    std::int64_t ids = 0, tokens = 0;  ///< that were counted
    double meanMaxShare = 0;           ///< mean over ids of the greatest share of one expert; NaN without ids
    double shuffled = 0;               ///< the same with the ids dealt out to the tokens at random, mean of 4
};
std::vector<VocabularySpecialisation> vocabularySpecialisation(const RunRouting& routing, std::int32_t least = 10);

AnalysisInfo vocabularyAnalysis();
AnalysisInfo vocabularyTokensAnalysis();

}  // namespace expertscope
