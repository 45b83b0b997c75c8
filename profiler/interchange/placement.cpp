// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/placement.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "profiler/interchange/session_rows.h"
#include "storage/expert_counts.h"

namespace expertscope {
namespace {

/// Takes items in order while they fit; a smaller one may fit where a larger one did not.
template <class Item, class SizeOf, class Take>
void fill(const std::vector<Item>& order, Bytes budget, const SizeOf& sizeOf, const Take& take) {
    for (const Item item : order) {
        if (sizeOf(item) > budget) continue;
        budget -= sizeOf(item);
        take(item);
    }
}

}  // namespace

std::int64_t ExpertUses::atLeastOnce() const {
    return std::ranges::count_if(selections, [](std::int64_t count) { return count > 0; });
}

ExpertUses countUses(const std::filesystem::path& session, RunId run) {
    const SessionReader reader(session);
    const RunDescription description = reader.run(run).description;
    const ModelFacts& model = description.model;
    ExpertUses uses;
    uses.layers = model.layers;
    uses.experts = model.experts;
    uses.budget = description.budget;
    uses.bytes = model.layerExpertBytes;
    if (uses.bytes.empty()) uses.bytes.assign(static_cast<std::size_t>(model.layers), model.expertBytes);
    const auto cells = static_cast<std::size_t>(model.layers) * static_cast<std::size_t>(model.experts);
    uses.selections.assign(cells, 0);
    uses.accesses.assign(cells, 0);
    const auto cell = [&](LayerIndex layer, ExpertId expert) {
        if (layer.value() < 0 || layer.value() >= model.layers || expert.value() < 0 || expert.value() >= model.experts)
            throw BadInputError(fmt::format("{} is damaged: run {} chose expert {} of layer {}, which its model lacks.",
                                            session.string(), run.value(), expert.value(), layer.value()));
        return layer.index() * static_cast<std::size_t>(model.experts) + expert.index();
    };
    eachBatch(reader, run, [&](const RecordBatch& batch) {
        for (const SelectionRecord& s : batch.selections) {
            ++uses.selections[cell(s.layer, s.expert)];
            uses.accesses[cell(s.layer, s.expert)] += s.firstUse ? 1 : 0;
        }
    });
    if (uses.atLeastOnce() == 0) {
        for (const ExpertCount& count : readExpertCounts(session, run)) {
            uses.selections[cell(count.layer, count.expert)] += count.count;
            uses.accesses[cell(count.layer, count.expert)] += count.count;
        }
    }
    if (uses.atLeastOnce() == 0)
        throw BadInputError(
            fmt::format("Run {} of {} has neither routing nor counts to place experts by: name another "
                        "with --run.",
                        run.value(), session.string()));
    return uses;
}

std::vector<bool> frequentExperts(const ExpertUses& uses, Bytes budget) {
    std::vector<std::size_t> order(uses.selections.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto bytes = [&](std::size_t cell) { return uses.bytes[cell / static_cast<std::size_t>(uses.experts)]; };
    std::ranges::stable_sort(order, std::greater{}, [&](std::size_t cell) {
        return static_cast<double>(uses.selections[cell]) / static_cast<double>(bytes(cell).count());
    });
    std::vector<bool> onGpu(order.size(), false);
    fill(order, budget, bytes, [&](std::size_t cell) { onGpu[cell] = true; });
    return onGpu;
}

std::vector<std::int32_t> layersOnCpu(const ExpertUses& uses, Bytes budget) {
    std::vector<std::int32_t> order;
    for (std::int32_t layer = uses.layers; layer-- > 0;)
        order.push_back(layer);
    const auto bytes = [&](std::int32_t layer) { return uses.bytes[static_cast<std::size_t>(layer)] * uses.experts; };
    std::ranges::stable_sort(order, std::greater{}, [&](std::int32_t layer) {
        const auto first = uses.accesses.begin() + std::ptrdiff_t{layer} * uses.experts;
        return static_cast<double>(std::accumulate(first, first + uses.experts, std::int64_t{0})) /
               static_cast<double>(bytes(layer).count());
    });
    std::vector<bool> onGpu(static_cast<std::size_t>(uses.layers), false);
    fill(order, budget, bytes, [&](std::int32_t layer) { onGpu[static_cast<std::size_t>(layer)] = true; });
    std::vector<std::int32_t> onCpu;
    for (std::int32_t layer = 0; layer < uses.layers; ++layer)
        if (!onGpu[static_cast<std::size_t>(layer)]) onCpu.push_back(layer);
    return onCpu;
}

std::string llamaOverride(std::span<const std::int32_t> layersOnCpu) {
    if (layersOnCpu.empty()) return "";
    return fmt::format("blk\\.({})\\.ffn_(gate|up|down)_exps\\.=CPU", fmt::join(layersOnCpu, "|"));
}

}  // namespace expertscope
