// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/parameters.h"

#include <charconv>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"

namespace expertscope {

Parameters::Parameters(std::string_view text, std::string what) : m_what(std::move(what)) {
    std::size_t from = std::min(text.find(':'), text.size());
    m_name = text.substr(0, from);
    while (from < text.size()) {
        const std::size_t next = std::min(text.find(':', from + 1), text.size());
        const std::string_view item = text.substr(from + 1, next - from - 1);
        const std::size_t equals = item.find('=');
        if (equals == 0 || equals == std::string_view::npos || equals + 1 == item.size())
            throw UsageError(
                fmt::format("In '{}', '{}' is not a parameter: write name:key=value:key=value.", text, item));
        if (!m_values.emplace(item.substr(0, equals), item.substr(equals + 1)).second)
            throw UsageError(fmt::format("'{}' gives '{}' twice: give it once.", text, item.substr(0, equals)));
        from = next;
    }
}

int Parameters::integer(const std::string& key, int byDefault, int least, int most) {
    const std::string* const text = find(key);
    if (!text) return byDefault;
    int value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size() || value < least || value > most)
        refuse(key, *text, fmt::format("a whole number from {} to {}", least, most));
    return value;
}

double Parameters::number(const std::string& key, double byDefault, double least, double most) {
    const std::string* const text = find(key);
    if (!text) return byDefault;
    double value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size() || !(value >= least && value <= most))
        refuse(key, *text, fmt::format("a number from {} to {}", least, most));
    return value;
}

std::string Parameters::word(const std::string& key, std::initializer_list<std::string_view> words) {
    const std::string* const text = find(key);
    if (!text) return std::string(*words.begin());
    for (const std::string_view word : words)
        if (word == *text) return *text;
    refuse(key, *text, fmt::format("one of {}", fmt::join(words, ", ")));
}

void Parameters::finish() const {
    for (const auto& [key, value] : m_values) {
        if (m_known.contains(key)) continue;
        if (m_known.empty())
            throw UsageError(
                fmt::format("The {} '{}' has no parameters: leave out '{}={}'.", m_what, m_name, key, value));
        throw UsageError(fmt::format("The {} '{}' has no parameter '{}': it knows {}.", m_what, m_name, key,
                                     fmt::join(m_known, ", ")));
    }
}

const std::string* Parameters::find(const std::string& key) {
    m_known.insert(key);
    const auto found = m_values.find(key);
    return found == m_values.end() ? nullptr : &found->second;
}

void Parameters::refuse(const std::string& key, const std::string& value, const std::string& wanted) const {
    throw UsageError(
        fmt::format("The parameter '{}' of the {} '{}' cannot be '{}': give {}.", key, m_what, m_name, value, wanted));
}

}  // namespace expertscope
