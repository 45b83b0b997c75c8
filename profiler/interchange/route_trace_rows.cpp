// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/route_trace_rows.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/inflated_input.h"

namespace expertscope {
namespace {

constexpr std::string_view kMagic = "# route_trace v1";
constexpr std::string_view kColumns = "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes";
// Far above any model there is; a header that asks for more is damaged, and nothing is allocated for it.
constexpr std::int64_t kMostLayers = 4096;
constexpr std::int64_t kMostExperts = 65'536;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 40;
constexpr std::int64_t kMostPositions = std::int64_t{1} << 30;

/// The value of `key=` in "key=value key=value …"; values may hold spaces, keys may not.
std::string_view valueOf(std::string_view text, std::string_view key) {
    const std::string wanted = " " + std::string(key) + "=";
    const std::size_t found = text.find(wanted);
    if (found == std::string_view::npos) return {};
    std::string_view value = text.substr(found + wanted.size());
    for (std::size_t equals = value.find('='); equals != std::string_view::npos;) {
        const std::size_t space = value.rfind(' ', equals);
        if (space == std::string_view::npos) break;
        return value.substr(0, space);
    }
    return value;
}

/// Splits at commas; the number of fields, which may exceed what `fields` holds.
template <std::size_t N>
std::size_t split(std::string_view text, std::array<std::string_view, N>& fields) {
    std::size_t count = 0;
    for (std::size_t from = 0; from <= text.size(); ++count) {
        const std::size_t comma = std::min(text.find(',', from), text.size());
        if (count < N) fields[count] = text.substr(from, comma - from);
        from = comma + 1;
    }
    return count;
}

}  // namespace

RouteTraceRows::RouteTraceRows(const std::filesystem::path& file) : m_file(file), m_in(openInput(file)) {
    readHeader();
}

RouteTraceRows::RouteTraceRows(std::unique_ptr<std::istream> in, std::filesystem::path name)
    : m_file(std::move(name)), m_in(std::move(in)) {
    readHeader();
}

void RouteTraceRows::refuse(std::int64_t line, const std::string& what) const {
    throw BadInputError(fmt::format("Line {} of {} {}: export the trace again.", line, m_file.string(), what));
}

bool RouteTraceRows::nextLine(std::string& text) {
    if (!std::getline(*m_in, text)) return false;
    ++m_line;
    if (!text.empty() && text.back() == '\r') text.pop_back();
    return true;
}

void RouteTraceRows::readHeader() {
    std::string text;
    if (!nextLine(text) || text != kMagic)
        throw BadInputError(fmt::format("{} is no route-trace: its first line is not '{}'.", m_file.string(), kMagic));
    while (nextLine(text)) {
        if (text.starts_with("# model=")) {
            readModel(std::string_view(text).substr(1));
        } else if (text.starts_with("# layer=")) {
            readLayer(std::string_view(text).substr(1));
        } else if (!text.starts_with('#')) {
            m_hasDropped = text == fmt::format("{},dropped", kColumns);
            if (!m_hasDropped && text != kColumns)
                refuse(m_line, fmt::format("does not name the columns {}", kColumns));
            finishModel();
            return;
        }
    }
    refuse(m_line, "ends the file before any columns are named");
}

void RouteTraceRows::readModel(std::string_view text) {
    m_model.path = valueOf(text, "model");
    m_model.name = std::filesystem::path(m_model.path).stem().string();
    m_model.family = valueOf(text, "arch");
    m_model.layers = static_cast<std::int32_t>(number(valueOf(text, "n_layer"), "n_layer", 1, kMostLayers));
    m_model.experts = static_cast<std::int32_t>(number(valueOf(text, "n_expert"), "n_expert", 1, kMostExperts));
    m_model.topK =
        static_cast<std::int32_t>(number(valueOf(text, "n_expert_used"), "n_expert_used", 1, m_model.experts));
    m_layerBytes.assign(static_cast<std::size_t>(m_model.layers), -1);
}

void RouteTraceRows::readLayer(std::string_view text) {
    if (m_layerBytes.empty()) refuse(m_line, "tells of a layer before the model");
    const std::int64_t layer = number(valueOf(text, "layer"), "layer", 0, m_model.layers - 1);
    m_layerBytes[static_cast<std::size_t>(layer)] =
        number(valueOf(text, "expert_bytes"), "expert_bytes", 1, kMostBytes);
}

void RouteTraceRows::finishModel() {
    if (m_layerBytes.empty()) refuse(m_line, "names the columns before the model");
    const auto missing = std::ranges::find(m_layerBytes, -1);
    if (missing != m_layerBytes.end())
        refuse(m_line, fmt::format("names the columns, but no '# layer={} expert_bytes=…' stands above it",
                                   missing - m_layerBytes.begin()));
    const std::int64_t sum = std::accumulate(m_layerBytes.begin(), m_layerBytes.end(), std::int64_t{0});
    m_model.totalExpertBytes = Bytes(sum * m_model.experts);
    m_model.expertBytes = Bytes(sum / m_model.layers);
    if (std::ranges::adjacent_find(m_layerBytes, std::not_equal_to{}) != m_layerBytes.end())
        for (const std::int64_t bytes : m_layerBytes)
            m_model.layerExpertBytes.emplace_back(bytes);
    m_model.fingerprint = fmt::format("route-trace:{}:{}:{}:{}:{}:{}", m_model.name, m_model.family, m_model.layers,
                                      m_model.experts, m_model.topK, sum);
}

std::int64_t RouteTraceRows::number(std::string_view field, const char* name, std::int64_t from,
                                    std::int64_t to) const {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (field.empty() || error != std::errc() || end != field.data() + field.size())
        refuse(m_line, fmt::format("has no whole number for {}", name));
    if (value < from || value > to) refuse(m_line, fmt::format("has {}={}, outside {} to {}", name, value, from, to));
    return value;
}

float RouteTraceRows::weight(std::string_view field) const {
    if (field == "nan") return std::numeric_limits<float>::quiet_NaN();
    float value = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (field.empty() || error != std::errc() || end != field.data() + field.size())
        refuse(m_line, "has no number for weight");
    return value;
}

bool RouteTraceRows::next(RouteRow& row) {
    std::string text;
    do {
        if (!nextLine(text)) return false;
    } while (text.empty() || text.front() == '#');
    std::array<std::string_view, 10> fields;
    const std::size_t wanted = m_hasDropped ? 10 : 9;
    const std::size_t count = split(text, fields);
    if (count != wanted) refuse(m_line, fmt::format("has {} fields where {} belong", count, wanted));
    row.line = m_line;
    row.turn = static_cast<std::int32_t>(number(fields[0], "turn", 0, kMostPositions));
    row.phase = number(fields[1], "phase", 0, 1) == 0 ? Phase::Prefill : Phase::Decode;
    row.position = static_cast<std::int32_t>(number(fields[2], "step", 0, kMostPositions));
    row.layer = LayerIndex(static_cast<std::int32_t>(number(fields[3], "layer", 0, m_model.layers - 1)));
    row.slot = static_cast<std::int32_t>(number(fields[4], "slot", 0, m_model.topK - 1));
    row.expert = ExpertId(static_cast<std::int32_t>(number(fields[5], "expert", 0, m_model.experts - 1)));
    row.weight = weight(fields[6]);
    row.residency = static_cast<std::int32_t>(number(fields[7], "residency", 0, 2));
    row.moved = Bytes(number(fields[8], "expert_bytes", 0, kMostBytes));
    row.dropped = m_hasDropped && number(fields[9], "dropped", 0, 1) == 1;
    return true;
}

}  // namespace expertscope
