// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/added_tokens.h"
#include "engine/model/bpe.h"
#include "engine/model/pre_tokenizer.h"

namespace expertscope {

/// What a tokenizer.json says.
struct TokenizerFile {
    Bpe bpe;
    PreTokenizer preTokenizer;
    AddedTokens rawTokens;                          ///< looked for in the text as given
    AddedTokens normalizedTokens;                   ///< looked for after normalisation
    bool nfc = false;                               ///< text is brought into NFC
    bool ignoreMerges = false;                      ///< a piece that is a token as a whole is not merged up
    std::vector<std::optional<std::string>> bytes;  ///< by id; nothing where an id is not used
};

/// Reads the text of a tokenizer.json with a byte-level BPE. `file` is for messages. Throws BadInputError with one
/// sentence: not JSON, another kind of tokenizer (named, with what is supported), ids or merges that contradict.
TokenizerFile parseTokenizerFile(std::string_view text, const std::string& file);

/// What a tokenizer_config.json says; contents, not ids.
struct TokenizerSettings {
    bool addBos = false;
    std::string bos, eos;  ///< empty where there is none
};
TokenizerSettings parseTokenizerSettings(std::string_view text, const std::string& file);

}  // namespace expertscope
