// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {

/// A byte-level BPE tokenizer read from tokenizer.json (+ tokenizer_config.json).
class Tokenizer {
public:
    /// True when `folder` holds tokenizer files.
    static bool exists(const std::filesystem::path& folder);
    /// Throws BadInputError: missing, not JSON, or a kind that is not supported (named).
    static Tokenizer load(const std::filesystem::path& folder);
    ~Tokenizer();
    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;

    /// Token ids of UTF-8 text; added tokens are recognised, no BOS is added. Throws BadInputError on invalid UTF-8.
    std::vector<std::int32_t> encode(std::string_view text) const;
    /// The bytes of one token; may be part of a UTF-8 character. Valid for the tokenizer's life. Throws on an unknown
    /// id.
    std::string_view bytes(std::int32_t id) const;
    std::string decode(const std::vector<std::int32_t>& ids) const;
    std::int32_t vocabularySize() const;  ///< highest id + 1
    std::int32_t bosId() const;           ///< −1 where the configuration has none
    std::int32_t eosId() const;
    bool addBos() const;  ///< whether a prompt gets a BOS

private:
    Tokenizer();
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace expertscope
