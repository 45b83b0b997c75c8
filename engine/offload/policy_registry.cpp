// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policy_registry.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "engine/offload/evictions/evictions.h"
#include "engine/offload/policies/policies.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {
namespace {

const std::array kPolicies{residentPolicy(),   onDemandPolicy(),          prefetchAllPolicy(), preGatedPolicy(),
                           routeAheadPolicy(), mixtralOffloadingPolicy(), brainstormPolicy(),  fineMoePolicy(),
                           adapMoePolicy(),    moeInfinityPolicy(),       layerStreamPolicy(), staticPolicy(),
                           cpuExpertsPolicy(), costModelPolicy(),         mondePolicy(),       hybriMoePolicy(),
                           dropOnMissPolicy(), cachePriorPolicy(),        buddyPolicy(),       swapMoePolicy(),
                           hobbitPolicy()};
const std::array kEvictions{lruEviction(),        lfuEviction(),         lfuInCacheEviction(), lfruEviction(),
                            fifoEviction(),       lifoEviction(),        slruEviction(),       arcEviction(),
                            leastStaleEviction(), moeInfinityEviction(), beladyEviction(),     beladyBypassEviction()};

template <class Entries>
auto infosOf(const Entries& entries) {
    std::vector<decltype(entries.front().info)> infos;
    for (const auto& entry : entries)
        infos.push_back(entry.info);
    return infos;
}

template <class Entries>
const auto& entryOf(const Entries& entries, std::string_view text, std::string_view what) {
    const std::string_view name = text.substr(0, text.find(':'));
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

const PolicyInfo& policyInfo(std::string_view text) { return entryOf(kPolicies, text, "policy").info; }
const EvictionInfo& evictionInfo(std::string_view text) { return entryOf(kEvictions, text, "eviction rule").info; }

std::unique_ptr<Policy> makePolicy(std::string_view text) {
    const PolicyEntry& entry = entryOf(kPolicies, text, "policy");
    Parameters parameters(text, "policy");
    auto policy = entry.make(parameters);
    parameters.finish();
    return policy;
}

std::vector<std::string> missingTables(std::string_view text, const PreparedData* prepared) {
    std::vector<std::string> missing;
    if (!makePolicy(text)->usesPrepared()) return missing;
    for (const std::string& table : policyInfo(text).prepared)
        if (!prepared || !prepared->find(table)) missing.push_back(table);
    return missing;
}

std::unique_ptr<EvictionRule> makeEviction(std::string_view text) {
    const EvictionEntry& entry = entryOf(kEvictions, text, "eviction rule");
    if (entry.info.replayOnly)
        throw UsageError(
            fmt::format("'{}' knows the future and is for replay only: use another eviction rule.", entry.info.name));
    Parameters parameters(text, "eviction rule");
    auto rule = entry.make(parameters);
    rule->setPerLayer(parameters.word("scope", {"global", "layer"}) == "layer");
    parameters.finish();
    return rule;
}

std::string evictionUnder(std::string_view policy, std::string_view asked) {
    if (makePolicy(policy)->makeEviction()) return std::string(kOwnEviction);
    if (asked == kOwnEviction)
        throw UsageError(fmt::format(
            "Policy '{}' has no eviction rule of its own: name one that 'expertscope policies' lists.", policy));
    return std::string(asked);
}

}  // namespace expertscope
