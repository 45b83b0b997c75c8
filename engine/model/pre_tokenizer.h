// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/model/split_pattern.h"

namespace expertscope {

/// Cuts normalised text into the pieces that byte-pair encoding must not merge across.
class PreTokenizer {
public:
    /// Reads "pre_tokenizer" of a tokenizer.json: ByteLevel, Split by a pattern or a text whose matches become pieces
    /// of their own, or a Sequence of these that has a ByteLevel. Throws BadInputError naming `file` and what else it
    /// found.
    PreTokenizer(const nlohmann::json& description, const std::string& file);

    /// The pieces of `text` (well-formed UTF-8) in order; none is empty. Throws FailedError when a pattern of the file
    /// needs more steps on this text than the matcher allows.
    std::vector<std::string> split(std::string_view text) const;

private:
    /// Every piece that does not begin with a space gets one.
    struct PrefixSpace {};
    using Stage = std::variant<SplitPattern, PrefixSpace>;

    void add(const nlohmann::json& description, const std::string& file, int depth);
    void addSplit(const nlohmann::json& description, const std::string& file);
    void addByteLevel(const nlohmann::json& description, const std::string& file);

    std::vector<Stage> m_stages;
    bool m_hasByteLevel = false;
};

}  // namespace expertscope
