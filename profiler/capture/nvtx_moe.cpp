// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_moe.h"

#include <charconv>

#include <fmt/format.h>

#include "profiler/capture/nvtx_payload.h"

namespace expertscope {
namespace {

constexpr std::string_view kSelect = "moe.select";
constexpr std::string_view kModel = "moe.model";

template <class Number>
bool parse(std::string_view text, Number& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

/// Calls take(part) for each part of the text between separators until it says false.
template <class Take>
bool eachPart(std::string_view text, char separator, Take take) {
    while (true) {
        const std::size_t end = text.find(separator);
        if (!take(text.substr(0, end))) return false;
        if (end == std::string_view::npos) return true;
        text.remove_prefix(end + 1);
    }
}

/// "3,7;1,2" as rows.
template <class Number>
bool parseRows(std::string_view text, std::vector<std::vector<Number>>& rows) {
    return eachPart(text, ';', [&](std::string_view row) {
        rows.emplace_back();
        return eachPart(row, ',', [&](std::string_view item) { return parse(item, rows.back().emplace_back()); });
    });
}

bool take(MoeSelect& select, std::string_view key, std::string_view value) {
    if (key == "layer") return parse(value, select.layer);
    if (key == "token") return parse(value, select.token);
    if (key == "step") return parse(value, select.step);
    if (key == "experts") return parseRows(value, select.experts);
    if (key == "weights") return parseRows(value, select.weights);
    return true;  // of a later version of the convention
}

bool take(MoeModel& model, std::string_view key, std::string_view value) {
    if (key == "layers") return parse(value, model.layers);
    if (key == "experts") return parse(value, model.experts);
    if (key == "top_k") return parse(value, model.topK);
    if (key == "expert_bytes") return parse(value, model.expertBytes);
    if (key == "name") model.name = value;
    return true;
}

/// Why the words after the first are not understood; empty when they are.
template <class Target>
std::string parseWords(std::string_view words, Target& target) {
    std::string fault;
    eachPart(words, ' ', [&](std::string_view word) {
        if (word.empty()) return true;
        const std::size_t equals = word.find('=');
        if (equals == std::string_view::npos) {
            fault = fmt::format("'{}' is not of the form key=value", word);
        } else if (!take(target, word.substr(0, equals), word.substr(equals + 1))) {
            fault = fmt::format("'{}' is not a number or list of numbers", word);
        }
        return fault.empty();
    });
    return fault;
}

std::string faultOf(const MoeSelect& select) {
    if (select.layer < 0) return "layer= is missing";
    if (select.experts.empty()) return "experts= is missing";
    if (select.weights.empty()) return {};
    bool same = select.weights.size() == select.experts.size();
    for (std::size_t i = 0; same && i < select.experts.size(); ++i)
        same = select.weights[i].size() == select.experts[i].size();
    return same ? std::string() : "weights= and experts= have different numbers of values";
}

}  // namespace

bool isMoeMessage(std::string_view text) { return text.starts_with(kSelect) || text.starts_with(kModel); }

MoeMessage parseMoeMessage(std::string_view text) {
    MoeMessage message;
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view verb = text.substr(0, end), words = text.substr(end);
    if (verb == kSelect) {
        message.fault = parseWords(words, message.select.emplace());
        if (message.fault.empty()) message.fault = faultOf(*message.select);
        if (!message.fault.empty()) message.select.reset();
    } else if (verb == kModel) {
        message.fault = parseWords(words, message.model.emplace());
        if (!message.fault.empty()) message.model.reset();
    } else {
        message.fault = fmt::format("'{}' is no word of the convention", verb);
    }
    return message;
}

MoeMessage readMoePayload(const NvtxSchema& schema, std::string_view payload) {
    MoeMessage message;
    MoeSelect& select = message.select.emplace();
    select.layer = schema.integer("layer", payload).value_or(-1);
    select.token = schema.integer("token", payload).value_or(-1);
    select.step = schema.integer("step", payload).value_or(-1);
    const std::vector<double> experts = schema.numbers("experts", payload);
    if (!experts.empty()) {
        std::vector<std::int64_t>& row = select.experts.emplace_back();
        for (const double expert : experts)
            row.push_back(static_cast<std::int64_t>(expert));
    }
    if (schema.has("weights")) select.weights.push_back(schema.numbers("weights", payload));
    message.fault = faultOf(select);
    if (!message.fault.empty()) message.select.reset();
    return message;
}

}  // namespace expertscope
