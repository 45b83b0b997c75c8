// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/cost_file.h"

#include <algorithm>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace expertscope {
namespace {

using nlohmann::json;

/// The numbers of a cost file, each asked for by name.
class CostNumbers {
public:
    explicit CostNumbers(const std::filesystem::path& file) : m_file(file) {
        std::ifstream in(file);
        if (!in) throw BadInputError(fmt::format("The cost file {} cannot be read: check its name.", file.string()));
        m_object = json::parse(in, nullptr, false);
        if (!m_object.is_object())
            throw BadInputError(
                fmt::format("The cost file {} holds no JSON object: see 'replay --help'.", file.string()));
    }
    double required(const char* key) {
        if (!m_object.contains(key))
            throw BadInputError(fmt::format("The cost file {} does not give '{}'.", m_file.string(), key));
        return optional(key, 0);
    }
    double optional(const char* key, double otherwise) {
        m_known.insert(key);
        const auto found = m_object.find(key);
        if (found == m_object.end()) return otherwise;
        if (!found->is_number() || found->get<double>() < 0 || found->get<double>() > 1e12)
            throw BadInputError(fmt::format("'{}' in the cost file {} is no number from 0 on.", key, m_file.string()));
        return found->get<double>();
    }
    void finish() const {
        for (const auto& [key, value] : m_object.items())
            if (!m_known.contains(key))
                throw BadInputError(
                    fmt::format("The cost file {} gives '{}', which means nothing here.", m_file.string(), key));
    }

private:
    std::filesystem::path m_file;
    json m_object;
    std::set<std::string> m_known;
};

}  // namespace

ComputeTimes readCostFile(const std::filesystem::path& file, const RoutingTrace& trace) {
    CostNumbers numbers(file);
    const double layer = numbers.required("layer_us") * 1000, expert = numbers.required("expert_us") * 1000;
    const double head = numbers.required("head_us") * 1000, further = numbers.optional("further_token", 1);
    ComputeTimes times;
    times.dispatch = static_cast<std::int64_t>(numbers.optional("dispatch_us", 0) * 1000);
    times.transfer = static_cast<std::int64_t>(numbers.optional("transfer_us", 0) * 1000);
    times.workers = static_cast<int>(std::max(1.0, std::min(numbers.optional("workers", 1), 4096.0)));
    numbers.finish();
    const auto forTokens = [&](double first, int tokens) { return first * (1 + further * (tokens - 1)); };
    for (std::size_t g = 0; g < trace.groups().size(); ++g) {
        times.before.push_back(static_cast<std::int64_t>(forTokens(layer, trace.groups()[g].tokens)));
        times.after.push_back(0);
        const RoutedLayer routed = trace.routed(g);
        for (const std::int32_t flat : trace.accesses(g)) {
            const auto tokens = std::ranges::count(routed.experts, ExpertId(flat % trace.experts()));
            times.expert.push_back(static_cast<float>(forTokens(expert, static_cast<int>(tokens))));
        }
    }
    times.tail.assign(trace.steps().size(), static_cast<std::int64_t>(head));
    return times;
}

}  // namespace expertscope
