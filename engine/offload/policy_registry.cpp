// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policy_registry.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "engine/offload/evictions/evictions.h"
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

const std::array kPolicies{residentPolicy(), onDemandPolicy(), prefetchAllPolicy(), preGatedPolicy()};
const std::array kEvictions{lruEviction(), lfuEviction()};

template <class Entries>
auto infosOf(const Entries& entries) {
    std::vector<decltype(entries.front().info)> infos;
    for (const auto& entry : entries)
        infos.push_back(entry.info);
    return infos;
}

template <class Entries>
const auto& entryOf(const Entries& entries, std::string_view name, std::string_view what) {
    const auto found = std::ranges::find_if(entries, [&](const auto& entry) { return entry.info.name == name; });
    if (found != entries.end()) return *found;
    std::vector<std::string> names;
    for (const auto& entry : entries)
        names.push_back(entry.info.name);
    throw UsageError(fmt::format("There is no {} '{}': use one of {}.", what, name, fmt::join(names, ", ")));
}

}  // namespace

const std::vector<PolicyInfo>& policyCatalogue() {
    static const std::vector<PolicyInfo> infos = infosOf(kPolicies);
    return infos;
}

const std::vector<EvictionInfo>& evictionCatalogue() {
    static const std::vector<EvictionInfo> infos = infosOf(kEvictions);
    return infos;
}

const PolicyInfo& policyInfo(std::string_view name) { return entryOf(kPolicies, name, "policy").info; }
std::unique_ptr<Policy> makePolicy(std::string_view name) { return entryOf(kPolicies, name, "policy").make(); }
std::unique_ptr<EvictionRule> makeEviction(std::string_view name) {
    return entryOf(kEvictions, name, "eviction rule").make();
}

}  // namespace expertscope
