// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/csv_route_rows.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "profiler/interchange/import_pulse.h"
#include "profiler/interchange/inflated_input.h"

namespace expertscope {
namespace {

constexpr std::int32_t kMost = std::int32_t{1} << 30;
constexpr std::int32_t kMostLayers = 4096;
constexpr std::int32_t kMostExperts = 65'535;
constexpr std::int32_t kMostSlots = 4096;

/// The names that tools give a column.
struct Alias {
    std::string_view name;
    int CsvColumns::*column;
};
constexpr Alias kAliases[] = {
    {"token", &CsvColumns::token},
    {"token_idx", &CsvColumns::token},
    {"token_index", &CsvColumns::token},
    {"position", &CsvColumns::token},
    {"pos", &CsvColumns::token},
    {"layer", &CsvColumns::layer},
    {"layer_id", &CsvColumns::layer},
    {"layer_idx", &CsvColumns::layer},
    {"expert", &CsvColumns::expert},
    {"expert_id", &CsvColumns::expert},
    {"expert_idx", &CsvColumns::expert},
    {"weight", &CsvColumns::weight},
    {"gate_weight", &CsvColumns::weight},
    {"routing_weight", &CsvColumns::weight},
    {"score", &CsvColumns::weight},
    {"prob", &CsvColumns::weight},
    {"slot", &CsvColumns::slot},
    {"rank", &CsvColumns::slot},
    {"request", &CsvColumns::request},
    {"turn", &CsvColumns::request},
    {"req_id", &CsvColumns::request},
    {"request_id", &CsvColumns::request},
    {"seq_id", &CsvColumns::request},
    {"phase", &CsvColumns::phase},
    {"is_decode", &CsvColumns::phase},
    {"step", &CsvColumns::step},
    {"forward_pass_id", &CsvColumns::step},
    {"outcome", &CsvColumns::outcome},
    {"token_id", &CsvColumns::tokenId},
};

std::string_view trimmed(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
    while (!text.empty() && blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && blank(text.back()))
        text.remove_suffix(1);
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
    return text;
}

template <class Take>
void eachField(std::string_view line, char separator, const Take& take) {
    for (std::size_t from = 0;;) {
        const std::size_t end = std::min(line.find(separator, from), line.size());
        take(trimmed(line.substr(from, end - from)));
        if (end == line.size()) return;
        from = end + 1;
    }
}

bool isNumber(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

char separatorOf(std::string_view line) {
    for (const char separator : {',', ';', '\t'})
        if (line.find(separator) != std::string_view::npos) return separator;
    return ',';
}

void takeName(CsvColumns& columns, std::string_view field) {
    std::string name(field);
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : char(c); });
    const auto alias = std::ranges::find(kAliases, name, &Alias::name);
    if (alias == std::end(kAliases) || columns.*alias->column >= 0) {
        columns.ignored.emplace_back(field);
        return;
    }
    columns.*alias->column = columns.count;
}

}  // namespace

std::optional<CsvColumns> findCsvColumns(std::string_view line) {
    CsvColumns columns;
    columns.separator = separatorOf(line);
    bool numbers = true;
    eachField(line, columns.separator, [&](std::string_view field) {
        numbers = numbers && isNumber(field);
        takeName(columns, field);
        ++columns.count;
    });
    if (numbers) {
        if (columns.count != 3 && columns.count != 4) return std::nullopt;
        return CsvColumns{.token = 0,
                          .layer = 1,
                          .expert = 2,
                          .weight = columns.count == 4 ? 3 : -1,
                          .count = columns.count,
                          .separator = columns.separator,
                          .ignored = {}};
    }
    columns.header = true;
    if (columns.token < 0 || columns.layer < 0 || columns.expert < 0) return std::nullopt;
    return columns;
}

CsvRouteReader::CsvRouteReader(const std::filesystem::path& file) : m_file(file), m_in(openInput(file)) {
    if (!nextLine())
        throw BadInputError(fmt::format("{} holds no line: name a table with token, layer and expert.", file.string()));
    const std::optional<CsvColumns> columns = findCsvColumns(m_text);
    if (!columns)
        throw BadInputError(
            fmt::format("Line {} of {} names no columns token, layer and expert, and is not three or four numbers: "
                        "name the columns in the first line.",
                        m_line, file.string()));
    m_columns = *columns;
    m_pending = !columns->header;
}

