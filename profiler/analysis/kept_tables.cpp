// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/kept_tables.h"

#include <cmath>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "storage/analysis_results.h"

namespace expertscope {
namespace {

using Json = nlohmann::ordered_json;

Json cellJson(const AnalysisCell& cell) {
    if (const auto* integer = std::get_if<std::int64_t>(&cell)) return *integer;
    if (const auto* real = std::get_if<double>(&cell)) return std::isfinite(*real) ? Json(*real) : Json(nullptr);
    if (const auto* text = std::get_if<std::string>(&cell)) return *text;
    return nullptr;
}

AnalysisCell cellOf(const Json& json) {
    if (json.is_number_integer()) return json.get<std::int64_t>();
    if (json.is_number()) return json.get<double>();
    if (json.is_string()) return json.get<std::string>();
    return {};
}

/// Token texts may be parts of characters; the file holds UTF-8.
std::string written(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

AnalysisKey keyOf(const std::string& subject, const AnalysisInfo& info, const std::string& text) {
    return {.subject = subject, .name = text, .version = info.version};
}

}  // namespace

Json tableJson(const AnalysisTable& table) {
    Json rows = Json::array();
    for (const auto& row : table.rows) {
        Json cells = Json::array();
        for (const AnalysisCell& cell : row)
            cells.push_back(cellJson(cell));
        rows.push_back(std::move(cells));
    }
    return {{"counted", table.counted}, {"columns", table.columns}, {"rows", std::move(rows)}};
}

std::string subjectOf(RunId run) { return fmt::format("run:{}", run.value()); }

std::string subjectOf(const ModelFacts& model) { return "model:" + model.fingerprint; }

void keepTable(const std::filesystem::path& session, const std::string& subject, const AnalysisInfo& info,
               const std::string& text, const AnalysisTable& table) {
    const Json json = tableJson(table);
    keepAnalysis(session, keyOf(subject, info, text), {table.counted, written(json["columns"]), written(json["rows"])});
}

std::optional<AnalysisTable> keptTable(const std::filesystem::path& session, const std::string& subject,
                                       const AnalysisInfo& info, const std::string& text) {
    const auto kept = keptAnalysis(session, keyOf(subject, info, text));
    if (!kept) return std::nullopt;
    const Json columns = Json::parse(kept->columns, nullptr, false), rows = Json::parse(kept->rows, nullptr, false);
    if (!columns.is_array() || !rows.is_array()) return std::nullopt;  // written by something else: computed again
    AnalysisTable table;
    table.counted = kept->counted;
    for (const Json& column : columns)
        table.columns.push_back(column.is_string() ? column.get<std::string>() : "");
    for (const Json& row : rows) {
        auto& cells = table.rows.emplace_back();
        for (const Json& cell : row)
            cells.push_back(cellOf(cell));
        if (cells.size() != table.columns.size()) return std::nullopt;
    }
    return table;
}

AnalysisTable keptOrMade(const std::filesystem::path& session, const std::string& subject, const AnalysisInfo& info,
                         const std::string& text, const std::function<AnalysisTable()>& make) {
    if (auto kept = keptTable(session, subject, info, text)) return std::move(*kept);
    AnalysisTable made = make();
    try {
        keepTable(session, subject, info, text, made);
    } catch (const FailedError&) {
        // Who may not write the session still may look at it.
    }
    return made;
}

}  // namespace expertscope
