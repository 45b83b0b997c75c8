// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/split_pattern.h"

#include <array>
#include <optional>
#include <utility>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include "engine/base/error.h"

namespace expertscope {

namespace {

constexpr std::size_t kMaxPatternBytes = 1 << 16;
constexpr std::size_t kJitStackStart = 32 << 10;
constexpr std::size_t kJitStackMost = 8 << 20;

std::string messageOf(int error) {
    std::array<unsigned char, 256> text{};
    pcre2_get_error_message(error, text.data(), text.size());
    return reinterpret_cast<const char*>(text.data());
}

struct FreeMatch {
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct FreeStack {
    void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};

bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// The inside of a group (?i:…) with every letter spelt in both cases; nothing where it has more than letters, quotes
/// and alternatives. `rest` begins after "(?i:"; on success the group is taken off its front.
std::optional<std::string> spellBothCases(std::string_view& rest) {
    const std::size_t end = rest.find(')');
    if (end == std::string_view::npos) return std::nullopt;
    std::string spelt = "(?:";
    for (const char c : rest.substr(0, end)) {
        if (isLetter(c)) {
            spelt += {'[', static_cast<char>(c | 0x20), static_cast<char>(c & ~0x20), ']'};
        } else if (c == '\'' || c == '|') {
            spelt += c;
        } else {
            return std::nullopt;
        }
    }
    rest.remove_prefix(end + 1);
    return spelt + ")";
}

/// "[", "[^", and a "]" right behind them, which is a member.
std::size_t classOpeningLength(std::string_view rest) {
    std::size_t length = 1;
    if (length < rest.size() && rest[length] == '^') ++length;
    if (length < rest.size() && rest[length] == ']') ++length;
    return length;
}

/// Of a named class such as [:alpha:], whose "]" does not close the class around it; else 1.
std::size_t classItemLength(std::string_view rest) {
    const std::size_t end = rest.starts_with("[:") ? rest.find(":]", 2) : std::string_view::npos;
    return end == std::string_view::npos ? 1 : end + 2;
}

}  // namespace

struct SplitPattern::Compiled {
    pcre2_code* code = nullptr;
    ~Compiled() { pcre2_code_free(code); }

    /// As pcre2_match: the next match that is not empty, from byte `from` on.
    int search(std::string_view text, std::size_t from, pcre2_match_data* match) const {
        const auto run = [&](pcre2_match_context* context) {
            return pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                               PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, match, context);
        };
        const int found = run(nullptr);
        if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
        // Seldom needed, so that the usual search does not pay for mapping a stack of its own.
        const std::unique_ptr<pcre2_match_context, FreeContext> context(pcre2_match_context_create(nullptr));
        const std::unique_ptr<pcre2_jit_stack, FreeStack> stack(
            pcre2_jit_stack_create(kJitStackStart, kJitStackMost, nullptr));
        pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
        return run(context.get());
    }
};

SplitPattern::~SplitPattern() = default;
SplitPattern::SplitPattern(SplitPattern&&) noexcept = default;
SplitPattern& SplitPattern::operator=(SplitPattern&&) noexcept = default;

std::string SplitPattern::toPcre(std::string_view pattern) {
    constexpr std::string_view kSpaces = "\\t-\\r\\x{85}\\p{Z}";
    std::string out;
    bool inClass = false;
    std::string_view rest = pattern;
    while (!rest.empty()) {
        if (rest.size() >= 2 && rest[0] == '\\') {
            if (rest[1] == 's') {
                out += inClass ? std::string(kSpaces) : fmt::format("[{}]", kSpaces);
            } else if (rest[1] == 'S' && !inClass) {
                out += fmt::format("[^{}]", kSpaces);
            } else {
                out += rest.substr(0, 2);
            }
            rest.remove_prefix(2);
            continue;
        }
        if (!inClass && rest.starts_with("(?i:")) {
            std::string_view inside = rest.substr(4);
            if (const auto spelt = spellBothCases(inside)) {
                out += *spelt;
                rest = inside;
                continue;
            }
        }
        const std::size_t length = inClass ? classItemLength(rest) : 1;
        if (!inClass && rest[0] == '[') {
            inClass = true;
            const std::size_t opening = classOpeningLength(rest);
            out += rest.substr(0, opening);
            rest.remove_prefix(opening);
            continue;
        }
        if (rest[0] == ']') inClass = false;
        out += rest.substr(0, length);
        rest.remove_prefix(length);
    }
    return out;
}

SplitPattern::SplitPattern(const std::string& pattern, bool literal, const std::string& file)
    : m_compiled(std::make_unique<Compiled>()), m_file(file) {
    const std::string adapted = literal ? pattern : toPcre(pattern);
    int error = 0;
    std::size_t errorAt = 0;
    if (adapted.empty() || adapted.size() > kMaxPatternBytes || pattern.find("&&") != std::string::npos) {
        // "&&" intersects classes in the reference and means two ampersands to PCRE2.
        throw BadInputError(
            fmt::format("{} splits text by a pattern that is not supported (\"{:.40}\"); use the "
                        "tokenizer.json that belongs to the model",
                        file, pattern));
    }
    const std::uint32_t options = literal ? PCRE2_UTF | PCRE2_LITERAL : PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
    m_compiled->code =
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(adapted.data()), adapted.size(), options, &error, &errorAt, nullptr);
    if (m_compiled->code == nullptr) {
        throw BadInputError(
            fmt::format("{} splits text by \"{:.40}\", which is not a regular expression ({}); use the "
                        "tokenizer.json that belongs to the model",
                        file, pattern, messageOf(error)));
    }
    // Where the system forbids code made at run time, PCRE2 interprets the pattern: slower, with the same matches.
    pcre2_jit_compile(m_compiled->code, PCRE2_JIT_COMPLETE);
}

void SplitPattern::split(std::string_view text, std::vector<std::string_view>& pieces) const {
    const std::unique_ptr<pcre2_match_data, FreeMatch> match(
        pcre2_match_data_create_from_pattern(m_compiled->code, nullptr));
    std::size_t pieceStart = 0;
    std::size_t searchFrom = 0;
    const auto cutTo = [&](std::size_t end) {
        if (end > pieceStart) pieces.push_back(text.substr(pieceStart, end - pieceStart));
        pieceStart = end;
    };
    while (searchFrom < text.size()) {
        const int found = m_compiled->search(text, searchFrom, match.get());
        if (found == PCRE2_ERROR_NOMATCH) break;
        if (found < 0) {
            throw FailedError(
                fmt::format("The pattern in {} that splits text gave up at byte {} of {} ({}); shorten "
                            "the text",
                            m_file, searchFrom, text.size(), messageOf(found)));
        }
        const std::size_t* const bounds = pcre2_get_ovector_pointer(match.get());
        if (bounds[0] < pieceStart || bounds[1] <= bounds[0]) break;  // \K can place a match behind the search
        cutTo(bounds[0]);
        cutTo(bounds[1]);
        searchFrom = bounds[1];
    }
    cutTo(text.size());
}

}  // namespace expertscope