void CsvRouteReader::refuse(std::int64_t line, const std::string& what) const {
    throw BadInputError(
        fmt::format("Line {} of {} {}: correct it or write the table again.", line, m_file.string(), what));
}

/// The next line that holds anything and is no comment.
bool CsvRouteReader::nextLine() {
    while (std::getline(*m_in, m_text)) {
        ++m_line;
        if (m_line == 1 && m_text.starts_with("\xEF\xBB\xBF")) m_text.erase(0, 3);
        if (!m_text.empty() && m_text.back() == '\r') m_text.pop_back();
        if (!m_text.empty() && m_text.front() != '#') return true;
    }
    return false;
}

void CsvRouteReader::split() {
    m_fields.clear();
    eachField(m_text, m_columns.separator, [&](std::string_view field) { m_fields.push_back(field); });
    if (m_fields.size() != static_cast<std::size_t>(m_columns.count))
        refuse(m_line, fmt::format("has {} fields where {} belong", m_fields.size(), m_columns.count));
}

std::int32_t CsvRouteReader::integer(int column, const char* name, std::int32_t from) const {
    const std::string_view field = m_fields[static_cast<std::size_t>(column)];
    std::int32_t value = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (field.empty() || error != std::errc() || end != field.data() + field.size())
        refuse(m_line, fmt::format("has no whole number for {}", name));
    if (value < from || value > kMost)
        refuse(m_line, fmt::format("has {}={}, outside {} to {}", name, value, from, kMost));
    return value;
}

float CsvRouteReader::real(int column) const {
    const std::string_view field = m_fields[static_cast<std::size_t>(column)];
    if (field.empty() || field == "nan" || field == "NaN") return std::numeric_limits<float>::quiet_NaN();
    float value = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc() || end != field.data() + field.size()) refuse(m_line, "has no number for weight");
    return value;
}

void CsvRouteReader::readWords(RouteRow& row) const {
    if (m_columns.phase >= 0) {
        const std::string_view phase = m_fields[static_cast<std::size_t>(m_columns.phase)];
        if (phase == "0" || phase == "prefill" || phase == "prompt")
            row.phase = Phase::Prefill;
        else if (phase != "1" && phase != "decode")
            refuse(m_line, fmt::format("has phase '{}', which is neither prefill nor decode", phase));
    }
    if (m_columns.outcome >= 0) {
        const std::string_view outcome = m_fields[static_cast<std::size_t>(m_columns.outcome)];
        if (outcome != "hit" && outcome != "miss" && outcome != "in-flight")
            refuse(m_line, fmt::format("has outcome '{}', which is none of hit, in-flight and miss", outcome));
        row.residency = outcome == "miss" ? 0 : 1;
    }
}

bool CsvRouteReader::next(RouteRow& row) {
    if (!m_pending && !nextLine()) return false;
    m_pending = false;
    split();
    row = {};
    row.line = m_line;
    row.phase = Phase::Decode;
    row.slot = -1;
    row.position = integer(m_columns.token, "token");
    const std::int32_t layer = integer(m_columns.layer, "layer");
    const std::int32_t expert = integer(m_columns.expert, "expert");
    if (layer >= kMostLayers) refuse(m_line, fmt::format("has layer={}, which no model has", layer));
    if (expert >= kMostExperts) refuse(m_line, fmt::format("has expert={}, which no model has", expert));
    row.layer = LayerIndex(layer);
    row.expert = ExpertId(expert);
    if (m_columns.weight >= 0) row.weight = real(m_columns.weight);
    if (m_columns.slot >= 0) row.slot = integer(m_columns.slot, "slot");
    if (row.slot >= kMostSlots) refuse(m_line, fmt::format("has slot={}, which no model has", row.slot));
    // In a table in order of layers the tokens start again with every next layer.
    if (row.position < m_lastToken && layer <= m_lastLayer && m_columns.step < 0) ++m_turn;
    m_lastToken = row.position;
    m_lastLayer = layer;
    row.turn = m_columns.request >= 0 ? integer(m_columns.request, "request") : m_turn;
    if (m_columns.step >= 0) row.step = integer(m_columns.step, "step");
    if (m_columns.tokenId >= 0) row.tokenId = integer(m_columns.tokenId, "token_id", -1);
    readWords(row);
    return true;
}

