// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/deep_sink.h"

namespace expertscope {

/// Adds raw vectors of a run's deep capture to its session (table `deep_vector`, docs/FORMAT.md) in one short
/// transaction that waits up to 10 s for a recorder's. Throws FailedError where the session cannot be written,
/// BadInputError where the file is none.
void keepDeepVectors(const std::filesystem::path& session, RunId run, const DeepRawBlock& block);

/// One kind of vector of a layer; its rows are the tokens that the capture took, in order.
struct DeepVectors {
    LayerIndex layer;
    std::string name;  ///< tokens (int32), inputs, after, logits, weights, outputs, activations (float32)
    std::int64_t rows = 0, columns = 0;
};

/// Those of a run, by layer and name; empty where its vectors were not kept. Throws BadInputError where the file is no
/// session or a block's bytes are not as many as its shape says.
std::vector<DeepVectors> deepVectors(const std::filesystem::path& session, RunId run);
/// Gives the little-endian bytes of one kind, block by block, in order of the tokens.
void eachDeepVectorBlock(const std::filesystem::path& session, RunId run, LayerIndex layer, const std::string& name,
                         const std::function<void(std::string_view)>& take);
/// All of one kind that is float32, [rows, columns].
std::vector<float> deepVectorValues(const std::filesystem::path& session, RunId run, LayerIndex layer,
                                    const std::string& name);

/// The tokens that a layer's vectors are of, in order: their indices in the run.
std::vector<std::int32_t> deepVectorTokens(const std::filesystem::path& session, RunId run, LayerIndex layer);
/// One token's vector of one kind that is float32, [columns]; empty where there is none. Reads the block that it is in.
std::vector<float> deepVectorOf(const std::filesystem::path& session, RunId run, LayerIndex layer, TokenIndex token,
                                const std::string& name);

}  // namespace expertscope
