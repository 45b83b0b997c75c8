// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "app/cli/output.h"
#include "profiler/replay/advice.h"

namespace expertscope {

/// What was asked and what came of it.
struct AdviceReport {
    const ReplayBench* bench = nullptr;
    std::string model;    ///< as it is opened again: "demo", a folder
    std::string session;  ///< whose routing was replayed
    AdviceQuestion question;
    Advice advice;
    std::string memory;  ///< what of it is left for experts, one sentence
};

Json adviceJson(const AdviceReport& report);
std::string adviceText(const AdviceReport& report);

/// llama.cpp: experts of the last layers on the GPU as far as the budget goes, those of the first stay on the CPU.
std::string llamaCppCommand(const ModelFacts& model, Bytes budget);
/// The same by a tensor override, for builds that take no --n-cpu-moe.
std::string llamaCppOverride(const ModelFacts& model, Bytes budget);
std::string kTransformersCommand(const ModelFacts& model, Bytes budget);

}  // namespace expertscope
