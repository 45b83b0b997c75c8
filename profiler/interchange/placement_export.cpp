// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/placement_export.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "profiler/interchange/little_endian.h"
#include "profiler/interchange/output_file.h"
#include "profiler/interchange/placement.h"
#include "profiler/interchange/torch_file.h"

namespace expertscope {
namespace {

Bytes budgetOf(const ExpertUses& uses, const std::optional<SizeSpec>& asked) {
    Bytes all;
    for (const Bytes bytes : uses.bytes)
        all += bytes * uses.experts;
    const Bytes budget = asked ? asked->of(all) : uses.budget;
    if (budget.count() == 0)
        throw UsageError("The run has no budget to place experts by: give the GPU's expert bytes with --budget SIZE.");
    if (budget < std::ranges::min(uses.bytes))
        throw UsageError(
            fmt::format("A budget of {} holds no expert, the smallest of which has {}: give more with --budget.",
                        formatBytes(budget), formatBytes(std::ranges::min(uses.bytes))));
    return budget;
}

void writeMaskJson(const std::filesystem::path& out, const ExpertUses& uses, const std::vector<bool>& mask) {
    OutputFile file(out);
    const auto rows = [&](const char* key, const auto& values) {
        std::string text = fmt::format("\"{}\": [", key);
        for (std::int32_t layer = 0; layer < uses.layers; ++layer) {
            const auto first = values.begin() + std::ptrdiff_t{layer} * uses.experts;
            std::vector<std::int64_t> row(first, first + uses.experts);
            text += fmt::format("{}\n  [{}]", layer > 0 ? "," : "", fmt::join(row, ", "));
        }
        return text + "]";
    };
    file.write(fmt::format("{{\"layers\": {}, \"experts\": {}, \"num_gpu_experts\": {},\n{},\n{}}}\n", uses.layers,
                           uses.experts, std::ranges::count(mask, true), rows("gpu_experts_mask", mask),
                           rows("logical_count", uses.selections)));
    file.close();
}

void writeMaskTorch(const std::filesystem::path& out, const ExpertUses& uses, const std::vector<bool>& mask) {
    SavedTensor counts{"logical_count", "LongStorage", {1, uses.layers, uses.experts}, {}, 0};
    for (const std::int64_t count : uses.selections)
        appendLittleEndian(counts.bytes, static_cast<std::uint64_t>(count), 8);
    SavedTensor onGpu{"gpu_experts_mask", "BoolStorage", {uses.layers, uses.experts}, {}, 0};
    for (const bool there : mask)
        onGpu.bytes += there ? '\1' : '\0';
    counts.values = onGpu.values = static_cast<std::int64_t>(mask.size());
    writeTorchFile(out, std::vector{counts, onGpu}, {{"rank", 0}, {"num_gpu_experts", std::ranges::count(mask, true)}});
}

}  // namespace

std::vector<std::filesystem::path> exportKtMask(const std::filesystem::path& session, RunId run,
                                                const std::optional<SizeSpec>& budget,
                                                const std::filesystem::path& out) {
    const ExpertUses uses = countUses(session, run);
    const std::vector<bool> mask = frequentExperts(uses, budgetOf(uses, budget));
    if (out.extension() == ".json")
        writeMaskJson(out, uses, mask);
    else
        writeMaskTorch(out, uses, mask);
    return {out};
}

std::vector<std::filesystem::path> exportLlamaOverride(const std::filesystem::path& session, RunId run,
                                                       const std::optional<SizeSpec>& budget,
                                                       const std::filesystem::path& out) {
    const ExpertUses uses = countUses(session, run);
    const std::vector<std::int32_t> onCpu = layersOnCpu(uses, budgetOf(uses, budget));
    if (onCpu.empty())
        throw UsageError(
            "The budget holds the experts of every layer, so that llama.cpp needs no -ot: give less with "
            "--budget, or run it with -ngl 99 alone.");
    OutputFile file(out);
    file.write(llamaOverride(onCpu) + "\n");
    file.close();
    return {out};
}

}  // namespace expertscope
