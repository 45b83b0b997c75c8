// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace expertscope::test {

/// A byte as byte-level vocabularies write it: printable Latin-1 as itself, the others from U+0100 on.
inline std::string byteCharacter(unsigned byte) {
    const auto printable = [](unsigned b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; };
    unsigned codePoint = byte;
    if (!printable(byte)) {
        codePoint = 256;
        for (unsigned b = 0; b < byte; ++b)
            codePoint += printable(b) ? 0 : 1;
    }
    if (codePoint < 0x80) return {static_cast<char>(codePoint)};
    return {static_cast<char>(0xC0 | (codePoint >> 6)), static_cast<char>(0x80 | (codePoint & 0x3F))};
}

/// A tokenizer.json with one token a byte (id = byte), "ab" 256, "abc" 257, " a" 258, and the added token <e> 300.
inline nlohmann::json smallTokenizer() {
    nlohmann::json vocabulary;
    for (unsigned byte = 0; byte < 256; ++byte)
        vocabulary[byteCharacter(byte)] = byte;
    vocabulary["ab"] = 256;
    vocabulary["abc"] = 257;
    vocabulary[byteCharacter(' ') + "a"] = 258;
    return {
        {"added_tokens",
         {{{"id", 300},
           {"content", "<e>"},
           {"single_word", false},
           {"lstrip", false},
           {"rstrip", false},
           {"normalized", false},
           {"special", true}}}},
        {"normalizer", nullptr},
        {"pre_tokenizer",
         {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}}},
        {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b", "ab c", byteCharacter(' ') + " a"}}}}};
}

}  // namespace expertscope::test
