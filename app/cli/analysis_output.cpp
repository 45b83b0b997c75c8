// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/analysis_output.h"

#include <cmath>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include "profiler/analysis/kept_tables.h"

namespace expertscope {
namespace {

/// `digits` significant ones of a real; 0: as many as give the same double back.
std::string cellText(const AnalysisCell& cell, int digits) {
    if (const auto* integer = std::get_if<std::int64_t>(&cell)) return std::to_string(*integer);
    if (const auto* real = std::get_if<double>(&cell)) {
        if (!std::isfinite(*real)) return {};
        return digits > 0 ? fmt::format("{:.{}g}", *real, digits) : fmt::format("{}", *real);
    }
    if (const auto* text = std::get_if<std::string>(&cell)) return *text;
    return {};
}

std::string csvField(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text)
        quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + '"';
}

std::string parametersOf(const AnalysisInfo& info) {
    if (info.source != AnalysisSource::Routing) return info.parameters;
    return info.parameters.empty() ? kRoutingParameters : info.parameters + ", " + kRoutingParameters;
}

const char* sourceName(AnalysisSource source) {
    switch (source) {
        case AnalysisSource::Routing:
            return "session";
        case AnalysisSource::Checkpoint:
            return "model";
        case AnalysisSource::Deep:
            return "session with deep capture";
    }
    return "";
}

}  // namespace

Json tablesJson(const std::vector<NamedTable>& tables) {
    Json analyses = Json::object();
    for (const auto& [name, table] : tables)
        analyses[name] = tableJson(table);
    return {{"analyses", std::move(analyses)}};
}

void printTablesJson(const std::vector<NamedTable>& tables) { printJson(tablesJson(tables)); }

void printTablesText(const std::vector<NamedTable>& tables) {
    for (const auto& [name, table] : tables) {
        if (&name != &tables.front().name) std::cout << '\n';
        std::cout << name << ": " << table.counted << '\n';
        if (table.rows.empty()) continue;
        std::vector<std::vector<std::string>> text{table.columns};
        for (const auto& row : table.rows) {
            auto& cells = text.emplace_back();
            for (const AnalysisCell& cell : row)
                cells.push_back(printable(cellText(cell, 5)));
        }
        std::cout << formatTable(text);
    }
}

void printTableCsv(const AnalysisTable& table) {
    std::string out;
    for (std::size_t c = 0; c < table.columns.size(); ++c)
        out += (c > 0 ? "," : "") + table.columns[c];
    out += '\n';
    for (const auto& row : table.rows) {
        for (std::size_t c = 0; c < row.size(); ++c)
            out += (c > 0 ? "," : "") + csvField(cellText(row[c], 0));
        out += '\n';
    }
    std::cout << out;
    std::cerr << table.counted << '\n';
}

void printAnalysesJson(const std::vector<AnalysisInfo>& catalogue) {
    Json list = Json::array();
    for (const AnalysisInfo& info : catalogue)
        list.push_back({{"name", info.name},
                        {"source", sourceName(info.source)},
                        {"parameters", parametersOf(info)},
                        {"needs", info.needs},
                        {"summary", info.summary},
                        {"reference", info.reference}});
    printJson({{"analyses", std::move(list)}});
}

void printAnalysesText(const std::vector<AnalysisInfo>& catalogue) {
    std::vector<std::vector<std::string>> rows{{"name", "of", "what", "parameters", "needs"}};
    for (const AnalysisInfo& info : catalogue)
        rows.push_back({info.name, sourceName(info.source), info.summary, info.parameters, info.needs});
    std::cout << formatTable(rows)
              << fmt::format(
                     "\nAnalyses of sessions also take {} (warmup=exclude leaves out runs of 32 and more tokens "
                     "that were routed exactly alike).\n",
                     kRoutingParameters);
}

}  // namespace expertscope
