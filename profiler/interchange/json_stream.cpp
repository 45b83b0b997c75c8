// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/json_stream.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/inflated_input.h"

namespace expertscope {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::filesystem::path& file, const json::exception& error, std::size_t byte) {
    throw BadInputError(fmt::format("{} is no JSON at byte {}: write or download it again.", file.string(), byte),
                        error.what());
}

/// The first byte that is no blank, left in the stream; −1 at the end.
int firstByte(std::istream& in) {
    in >> std::ws;
    return in.peek();
}

}  // namespace

JsonRest eachJsonElement(const std::filesystem::path& file, std::string_view member,
                         const std::function<void(json& element, std::int64_t number)>& take) {
    const std::unique_ptr<std::istream> in = openInput(file);
    const bool array = firstByte(*in) == '[';
    JsonRest rest;
    bool inside = array;
    const auto callback = [&](int depth, json::parse_event_t event, json& parsed) {
        if (!array && depth == 1 && event == json::parse_event_t::key) inside = parsed == member;
        const bool element = inside && depth == (array ? 1 : 2);
        const bool ends = event == json::parse_event_t::object_end || event == json::parse_event_t::array_end ||
                          event == json::parse_event_t::value;
        if (!element || !ends) return true;
        take(parsed, ++rest.taken);
        return false;
    };
    try {
        json whole = json::parse(*in, callback);
        if (!array) rest.value = std::move(whole);
    } catch (const json::parse_error& error) {
        rest.unclosed = array && rest.taken > 0 && in->eof();
        if (!rest.unclosed) refuse(file, error, error.byte);
    }
    return rest;
}

JsonValueReader::JsonValueReader(const std::filesystem::path& file) : m_file(file), m_in(openInput(file)) {
    m_array = firstByte() == '[';
    if (m_array) m_in->get();
}

/// The next byte that is no blank, left in the stream; −1 at the end.
int JsonValueReader::firstByte() {
    *m_in >> std::ws;
    return m_in->peek();
}

void JsonValueReader::refuse(const std::string& what) const {
    throw BadInputError(fmt::format("Value {} of {} {}: write or download it again.", m_number, m_file.string(), what));
}

bool JsonValueReader::next(json& value) {
    ++m_number;
    if (m_array && m_number > 1 && firstByte() == ',') {
        m_in->get();
    } else if (m_array && firstByte() == ']') {
        return false;
    } else if (m_array && m_number > 1) {
        refuse("is not there: the array has no end");
    }
    if (firstByte() == std::char_traits<char>::eof()) {
        if (m_array) refuse("is not there: the array has no end");
        return false;
    }
    try {
        *m_in >> value;
    } catch (const json::parse_error& error) { refuse(fmt::format("is no JSON at its byte {}", error.byte)); }
    return true;
}

}  // namespace expertscope
