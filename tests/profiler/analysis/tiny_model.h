// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <bit>
#include <filesystem>
#include <functional>
#include <string>

#include "engine/model/checkpoint.h"
#include "profiler/analysis/analysis_catalogue.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope {

/// Of the analyses' test data.
inline std::filesystem::path analysisFolder(const std::string& name) {
    return std::filesystem::path(EXPERTSCOPE_ANALYSIS_DATA) / name;
}

/// One analysis of a model, named with its parameters.
inline AnalysisTable analyse(const std::string& text, const Checkpoint& checkpoint, WeightStudy* study = nullptr) {
    AnalysisInput input;
    input.checkpoint = &checkpoint;
    input.weights = study;
    return runAnalysis(analysisInfo(analysisCatalogue(), text), text, input);
}

/// A tiny model, its tensors changed by `change` before they are written.
struct TinyModel {
    explicit TinyModel(const test::TinyQwen3Moe& options, const std::function<void(test::RawTensor&)>& change = {}) {
        writeTinyQwen3Moe(folder.path(), options);
        std::vector<test::RawTensor> tensors = tinyTensors(options);
        if (change)
            for (test::RawTensor& tensor : tensors)
                change(tensor);
        writeTensors(folder.path(), tensors);
    }
    Checkpoint open() const { return Checkpoint::open(folder.path()); }
    test::TemporaryFolder folder;
};

/// Changes the first element (BF16) of a tensor.
inline void setFirst(test::RawTensor& tensor, float value) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    tensor.data[0] = static_cast<char>((bits >> 16) & 0xFFU);
    tensor.data[1] = static_cast<char>(bits >> 24);
}

}  // namespace expertscope
