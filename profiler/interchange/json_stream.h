// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <functional>
#include <istream>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace expertscope {

/// What is left of a JSON document once its elements were taken out.
struct JsonRest {
    nlohmann::json value;    ///< of an object its members but the taken array; else null
    bool unclosed = false;   ///< the file ended inside a top-level array
    std::int64_t taken = 0;  ///< elements
};

/// Reads a JSON document that is one array, or one object with an array `member`, and hands that array's elements on
/// one by one without keeping them (nlohmann's parser with a callback): memory is that of one element and of the rest.
/// gzip too. `take` gets the element and its number, from 1. Throws BadInputError naming file and byte where it is no
/// JSON; an end inside a top-level array is told instead, since writers that were killed leave such files.
JsonRest eachJsonElement(const std::filesystem::path& file, std::string_view member,
                         const std::function<void(nlohmann::json& element, std::int64_t number)>& take);

/// Reads the JSON values of a file one after another: one object, several (JSONL, or simply in a row), or the elements
/// of an array. gzip too. Memory is that of one value.
class JsonValueReader {
public:
    /// Throws BadInputError where the file cannot be read.
    explicit JsonValueReader(const std::filesystem::path& file);
    /// The next value; false after the last. Throws BadInputError naming file, value and byte where it is no JSON.
    bool next(nlohmann::json& value);
    /// Of the last value, from 1.
    std::int64_t number() const { return m_number; }

private:
    int firstByte();
    [[noreturn]] void refuse(const std::string& what) const;

    std::filesystem::path m_file;
    std::unique_ptr<std::istream> m_in;
    bool m_array = false;
    std::int64_t m_number = 0;
};

}  // namespace expertscope
