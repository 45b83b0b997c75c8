// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <utility>

#include "engine/offload/offload_context.h"
#include "engine/offload/prepared_data.h"

namespace expertscope::test {

/// Every table that a policy cannot run without, for tests that enumerate the policies: counts that differ from expert
/// to expert.
inline PreparedData samplePrepared(const OffloadShape& shape, std::string fingerprint = "", std::string model = "") {
    PreparedData data(std::move(fingerprint), std::move(model));
    const auto counts = [&](std::vector<std::int64_t> dims, int factor, int modulus) {
        std::size_t size = 1;
        for (const std::int64_t dim : dims)
            size *= static_cast<std::size_t>(dim);
        std::vector<float> values(size);
        for (std::size_t i = 0; i < size; ++i)
            values[i] = static_cast<float>((static_cast<int>(i) * factor + 3) % modulus);
        return std::pair(std::move(dims), std::move(values));
    };
    const auto add = [&](const std::string& name, std::pair<std::vector<std::int64_t>, std::vector<float>> table) {
        data.set(name, std::move(table.first), std::move(table.second));
    };
    const std::int64_t layers = shape.layers, experts = shape.experts;
    add("popularity", counts({layers, experts}, 7, 23));
    add("eamc", counts({3, layers, experts}, 5, 11));
    add("co_activation", counts({layers, experts, experts}, 3, 17));
    add("sensitivity", counts({layers}, 1, 5));
    add("slot_weight.count", counts({layers, shape.topK, 100}, 3, 7));
    add("next_gate_recall.sum", counts({layers}, 1, 5));
    add("next_gate_recall.count", counts({layers}, 0, 9));
    return data;
}

}  // namespace expertscope::test
