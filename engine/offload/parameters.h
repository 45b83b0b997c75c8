// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace expertscope {

/// A name with parameters as users write them: "static:mode=frequency:refresh=64". Who makes the named thing asks for
/// each parameter that it knows and then calls finish(), which refuses the rest. All throw UsageError.
class Parameters {
public:
    /// `what` is what the name names, for messages: "policy".
    Parameters(std::string_view text, std::string what);

    const std::string& name() const { return m_name; }
    int integer(const std::string& key, int byDefault, int least, int most);
    double number(const std::string& key, double byDefault, double least, double most);
    /// One of `words`; the first is the default.
    std::string word(const std::string& key, std::initializer_list<std::string_view> words);
    void finish() const;

private:
    const std::string* find(const std::string& key);
    [[noreturn]] void refuse(const std::string& key, const std::string& value, const std::string& wanted) const;

    std::string m_name, m_what;
    std::map<std::string, std::string> m_values;
    std::set<std::string> m_known;  ///< keys that were asked for
};

}  // namespace expertscope
