// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/offload/eviction.h"
#include "engine/offload/policy.h"

namespace expertscope {

/// What a user is told of a policy.
struct PolicyInfo {
    std::string name;
    bool exact = true;       ///< logits bit-identical to `resident` at every budget
    std::string parameters;  ///< "name=default, …"; empty when there are none
    std::string needs;       ///< of the checkpoint or beforehand; empty when nothing
    std::string source;      ///< paper
    std::string summary;     ///< one sentence
    bool needsPreGates = false;
    bool needsCosts = false;                ///< decides by OffloadCosts
    std::vector<std::string> prepared{};    ///< tables of PreparedData that it cannot run without
    std::vector<std::string> startsFrom{};  ///< tables that it starts from where they are there, else cold
};

struct EvictionInfo {
    std::string name;
    std::string summary;
    std::string parameters{};
    std::string source{};
    bool replayOnly = false;  ///< knows the future
};

/// In the order in which they are listed to users.
const std::vector<PolicyInfo>& policyCatalogue();
const std::vector<EvictionInfo>& evictionCatalogue();

// A `text` is a name with parameters (Parameters). All throw UsageError listing what exists.

const PolicyInfo& policyInfo(std::string_view text);
const EvictionInfo& evictionInfo(std::string_view text);
std::unique_ptr<Policy> makePolicy(std::string_view text);
/// The tables that the policy, with these parameters, cannot run without and that `prepared` (may be null) lacks.
std::vector<std::string> missingTables(std::string_view text, const PreparedData* prepared);
/// Every rule takes scope=global|layer; one that is for replay only is refused.
std::unique_ptr<EvictionRule> makeEviction(std::string_view text);

/// The name of the rule of a policy that evicts by a score of its own, whichever rule was asked for.
inline constexpr std::string_view kOwnEviction = "own";
/// The rule by which the policy evicts where `asked` was asked for: that one or kOwnEviction. Throws where a policy
/// that has no rule of its own is asked for it.
std::string evictionUnder(std::string_view policy, std::string_view asked);

}  // namespace expertscope
