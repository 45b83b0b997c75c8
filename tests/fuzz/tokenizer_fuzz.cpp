// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>

#include "engine/base/error.h"
#include "engine/model/tokenizer_file.h"
#include "tests/engine/model/tokenizer_fixture.h"
#include "tests/fuzz/fuzz_target.h"

/// What is accepted must split and encode text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace expertscope;
    try {
        const TokenizerFile file = parseTokenizerFile({reinterpret_cast<const char*>(data), size}, "fuzz");
        const std::string_view text = "abc  <e> don't \xC3\xA9\n\n 12a";
        for (const AddedTokens::Part& part : file.rawTokens.split(text)) {
            for (const std::string& piece : file.preTokenizer.split(part.text)) {
                std::vector<std::int32_t> ids;
                file.bpe.encode(piece, ids);
                for (const std::int32_t id : ids) {
                    if (id < 0 || static_cast<std::size_t>(id) >= file.bytes.size()) std::abort();
                }
            }
        }
    } catch (const Error&) {}
    return 0;
}

namespace expertscope::test {

FuzzSeeds fuzzSeeds() {
    nlohmann::json split = smallTokenizer();
    split["normalizer"] = {{"type", "NFC"}};
    split["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"},
           {"pattern", {{"Regex", R"((?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|\s*[\r\n]+|\s+(?!\S)|\s+)"}}},
           {"behavior", "Isolated"},
           {"invert", false}},
          {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
    return {{smallTokenizer().dump(), split.dump()},
            {"0",
             "-1",
             "16777215",
             "16777216",
             "1e99",
             "null",
             "true",
             "[",
             "]",
             "{",
             "}",
             "\"",
             "\"\"",
             " ",
             "\"a b c\"",
             "[\"a\",\"b\"]",
             "(?:",
             "(a+)+$",
             "\\\\K",
             "\\\\C",
             "[[:",
             "*",
             "{1,65535}",
             "\"lstrip\":true,",
             "\"rstrip\":true,",
             "\"single_word\":true,",
             "\"normalized\":true,",
             "\"type\":\"Sequence\"",
             "\xFF",
             "\\u0000",
             std::string(1, '\0'),
             std::string(3000, '[')}};
}

}  // namespace expertscope::test
