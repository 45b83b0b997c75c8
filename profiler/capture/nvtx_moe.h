// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The convention of docs/NVTX.md, by which any engine tells its model and its routers' choices through NVTX.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {

class NvtxSchema;

/// What one layer chose for one token or several that follow each other.
struct MoeSelect {
    std::int64_t layer = -1;
    std::int64_t token = -1;                         ///< of the first row; -1: the step's next ones
    std::int64_t step = -1;                          ///< -1: to be found out
    std::vector<std::vector<std::int64_t>> experts;  ///< [tokens][k]
    std::vector<std::vector<double>> weights;        ///< the same shape, or empty
};

/// What is said of the model; what is not said is 0 or empty.
struct MoeModel {
    std::string name;
    std::int64_t layers = 0, experts = 0, topK = 0, expertBytes = 0;
};

/// Whether a message or a schema's name is of the convention.
bool isMoeMessage(std::string_view text);

/// What a message `moe.select …` or `moe.model …` says; nothing, and why in `fault`, where it does not say it rightly.
struct MoeMessage {
    std::optional<MoeSelect> select;
    std::optional<MoeModel> model;
    std::string fault;
};
MoeMessage parseMoeMessage(std::string_view text);
/// The same from an extended payload of a schema that is called moe.select.
MoeMessage readMoePayload(const NvtxSchema& schema, std::string_view payload);

}  // namespace expertscope
