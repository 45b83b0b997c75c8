// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/megatron_import.h"

#include <deque>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "profiler/interchange/inflated_input.h"
#include "profiler/interchange/routing_import.h"

namespace expertscope {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostLayers = 4096, kMostExperts = 65'536, kMostNumber = std::int64_t{1} << 30;

class MegatronRows : public RouteRowSource {
public:
    explicit MegatronRows(const std::filesystem::path& file) : m_file(file), m_in(openInput(file)) {
        m_model.name = file.stem().string();
        m_model.path = file.string();
    }
    const ModelFacts& model() const override { return m_model; }
    bool next(RouteRow& row) override {
        while (m_rows.empty()) {
            std::string text;
            if (!std::getline(*m_in, text)) return false;
            ++m_line;
            if (text.find_first_not_of(" \t\r") != std::string::npos) takeLine(text);
        }
        row = m_rows.front();
        m_rows.pop_front();
        return true;
    }
    [[noreturn]] void refuse(std::int64_t place, const std::string& what) const override {
        throw BadInputError(fmt::format("Line {} of {} {}: copy the trace again.", place, m_file.string(), what));
    }
    std::vector<std::string> notes() const override {
        std::vector<std::string> notes{
            "Router traces hold neither weights nor times; a token's experts may come in rising order instead of by "
            "rank."};
        if (m_mtp > 0)
            notes.push_back(fmt::format("{} lines of multi-token prediction (block 'mtp') were left out.", m_mtp));
        return notes;
    }

private:
    std::int64_t number(const json& record, const char* key, std::int64_t most) const {
        const auto found = record.find(key);
        if (found == record.end() || !found->is_number_integer())
            refuse(m_line, fmt::format("has no whole number for {}", key));
        const auto value = found->get<std::int64_t>();
        if (value < 0 || value > most) refuse(m_line, fmt::format("has {}={}, outside 0 to {}", key, value, most));
        return value;
    }

    /// From 0. Before records named their block, they numbered layers as Megatron does inside, from 1.
    std::int64_t layerOf(const json& record) {
        const std::int64_t layer = number(record, "layer", kMostLayers - 1);
        if (m_firstLine) m_firstLayer = record.contains("block") || layer == 0 ? 0 : 1;
        if (layer < m_firstLayer) refuse(m_line, "has layer=0 in a trace that counts layers from 1");
        return layer - m_firstLayer;
    }

    void takeLine(const std::string& text) {
        json record;
        try {
            record = json::parse(text);
        } catch (const json::parse_error& error) {
            refuse(m_line, fmt::format("is no JSON at its byte {}", error.byte));
        }
        if (!record.is_object()) refuse(m_line, "is no object");
        const auto block = record.find("block");
        if (block != record.end() && *block == "mtp") {
            ++m_mtp;
            return;
        }
        const std::int64_t step = number(record, "step", kMostNumber), layer = layerOf(record),
                           tokens = number(record, "num_tokens", kMostNumber);
        const auto indices = record.find("top_indices");
        if (indices == record.end() || !indices->is_array()) refuse(m_line, "has no list top_indices");
        if (static_cast<std::int64_t>(indices->size()) != tokens)
            refuse(m_line, fmt::format("has {} lists of experts for {} tokens", indices->size(), tokens));
        // In training a step runs several micro-batches, each through all layers.
        if (step != m_step || m_layers.contains(layer) || m_firstLine) beginStep(step, tokens);
        m_layers.insert(layer);
        if (tokens != m_tokens)
            refuse(m_line, fmt::format("has {} tokens where the step's first layer had {}", tokens, m_tokens));
        for (std::size_t t = 0; t < indices->size(); ++t)
            takeToken((*indices)[t], layer, static_cast<std::int32_t>(t));
    }

    void beginStep(std::int64_t step, std::int64_t tokens) {
        if (step < m_step) refuse(m_line, fmt::format("goes back to step {}", step));
        const bool prompt = tokens > 1;
        if (prompt && !m_firstLine) ++m_turn;
        m_position = prompt || m_firstLine ? 0 : m_position + static_cast<std::int32_t>(m_tokens);
        m_phase = prompt ? Phase::Prefill : Phase::Decode;
        m_firstLine = false;
        m_step = step;
        m_tokens = tokens;
        m_layers.clear();
    }

    void takeToken(const json& experts, std::int64_t layer, std::int32_t token) {
        if (!experts.is_array()) refuse(m_line, fmt::format("has no list of experts for token {}", token));
        std::int32_t slot = 0;
        for (const json& expert : experts) {
            if (!expert.is_number_integer())
                refuse(m_line, fmt::format("has an expert of token {} that is no number", token));
            const auto id = expert.get<std::int64_t>();
            if (id < 0 || id >= kMostExperts) refuse(m_line, fmt::format("has expert {} for token {}", id, token));
            RouteRow& row = m_rows.emplace_back();
            row.line = m_line;
            row.turn = m_turn;
            row.phase = m_phase;
            row.position = m_position + token;
            row.layer = LayerIndex(static_cast<std::int32_t>(layer));
            row.slot = slot++;
            row.expert = ExpertId(static_cast<std::int32_t>(id));
        }
    }

    std::filesystem::path m_file;
    std::unique_ptr<std::istream> m_in;
    ModelFacts m_model;
    std::deque<RouteRow> m_rows;
    std::int64_t m_line = 0, m_step = -1, m_tokens = 0, m_mtp = 0, m_firstLayer = 0;
    std::set<std::int64_t> m_layers;  ///< that the step has routed
    std::int32_t m_turn = 0, m_position = 0;
    Phase m_phase = Phase::Prefill;
    bool m_firstLine = true;
};

}  // namespace

bool isMegatronTrace(const FileHead& head) {
    const std::size_t first = head.bytes.find_first_not_of(" \t\r\n");
    return first != std::string::npos && head.bytes[first] == '{' && head.holds("\"top_indices\"");
}

ImportedRun importMegatron(const std::filesystem::path& file, const std::filesystem::path& session,
                           const ImportOptions& options) {
    return importRouting([&] { return std::make_unique<MegatronRows>(file); }, session, options);
}

}  // namespace expertscope
