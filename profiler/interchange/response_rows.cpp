// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/response_rows.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/base64.h"
#include "profiler/interchange/inflated_input.h"

namespace expertscope {

using nlohmann::json;

namespace {

/// Enough to tell a stream by.
constexpr std::size_t kHead = 4096;

}  // namespace

ResponseRows::ResponseRows(const std::filesystem::path& file) : m_file(file) {
    if (beginsAsEventStream(readHead(file, kHead)))
        m_stream.emplace(file);
    else
        m_values.emplace(file);
    m_model.name = file.stem().string();
    m_model.path = file.string();
}

namespace {

[[noreturn]] void refuseResponse(const std::filesystem::path& file, std::int64_t number, const std::string& what) {
    throw BadInputError(fmt::format("Response {} of {} {}: ask the server again and keep its whole answer.", number,
                                    file.string(), what));
}

}  // namespace

void ResponseRows::refuse(std::int64_t place, const std::string& what) const { refuseResponse(m_file, place, what); }
void ResponseRows::refuseThis(const std::string& what) const { refuseResponse(m_file, number(), what); }

bool ResponseRows::nextResponse(json& response) {
    return m_stream ? m_stream->next(response) : m_values->next(response);
}

bool ResponseRows::next(RouteRow& row) {
    json response;
    while (!m_block.take(row)) {
        if (!m_completions.empty()) {
            takeToken(m_completions.front());
            if (m_completions.front().next == m_completions.front().experts.tokens) m_completions.pop_front();
            continue;
        }
        if (!nextResponse(response)) return false;
        if (!response.is_object()) refuseThis("is no object");
        decode(response);
        if (m_completions.empty()) ++m_without;
    }
    return true;
}

void ResponseRows::nameModel(const json& response) {
    const auto model = response.find("model");
    if (model != response.end() && model->is_string()) m_model.name = model->get<std::string>();
}

std::string ResponseRows::bytesOf(const json& text, const char* what) const {
    std::optional<std::string> bytes = fromBase64(text.get_ref<const std::string&>());
    if (!bytes) refuseThis(fmt::format("has {} that are no base64", what));
    return *std::move(bytes);
}

ExpertArray ResponseRows::listsOf(const json& lists, const char* what) const {
    ExpertArray array;
    array.tokens = static_cast<std::int64_t>(lists.size());
    for (const json& token : lists) {
        if (!token.is_array()) refuseThis(fmt::format("has {} that are no lists [tokens][layers][k]", what));
        if (array.layers == 0) array.layers = static_cast<std::int64_t>(token.size());
        if (static_cast<std::int64_t>(token.size()) != array.layers)
            refuseThis(fmt::format("has {} with {} layers for one token and {} for another", what, array.layers,
                                   token.size()));
        for (const json& layer : token) {
            if (array.k == 0) array.k = static_cast<std::int64_t>(layer.size());
            if (!layer.is_array() || static_cast<std::int64_t>(layer.size()) != array.k)
                refuseThis(fmt::format("has {} whose lists differ in length", what));
            for (const json& expert : layer) {
                if (!expert.is_number_integer()) refuseThis(fmt::format("has {} that are no whole numbers", what));
                array.values.push_back(expert.get<std::int64_t>());
            }
        }
    }
    return array;
}

void ResponseRows::tell(ExpertArray experts, std::int64_t prompt, std::int64_t position,
                        std::vector<std::int64_t> ids) {
    if (experts.empty()) return;
    if (m_model.layers != 0 && (experts.layers != m_model.layers || experts.k != m_model.topK))
        refuseThis(fmt::format("routes {} layers with {} experts a token, an earlier one {} with {}", experts.layers,
                               experts.k, m_model.layers, m_model.topK));
    m_model.layers = static_cast<std::int32_t>(experts.layers);
    m_model.topK = static_cast<std::int32_t>(experts.k);
    m_completions.push_back({std::move(experts), prompt, position, std::move(ids), m_turn++, 0});
}

void ResponseRows::takeToken(Completion& completion) {
    const ExpertArray& experts = completion.experts;
    const std::int64_t token = completion.next++;
    const auto index = static_cast<std::size_t>(token);
    RouteRow place;
    place.line = number();
    place.turn = completion.turn;
    place.position = static_cast<std::int32_t>(completion.position + token);
    place.phase = token < completion.prompt ? Phase::Prefill : Phase::Decode;
    if (index < completion.ids.size()) place.tokenId = static_cast<std::int32_t>(completion.ids[index]);
    const auto width = static_cast<std::size_t>(experts.layers * experts.k);
    m_block.add(*this, experts.layers, experts.k, std::span(experts.values).subspan(index * width, width), {}, place);
}

std::vector<std::string> ResponseRows::notes() const {
    std::vector<std::string> notes = m_block.notes();
    notes.emplace_back("Responses hold no weights and no times.");
    if (m_phasesMissing)
        notes.emplace_back("A response does not say how long its prompt is: its tokens count as decode steps.");
    if (m_without > 0) notes.push_back(fmt::format("{} responses hold no routing and were left out.", m_without));
    if (m_stream && m_stream->cutOff() > 0)
        notes.push_back(fmt::format("{} streamed responses end without 'data: [DONE]'; their routing had come.",
                                    m_stream->cutOff()));
    return notes;
}

std::int64_t countIn(const json& object, const char* key) {
    if (!object.is_object()) return -1;
    const auto found = object.find(key);
    constexpr std::uint64_t kMost = std::uint64_t{1} << 30;
    if (found == object.end() || !found->is_number_unsigned() || found->get<std::uint64_t>() > kMost) return -1;
    return found->get<std::int64_t>();
}

}  // namespace expertscope
