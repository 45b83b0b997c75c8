// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/profiler/analysis/vector_fixture.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

using nlohmann::json;

constexpr float kNotKnown = std::numeric_limits<float>::quiet_NaN();

ModelFacts modelOf(const json& trace) {
    ModelFacts model;
    model.name = "made up";
    model.layers = trace["model"]["layers"];
    model.experts = trace["model"]["experts"];
    model.topK = trace["model"]["top_k"];
    return model;
}

std::vector<SelectionRecord> selectionsOf(const json& trace) {
    std::vector<SelectionRecord> records;
    for (const json& row : trace["selections"]) {
        SelectionRecord& record = records.emplace_back();
        record.step = StepIndex(row[0]);
        record.token = TokenIndex(row[1]);
        record.layer = LayerIndex(row[2]);
        record.slot = row[3];
        record.expert = ExpertId(row[4]);
        record.weight = row[5].is_null() ? kNotKnown : row[5].get<float>();
        record.action = static_cast<SelectionAction>(row[6].get<int>());
    }
    return records;
}

std::vector<PredictionRecord> predictionsOf(const json& trace) {
    std::vector<PredictionRecord> records;
    for (const json& row : trace["predictions"]) {
        PredictionRecord& record = records.emplace_back();
        record.step = StepIndex(row[0]);
        record.token = TokenIndex(row[1]);
        record.fromLayer = LayerIndex(row[2]);
        record.targetLayer = LayerIndex(row[3]);
        record.expert = ExpertId(row[4]);
        record.rank = row[5];
        record.score = row[6];
        record.predictor = static_cast<PredictorKind>(row[7].get<int>());
    }
    return records;
}

std::vector<TokenRecord> tokensOf(const json& trace) {
    std::vector<TokenRecord> records;
    for (const json& row : trace["tokens"]) {
        TokenRecord& record = records.emplace_back();
        record.token = TokenIndex(row[0]);
        record.request = RequestIndex(row[1]);
        record.position = row[2];
        record.id = row[3];
        record.phase = static_cast<Phase>(row[4].get<int>());
        record.step = StepIndex(row[5]);
        record.bytes = "t" + std::to_string(record.id);
    }
    return records;
}

std::vector<RequestRecord> requestsOf(const json& trace) {
    std::vector<RequestRecord> records;
    for (const json& row : trace["requests"]) {
        RequestRecord& record = records.emplace_back();
        record.request = RequestIndex(row["request"]);
        record.label = row["label"];
        record.firstToken = TokenIndex(row["first_token"]);
        record.promptTokens = row["prompt_tokens"];
        record.generatedTokens = row["generated_tokens"];
    }
    return records;
}

/// other_trace() of make_vectors.py.
void makeOther(json& trace) {
    const int experts = trace["model"]["experts"];
    for (json& token : trace["tokens"])
        if (token[1] == 1 && token[2].get<int>() >= 10) token[3] = token[3].get<int>() + 1;
    for (json& row : trace["selections"])
        if (row[1].get<int>() % 3 == 0 && row[4].get<int>() < experts) row[4] = (row[4].get<int>() + 1) % experts;
}

/// The rows of the table that are compared: those with one of the named values in a column, or all.
std::vector<std::vector<AnalysisCell>> comparedRows(const AnalysisTable& table, const json& expected) {
    if (!expected.contains("only")) return table.rows;
    std::vector<std::vector<AnalysisCell>> rows;
    for (const auto& row : table.rows) {
        for (std::size_t c = 0; c < table.columns.size(); ++c) {
            if (!expected["only"].contains(table.columns[c])) continue;
            const json& values = expected["only"][table.columns[c]];
            if (std::ranges::find(values, json(std::get<std::string>(row[c]))) != values.end()) rows.push_back(row);
        }
    }
    return rows;
}

void expectCell(const AnalysisCell& cell, const json& expected, double tolerance, const std::string& where) {
    if (expected.is_string()) {
        const auto* text = std::get_if<std::string>(&cell);
        ASSERT_NE(text, nullptr) << where;
        EXPECT_EQ(*text, expected.get<std::string>()) << where;
        return;
    }
    double value = std::numeric_limits<double>::quiet_NaN();
    if (const auto* integer = std::get_if<std::int64_t>(&cell)) value = static_cast<double>(*integer);
    if (const auto* real = std::get_if<double>(&cell)) value = *real;
    if (expected.is_null()) {
        EXPECT_FALSE(std::isfinite(value)) << where << ": " << value;
        return;
    }
    const auto wanted = expected.get<double>();
    EXPECT_NEAR(value, wanted, tolerance > 0 ? tolerance : 1e-9 * std::max(1.0, std::abs(wanted))) << where;
}

}  // namespace

json analysisData(const std::string& file) {
    std::ifstream in(std::string(EXPERTSCOPE_ANALYSIS_DATA) + "/" + file);
    return json::parse(in);
}

RunRouting vectorRouting(VectorRun which) {
    json trace = analysisData("trace.json");
    if (which == VectorRun::Other) makeOther(trace);
    RunRoutingBuilder builder(modelOf(trace));
    std::vector<SelectionRecord> selections = selectionsOf(trace);
    if (which == VectorRun::Backwards) std::ranges::reverse(selections);
    builder.add(std::span<const SelectionRecord>(selections));
    builder.add(std::span<const PredictionRecord>(predictionsOf(trace)));
    builder.add(std::span<const TokenRecord>(tokensOf(trace)));
    return builder.finish(requestsOf(trace));
}

void expectTable(const AnalysisTable& table, const json& expected, const std::string& name) {
    const auto rows = comparedRows(table, expected);
    ASSERT_EQ(rows.size(), expected["rows"].size()) << name;
    for (std::size_t c = 0; c < expected["columns"].size(); ++c) {
        const std::string column = expected["columns"][c];
        const auto found = std::ranges::find(table.columns, column);
        ASSERT_NE(found, table.columns.end()) << name << " lacks " << column;
        const auto at = static_cast<std::size_t>(found - table.columns.begin());
        const double tolerance = expected.contains("tolerance") ? expected["tolerance"].value(column, 0.0) : 0.0;
        for (std::size_t r = 0; r < rows.size(); ++r) {
            ASSERT_EQ(rows[r].size(), table.columns.size()) << name;
            expectCell(rows[r][at], expected["rows"][r][c], tolerance,
                       name + " " + column + " row " + std::to_string(r));
        }
    }
}

}  // namespace expertscope
