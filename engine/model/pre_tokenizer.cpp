// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/pre_tokenizer.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/model/json_text.h"

namespace expertscope {

namespace {

using nlohmann::json;

/// How GPT-2 splits; ByteLevel means this pattern when it says use_regex.
constexpr const char* kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr int kMaxNesting = 8;

[[noreturn]] void unsupported(const std::string& file, const std::string& what) {
    throw BadInputError(
        fmt::format("{} has {}, which is not supported; ExpertScope reads byte-level BPE tokenizers with "
                    "the pre-tokenizers ByteLevel, Split and Sequence",
                    file, what));
}

}  // namespace

PreTokenizer::PreTokenizer(const json& description, const std::string& file) {
    add(description, file, 0);
    if (!m_hasByteLevel) unsupported(file, "no ByteLevel pre-tokenizer");
}

void PreTokenizer::add(const json& description, const std::string& file, int depth) {
    const std::string type = textAt(description, "type");
    if (type == "ByteLevel") return addByteLevel(description, file);
    if (type == "Split") return addSplit(description, file);
    const auto members = description.is_object() ? description.find("pretokenizers") : description.end();
    if (type != "Sequence" || members == description.end() || !members->is_array() || depth == kMaxNesting) {
        unsupported(file, fmt::format("the pre-tokenizer {}", type.empty() ? "of no type" : type));
    }
    for (const json& member : *members)
        add(member, file, depth + 1);
}

void PreTokenizer::addByteLevel(const json& description, const std::string& file) {
    m_hasByteLevel = true;
    if (flagAt(description, "add_prefix_space", true)) m_stages.emplace_back(PrefixSpace{});
    if (flagAt(description, "use_regex", true)) m_stages.emplace_back(SplitPattern(kGpt2Pattern, false, file));
}

void PreTokenizer::addSplit(const json& description, const std::string& file) {
    if (m_hasByteLevel) unsupported(file, "a Split behind a ByteLevel");
    const std::string behavior = textAt(description, "behavior");
    if (behavior != "Isolated" || flagAt(description, "invert", false)) {
        unsupported(file, fmt::format("a Split of the behaviour {}{}", behavior,
                                      flagAt(description, "invert", false) ? " (inverted)" : ""));
    }
    const auto pattern = description.find("pattern");
    for (const char* kind : {"Regex", "String"}) {
        if (pattern == description.end() || !pattern->is_object() || !pattern->contains(kind)) continue;
        m_stages.emplace_back(SplitPattern(textAt(*pattern, kind), kind == std::string_view("String"), file));
        return;
    }
    unsupported(file, "a Split without a pattern");
}

std::vector<std::string> PreTokenizer::split(std::string_view text) const {
    std::vector<std::string> pieces;
    if (text.empty()) return pieces;
    pieces.emplace_back(text);
    for (const Stage& stage : m_stages) {
        if (std::holds_alternative<PrefixSpace>(stage)) {
            for (std::string& piece : pieces) {
                if (piece.front() != ' ') piece.insert(piece.begin(), ' ');
            }
            continue;
        }
        std::vector<std::string> next;
        std::vector<std::string_view> cuts;
        for (const std::string& piece : pieces) {
            cuts.clear();
            std::get<SplitPattern>(stage).split(piece, cuts);
            next.insert(next.end(), cuts.begin(), cuts.end());
        }
        pieces = std::move(next);
    }
    return pieces;
}

}  // namespace expertscope