CsvLayout surveyCsv(const std::filesystem::path& file, const ImportOptions& options) {
    CsvRouteReader reader(file);
    CsvLayout layout;
    const bool steps = reader.columns().step >= 0;
    std::vector<std::int32_t> firstToken;  ///< [step]
    RouteRow row, last;
    bool any = false;
    ImportPulse pulse(options, ImportProgress::Stage::Reading);
    while (reader.next(row)) {
        pulse.beat();
        const auto key = [&](const RouteRow& r) {
            const bool prompt = !steps && r.phase == Phase::Prefill;
            return std::tuple(r.turn, steps ? r.step : static_cast<std::int32_t>(r.phase),
                              prompt || steps ? 0 : r.position);
        };
        if (any && key(row) < key(last)) layout.streams = false;
        if (steps) {
            const auto step = static_cast<std::size_t>(row.step);
            // A step number far beyond the lines read would only make the tables below huge.
            if (row.step > row.line + 1'000'000) reader.refuse(row.line, fmt::format("jumps to step {}", row.step));
            if (firstToken.size() <= step) firstToken.resize(step + 1, -1), layout.manyTokens.resize(step + 1, false);
            if (firstToken[step] < 0) firstToken[step] = row.position;
            if (firstToken[step] != row.position) layout.manyTokens[step] = true;
        }
        last = row;
        any = true;
    }
    return layout;
}

CsvRouteRows::CsvRouteRows(const std::filesystem::path& file, const CsvLayout& layout)
    : m_reader(file), m_layout(&layout) {
    m_model.name = file.stem().string();
    m_model.path = file.string();
    if (!layout.streams) hold();
}

void CsvRouteRows::hold() {
    RouteRow row;
    while (m_reader.next(row)) {
        m_held.push_back({row.turn, row.step, row.position, row.tokenId, static_cast<std::uint32_t>(row.line),
                          row.weight, static_cast<std::uint16_t>(row.layer.value()),
                          static_cast<std::uint16_t>(row.expert.value()), static_cast<std::int16_t>(row.slot),
                          static_cast<std::int8_t>(row.residency), static_cast<std::int8_t>(row.phase)});
    }
    std::ranges::sort(m_held, {},
                      [](const Held& h) { return std::tuple(h.turn, h.step, h.phase, h.token, h.layer, h.line); });
}

bool CsvRouteRows::next(RouteRow& row) {
    if (m_layout->streams) {
        if (!m_reader.next(row)) return false;
    } else {
        if (m_nextHeld == m_held.size()) return false;
        const Held& h = m_held[m_nextHeld++];
        row = {};
        row.turn = h.turn;
        row.step = h.step;
        row.position = h.token;
        row.tokenId = h.tokenId;
        row.line = h.line;
        row.weight = h.weight;
        row.layer = LayerIndex(h.layer);
        row.expert = ExpertId(h.expert);
        row.slot = h.slot;
        row.residency = std::int32_t{h.residency};
        row.phase = static_cast<Phase>(h.phase);
    }
    place(row);
    return true;
}

/// Gives the row its phase, where steps tell it, and its turn: a new one where a prompt follows decoded tokens.
void CsvRouteRows::place(RouteRow& row) {
    if (row.step >= 0 && m_reader.columns().phase < 0)
        row.phase = m_layout->manyTokens[static_cast<std::size_t>(row.step)] ? Phase::Prefill : Phase::Decode;
    const bool newRequest = row.turn != m_lastFileTurn || (m_lastPhase == Phase::Decode && row.phase == Phase::Prefill);
    if (!m_first && newRequest) ++m_turn;
    m_first = false;
    m_lastFileTurn = row.turn;
    m_lastPhase = row.phase;
    row.turn = m_turn;
}

void CsvRouteRows::refuse(std::int64_t place, const std::string& what) const { m_reader.refuse(place, what); }

std::vector<std::string> CsvRouteRows::notes() const {
    std::vector<std::string> notes;
    const CsvColumns& columns = m_reader.columns();
    if (!columns.ignored.empty())
        notes.push_back(
            fmt::format("Columns without a meaning here were passed over: {}.", fmt::join(columns.ignored, ", ")));
    if (columns.phase < 0 && columns.step < 0)
        notes.emplace_back("The table says neither phase nor step: every token counts as a decode step of its own.");
    return notes;
}

}  // namespace expertscope
