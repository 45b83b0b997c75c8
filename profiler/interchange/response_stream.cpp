// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/response_stream.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/inflated_input.h"

namespace expertscope {
namespace {

using nlohmann::json;

constexpr std::string_view kData = "data:";
constexpr std::array<std::string_view, 4> kOtherFields{":", "event:", "id:", "retry:"};
constexpr const char* kRouted = "routed_experts";

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r");
    return first == std::string_view::npos ? std::string_view()
                                           : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// Adds a chunk's routing to what came before it.
void mergeRouting(json& to, const json& routing) {
    if (to.is_null())
        to = routing;
    else if (to.is_object())
        to[kStreamedParts].push_back(routing);
    else
        to = json{{kStreamedParts, json::array({to, routing})}};
}

/// Takes over what `from` tells: what was told before is replaced, token ids are continued.
void mergeMembers(json& to, const json& from) {
    for (const auto& [key, value] : from.items()) {
        if (value.is_null() || key == "choices") continue;
        if (key == kRouted)
            mergeRouting(to[key], value);
        else if (key == "token_ids" && value.is_array() && to.contains(key))
            to[key].insert(to[key].end(), value.begin(), value.end());
        else if ((key == "sglext" || key == "sgl_ext") && value.is_object())
            mergeMembers(to[key], value);
        else
            to[key] = value;
    }
}

/// The choice of that index in `choices`, made where there is none.
json& choiceOf(json& choices, const json& index) {
    for (json& choice : choices)
        if (choice.value("index", json()) == index) return choice;
    choices.push_back(json{{"index", index}});
    return choices.back();
}

void mergeChunk(json& answer, const json& chunk) {
    mergeMembers(answer, chunk);
    const auto choices = chunk.find("choices");
    if (choices == chunk.end() || !choices->is_array()) return;
    json& all = answer["choices"];
    if (all.is_null()) all = json::array();
    for (const json& choice : *choices)
        if (choice.is_object()) mergeMembers(choiceOf(all, choice.value("index", json(0))), choice);
}

/// Of SGLang's /generate: a chunk holds all that is known of one completion so far.
void mergeCompletion(json& completions, const json& chunk) {
    json& completion = choiceOf(completions, chunk.value("index", json(0)));
    json meta = chunk["meta_info"], before = completion.value("meta_info", json::object());
    if (meta.value(kRouted, json()).is_null() && before.contains(kRouted)) meta[kRouted] = before[kRouted];
    completion["meta_info"] = std::move(meta);
}

bool hasRouting(const json& value) {
    if (value.is_array()) return std::ranges::any_of(value, hasRouting);
    if (!value.is_object()) return false;
    for (const auto& [key, member] : value.items()) {
        if ((key == kRouted || key == "prompt_routed_experts") && !member.is_null()) return true;
        const bool holdsIt =
            key == "choices" || key == "completions" || key == "meta_info" || key == "sglext" || key == "sgl_ext";
        if (holdsIt && hasRouting(member)) return true;
    }
    return false;
}

/// What tells one answer's chunks from another's; null where they do not say.
json idOf(const json& chunk) {
    for (const char* key : {"id", "request_id"})
        if (chunk.contains(key)) return chunk[key];
    return nullptr;
}

bool isCompletion(const json& chunk) {
    const auto meta = chunk.find("meta_info");
    return meta != chunk.end() && meta->is_object();
}

/// Whether the chunk is of another answer than those before it. Completions of one answer have ids of their own, and
/// differ in their index.
bool beginsAnother(const json& answer, const json& chunk) {
    if (!isCompletion(chunk)) {
        const json mine = idOf(chunk), known = idOf(answer);
        return !mine.is_null() && !known.is_null() && mine != known;
    }
    if (!answer.contains("completions")) return false;
    const json index = chunk.value("index", json(0)), mine = idOf(chunk["meta_info"]);
    return std::ranges::any_of(answer["completions"], [&](const json& completion) {
        const json known = idOf(completion["meta_info"]);
        return completion["index"] == index && !mine.is_null() && !known.is_null() && mine != known;
    });
}

}  // namespace

bool beginsAsEventStream(std::string_view head) {
    const std::string_view text = head.substr(std::min(head.find_first_not_of(" \t\r\n"), head.size()));
    return text.starts_with(kData) ||
           std::ranges::any_of(kOtherFields, [&](std::string_view field) { return text.starts_with(field); });
}

ResponseStream::ResponseStream(const std::filesystem::path& file) : m_file(file), m_in(openInput(file)) {}

void ResponseStream::refuseLine(const std::string& what) const {
    throw BadInputError(
        fmt::format("Line {} of {} {}: save the server's answer again, as it came.", m_line, m_file.string(), what));
}

/// The next chunk or [DONE]; false at the file's end.
bool ResponseStream::nextEvent(json& chunk, bool& done) {
    done = false;
    std::string line;
    while (std::getline(*m_in, line)) {
        ++m_line;
        const std::string_view text = trimmed(line);
        if (text.empty() || std::ranges::any_of(kOtherFields, [&](auto field) { return text.starts_with(field); }))
            continue;
        if (!text.starts_with(kData)) refuseLine("is no event of a streamed answer (data: {…})");
        const std::string_view data = trimmed(text.substr(kData.size()));
        if (data.empty()) continue;
        done = data == "[DONE]";
        if (done) return true;
        chunk = json::parse(data, nullptr, false);
        if (chunk.is_object()) return true;
        m_torn = chunk.is_discarded() && m_in->eof();
        if (m_torn) return false;
        refuseLine(chunk.is_discarded() ? "is no JSON" : "is no object");
    }
    return false;
}

void ResponseStream::endAnswer(json answer, bool done) {
    if (!done && !hasRouting(answer))
        throw BadInputError(fmt::format(
            "Response {} of {} ends at line {} without 'data: [DONE]' and before its routing came, which is with the "
            "last chunk: save the whole answer.",
            m_number, m_file.string(), m_line));
    if (!done) ++m_cutOff;
    const auto completions = answer.find("completions");
    if (completions == answer.end()) {
        m_completions.push_back(std::move(answer));
        return;
    }
    for (json& completion : *completions)
        m_completions.push_back(std::move(completion));
}

bool ResponseStream::next(json& response) {
    while (m_completions.empty()) {
        json answer = json::object(), chunk = std::exchange(m_ahead, nullptr);
        bool any = false, done = false;
        while (chunk.is_object() || nextEvent(chunk, done)) {
            if (done) break;
            if (beginsAnother(answer, chunk)) {
                m_ahead = std::move(chunk);
                break;
            }
            if (!any) ++m_number;
            any = true;
            if (isCompletion(chunk))
                mergeCompletion(answer["completions"], chunk);
            else
                mergeChunk(answer, chunk);
            chunk = nullptr;
        }
        if (!any && !done && !m_torn) return false;
        if (!any && m_torn) ++m_number;
        if (any || m_torn) endAnswer(std::move(answer), done);
        m_torn = false;
    }
    response = std::move(m_completions.front());
    m_completions.pop_front();
    return true;
}

}  // namespace expertscope
