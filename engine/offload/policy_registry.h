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
};

struct EvictionInfo {
    std::string name;
    std::string summary;
};

/// In the order in which they are listed to users.
const std::vector<PolicyInfo>& policyCatalogue();
const std::vector<EvictionInfo>& evictionCatalogue();

/// Throws UsageError listing the names that exist.
const PolicyInfo& policyInfo(std::string_view name);
std::unique_ptr<Policy> makePolicy(std::string_view name);
std::unique_ptr<EvictionRule> makeEviction(std::string_view name);

}  // namespace expertscope
