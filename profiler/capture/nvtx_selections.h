// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/events.h"
#include "engine/base/run_facts.h"
#include "profiler/capture/nvtx_moe.h"

namespace expertscope {

/// Makes tokens and selections of what an engine tells through NVTX (docs/NVTX.md), step by step: a step is told when
/// the next one begins. What nobody told of the model is counted from the selections.
class NvtxSelections {
public:
    NvtxSelections(Observer& observer, const ModelFacts& known);

    /// `process`: choices are taken from the first process that tells some; other ranks of it tell the same.
    void take(const MoeMessage& message, std::int64_t process, Nanoseconds time);
    /// Tells the last step and what was not understood.
    void finish(Nanoseconds time);

    const ModelFacts& model() const { return m_model; }
    std::int64_t selections() const { return m_told; }
    std::int64_t accesses() const { return m_accesses; }
    std::int64_t promptTokens() const { return m_request.promptTokens; }
    std::int64_t generatedTokens() const { return m_request.generatedTokens; }
    /// Between the first and the last generated token's step.
    Nanoseconds generating() const { return m_lastTokenTime - m_request.firstTokenTime; }

private:
    struct Row {
        std::int32_t layer, token, slot, expert;
        float weight;
    };
    void take(const MoeSelect& select, Nanoseconds time);
    void take(const MoeModel& model);
    bool beginsStep(const MoeSelect& select) const;
    std::string faultOf(const MoeSelect& select) const;
    void reject(const std::string& fault, Nanoseconds time);
    void finishStep();
    void tellTokens();
    void tellModel();

    Observer* m_observer;
    ModelFacts m_model;
    bool m_modelChanged = false, m_expertsTold = false;
    RequestRecord m_request;
    std::vector<Row> m_rows;
    std::int64_t m_process = -1;
    std::int64_t m_lastLayer = -1, m_lastToken = -1, m_lastToldStep = -1;
    std::int32_t m_step = 0, m_firstToken = 0, m_nextToken = 0;
    Nanoseconds m_stepTime, m_lastTokenTime;
    std::int64_t m_told = 0, m_accesses = 0, m_rejected = 0, m_otherProcesses = 0;
    std::string m_fault;  ///< of the first that was rejected
    Nanoseconds m_faultTime;
};

}  // namespace expertscope
