// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/policies_command.h"

#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "app/cli/output.h"
#include "engine/offload/policy_registry.h"

namespace expertscope {
namespace {

/// With the one that every rule has.
std::string parametersOf(const EvictionInfo& eviction) {
    return eviction.parameters + (eviction.parameters.empty() ? "" : ", ") + "scope=global|layer";
}

void printPoliciesJson() {
    Json policies = Json::array();
    for (const PolicyInfo& policy : policyCatalogue()) {
        policies.push_back({{"name", policy.name},
                            {"exact", policy.exact},
                            {"parameters", policy.parameters},
                            {"needs", policy.needs},
                            {"source", policy.source},
                            {"summary", policy.summary}});
    }
    Json evictions = Json::array();
    for (const EvictionInfo& eviction : evictionCatalogue()) {
        evictions.push_back({{"name", eviction.name},
                             {"parameters", parametersOf(eviction)},
                             {"replay_only", eviction.replayOnly},
                             {"source", eviction.source},
                             {"summary", eviction.summary}});
    }
    printJson({{"policies", std::move(policies)}, {"evictions", std::move(evictions)}});
}

void printPoliciesText() {
    for (const PolicyInfo& policy : policyCatalogue()) {
        std::cout << policy.name << " (" << (policy.exact ? "exact" : "approximate") << ")\n  " << policy.summary
                  << '\n';
        if (!policy.parameters.empty()) std::cout << "  parameters: " << policy.parameters << '\n';
        if (!policy.needs.empty()) std::cout << "  needs: " << policy.needs << '\n';
        if (!policy.source.empty()) std::cout << "  source: " << policy.source << '\n';
    }
    std::cout << "\neviction rules\n";
    for (const EvictionInfo& eviction : evictionCatalogue()) {
        std::cout << eviction.name << (eviction.replayOnly ? " (replay only)" : "") << "\n  " << eviction.summary
                  << '\n'
                  << "  parameters: " << parametersOf(eviction) << '\n';
        if (!eviction.source.empty()) std::cout << "  source: " << eviction.source << '\n';
    }
}

}  // namespace

void addPoliciesCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("policies", "Every policy and eviction rule");
    const auto json = std::make_shared<bool>(false);
    command->add_flag("--json", *json, "As one JSON object");
    command->callback([json, &action] {
        action = [json] {
            *json ? printPoliciesJson() : printPoliciesText();
            return 0;
        };
    });
}

}  // namespace expertscope
