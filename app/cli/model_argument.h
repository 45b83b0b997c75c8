// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/checkpoint.h"
#include "engine/model/tokenizer.h"

namespace expertscope {

/// A MODEL of the command line, opened: a checkpoint with its tokenizer, where its folder has one.
struct LoadedModel {
    Checkpoint checkpoint;
    std::optional<Tokenizer> tokenizer;

    const Tokenizer* tokenizerOrNull() const { return tokenizer ? &*tokenizer : nullptr; }
    /// The tokenizer, or BadInputError with `whatElse` to do ("give token ids with --prompt-ids").
    const Tokenizer& needTokenizer(const std::string& whatElse) const;
    /// Checkpoint::facts() with the diversity of each layer's router rows.
    ModelFacts facts() const;
};

/// Opens a checkpoint folder or `demo`. Throws BadInputError also where the tokenizer has ids that the model lacks.
LoadedModel loadModel(const std::string& model);

}  // namespace expertscope
