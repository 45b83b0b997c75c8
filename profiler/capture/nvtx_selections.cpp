// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_selections.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include <fmt/format.h>

namespace expertscope {
namespace {

// Far above any model there is: what says more is a mistake, and views have a row for each.
constexpr std::int64_t kMostLayers = 4096;
constexpr std::int64_t kMostExperts = 65'536;
constexpr std::int64_t kMostTokens = std::numeric_limits<std::int32_t>::max() / 2;

bool isAbove(std::int32_t& most, std::int64_t value) {
    if (value <= most) return false;
    most = static_cast<std::int32_t>(value);
    return true;
}

}  // namespace

NvtxSelections::NvtxSelections(Observer& observer, const ModelFacts& known) : m_observer(&observer), m_model(known) {}

void NvtxSelections::take(const MoeMessage& message, std::int64_t process, Nanoseconds time) {
    if (!message.fault.empty()) return reject(message.fault, time);
    if (message.model) take(*message.model);
    if (!message.select) return;
    if (m_process < 0) m_process = process;
    if (m_process != process) {
        ++m_otherProcesses;
        return;
    }
    const std::string fault = faultOf(*message.select);
    fault.empty() ? take(*message.select, time) : reject(fault, time);
}

void NvtxSelections::reject(const std::string& fault, Nanoseconds time) {
    if (m_rejected++ > 0) return;
    m_fault = fault;
    m_faultTime = time;
}

void NvtxSelections::take(const MoeModel& model) {
    if (!model.name.empty()) m_model.name = model.name;
    const auto set = [](std::int32_t& to, std::int64_t value, std::int64_t most) {
        if (value > 0 && value <= most) to = std::max(to, static_cast<std::int32_t>(value));
    };
    set(m_model.layers, model.layers, kMostLayers);
    set(m_model.experts, model.experts, kMostExperts);
    set(m_model.topK, model.topK, kMostExperts);
    m_expertsTold = m_expertsTold || model.experts > 0;
    if (model.expertBytes > 0) m_model.expertBytes = Bytes(model.expertBytes);
    m_modelChanged = true;
}

std::string NvtxSelections::faultOf(const MoeSelect& select) const {
    if (select.layer >= kMostLayers) return fmt::format("layer {} is more than a model has", select.layer);
    if (std::max<std::int64_t>(select.token, m_nextToken) > kMostTokens)
        return fmt::format("token {} is more than a run has", select.token);
    for (const auto& row : select.experts)
        for (const std::int64_t expert : row)
            if (expert < 0 || expert >= kMostExperts) return fmt::format("expert {} is none that a model has", expert);
    return {};
}

bool NvtxSelections::beginsStep(const MoeSelect& select) const {
    if (m_rows.empty()) return false;
    if (select.step >= 0 && m_lastToldStep >= 0) return select.step != m_lastToldStep;
    if (select.layer != m_lastLayer) return select.layer < m_lastLayer;
    // The same layer again: another token of the step, or the next step of a model with one such layer.
    return select.token < 0 || select.token <= m_lastToken;
}

void NvtxSelections::take(const MoeSelect& select, Nanoseconds time) {
    if (beginsStep(select)) finishStep();
    if (m_rows.empty()) m_stepTime = time;
    m_lastLayer = select.layer;
    m_lastToldStep = select.step;
    auto token = static_cast<std::int32_t>(select.token >= 0 ? select.token : m_firstToken);
    for (std::size_t i = 0; i < select.experts.size(); ++i, ++token) {
        for (std::size_t slot = 0; slot < select.experts[i].size(); ++slot) {
            const float weight = select.weights.empty() ? std::numeric_limits<float>::quiet_NaN()
                                                        : static_cast<float>(select.weights[i][slot]);
            m_rows.push_back({static_cast<std::int32_t>(select.layer), token, static_cast<std::int32_t>(slot),
                              static_cast<std::int32_t>(select.experts[i][slot]), weight});
            m_modelChanged = isAbove(m_model.experts, select.experts[i][slot] + 1) || m_modelChanged;
        }
        m_modelChanged = isAbove(m_model.topK, static_cast<std::int64_t>(select.experts[i].size())) || m_modelChanged;
        m_lastToken = token;
        m_nextToken = std::max(m_nextToken, token + 1);
    }
    m_modelChanged = isAbove(m_model.layers, select.layer + 1) || m_modelChanged;
}

void NvtxSelections::finishStep() {
    if (m_rows.empty()) return;
    std::ranges::stable_sort(m_rows, {}, [](const Row& r) { return std::tie(r.layer, r.token, r.slot); });
    if (m_modelChanged) tellModel();
    tellTokens();
    std::vector<SelectionRecord> records;
    std::vector<std::int32_t> usedBy(static_cast<std::size_t>(m_model.experts), -1);  // the layer that last used it
    for (const Row& row : m_rows) {
        SelectionRecord& record = records.emplace_back();
        record.step = StepIndex(m_step);
        record.token = TokenIndex(row.token);
        record.layer = LayerIndex(row.layer);
        record.slot = row.slot;
        record.expert = ExpertId(row.expert);
        record.weight = row.weight;
        record.norm = std::numeric_limits<float>::quiet_NaN();
        std::int32_t& user = usedBy[static_cast<std::size_t>(row.expert)];
        record.firstUse = user != row.layer;
        user = row.layer;
        m_accesses += record.firstUse ? 1 : 0;
    }
    m_observer->onSelections(records);
    m_told += static_cast<std::int64_t>(records.size());
    m_rows.clear();
    ++m_step;
    m_firstToken = m_nextToken;
    m_lastLayer = m_lastToken = -1;
}

/// The step's tokens that no step had before it.
void NvtxSelections::tellTokens() {
    std::vector<std::int32_t> tokens;
    for (const Row& row : m_rows)
        if (row.token >= m_firstToken) tokens.push_back(row.token);
    std::ranges::sort(tokens);
    const auto repeated = std::ranges::unique(tokens);
    tokens.erase(repeated.begin(), repeated.end());
    if (tokens.empty()) return;
    if (m_told == 0) {
        m_request.firstToken = TokenIndex(tokens.front());
        m_request.start = m_stepTime;
    }
    const Phase phase = tokens.size() == 1 && m_step > 0 ? Phase::Decode : Phase::Prefill;
    (phase == Phase::Prefill ? m_request.promptTokens : m_request.generatedTokens) +=
        static_cast<std::int32_t>(tokens.size());
    if (phase == Phase::Decode) {
        if (m_request.firstTokenTime.count() == 0) m_request.firstTokenTime = m_stepTime;
        m_lastTokenTime = m_stepTime;
    }
    for (const std::int32_t token : tokens) {
        TokenRecord record;
        record.token = TokenIndex(token);
        record.position = token - m_request.firstToken.value();
        record.id = -1;
        record.phase = phase;
        record.step = StepIndex(m_step);
        record.time = m_stepTime;
        record.logProbability = std::numeric_limits<float>::quiet_NaN();
        m_observer->onToken(record);
    }
}

void NvtxSelections::tellModel() {
    m_modelChanged = false;
    // Where nobody says how large an expert is, budgets and bytes count experts.
    if (m_model.expertBytes.count() == 0) m_model.expertBytes = Bytes(1);
    m_model.totalExpertBytes = m_model.expertBytes * (std::int64_t{m_model.layers} * m_model.experts);
    m_model.fingerprint = fmt::format("recorded:{}:{}:{}:{}:{}", m_model.name, m_model.layers, m_model.experts,
                                      m_model.topK, m_model.expertBytes.count());
    m_observer->onModel(m_model);
}

void NvtxSelections::finish(Nanoseconds time) {
    finishStep();
    if (m_modelChanged) tellModel();
    if (m_told > 0) {
        m_request.end = time;
        m_request.stopped = "tokens";
        m_observer->onRequest(m_request);
        if (!m_expertsTold)
            m_observer->onDiagnostic(
                {.time = time,
                 .name = "model_counted",
                 .severity = Severity::Info,
                 .sentence = fmt::format("The program did not say how many experts a layer has: {} is one more than "
                                         "the highest that was chosen (a moe.model message tells it).",
                                         m_model.experts)});
    }
    if (m_rejected > 0)
        m_observer->onDiagnostic({.time = m_faultTime,
                                  .name = "moe_messages_rejected",
                                  .severity = Severity::Warning,
                                  .count = m_rejected,
                                  .sentence = fmt::format("{} messages about the model's choices were not understood, "
                                                          "the first because {}; see docs/NVTX.md.",
                                                          m_rejected, m_fault),
                                  .end = time});
    if (m_otherProcesses > 0)
        m_observer->onDiagnostic({.time = time,
                                  .name = "moe_messages_of_other_processes",
                                  .severity = Severity::Info,
                                  .count = m_otherProcesses,
                                  .sentence = fmt::format("{} selections of further processes were left out: those of "
                                                          "the first process that told any were kept.",
                                                          m_otherProcesses)});
}

}  // namespace expertscope
