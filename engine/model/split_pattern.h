// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {

/// A compiled pattern that cuts a text at its matches: each match is a piece, and so is what lies between two.
class SplitPattern {
public:
    /// `literal`: match this text instead of reading it as a regular expression. `file` is for messages.
    /// Throws BadInputError when it is not a pattern.
    SplitPattern(const std::string& pattern, bool literal, const std::string& file);
    ~SplitPattern();
    SplitPattern(SplitPattern&&) noexcept;
    SplitPattern& operator=(SplitPattern&&) noexcept;

    /// Appends the pieces of `text`, which is well-formed UTF-8; they join to `text` again and none is empty.
    /// Throws FailedError when the pattern needs more steps on this text than the matcher allows.
    void split(std::string_view text, std::vector<std::string_view>& pieces) const;

    /// The pattern as huggingface/tokenizers understands it, in PCRE2's words: \s and \S are Unicode's White_Space
    /// (PCRE2's have U+180E too), and (?i:…) around plain letters ignores the case of ASCII only (PCRE2 would take
    /// U+017F for an s and U+212A for a k).
    static std::string toPcre(std::string_view pattern);

private:
    struct Compiled;
    std::unique_ptr<Compiled> m_compiled;
    std::string m_file;
};

}  // namespace expertscope
