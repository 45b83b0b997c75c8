// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/engine_arguments.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/offload/expert_cache.h"
#include "engine/offload/policy_registry.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {
namespace {

void checkDevice(const std::string& device) {
    if (device == "cpu") return;
    if (device == "cuda") throw FailedError("This build has no CUDA device: run with --device cpu.");
    throw UsageError(fmt::format("There is no device '{}': use one of cpu, cuda.", device));
}

IoMode parseIo(const std::string& text) {
    if (text == "direct") return IoMode::Direct;
    if (text == "buffered") return IoMode::Buffered;
    throw UsageError(fmt::format("There is no --io '{}': use direct or buffered.", text));
}

}  // namespace

void EngineArguments::addTo(CLI::App& command) {
    const std::string group = "How the model is run";
    command
        .add_option("--policy", policies,
                    "Offload policies, comma separated, parameters by colons ('policies' lists them)")
        ->group(group)
        ->capture_default_str();
    command
        .add_option(
            "--eviction", evictions,
            "Eviction rules, comma separated, parameters by colons ('policies' lists them); own: the policy's own, "
            "which a policy that has one always uses")
        ->group(group)
        ->capture_default_str();
    command
        .add_option_function<std::string>(
            "--budget",
            [this](const std::string& text) {
                budgets = text;
                budgetGiven = true;
            },
            "Expert bytes on the device: 512MiB, 1.5GiB, 25% of all expert bytes [100%]")
        ->group(group)
        ->type_name("SIZES");
    command.add_option("--device", device, "cpu (this build has no CUDA device)")->group(group)->capture_default_str();
    command.add_option("--threads", threads, "Compute threads [all CPUs]")->group(group);
    command.add_flag("--reference", reference, "Plain float32 loops instead of vector kernels")->group(group);
    command.add_option("--io", io, "How expert bytes are read: direct or buffered (through the page cache)")
        ->group(group)
        ->capture_default_str();
    command.add_option("--prepared", prepared, "What policies need beforehand, made by 'prepare'")
        ->group(group)
        ->type_name("F");
    command.add_option("--link", link, "Paces transfers like a link: BANDWIDTH@LATENCY, as 25GB/s@10us")->group(group);
}

std::vector<std::string> splitList(const std::string& text, const std::string& option) {
    std::vector<std::string> items;
    for (std::size_t from = 0; from <= text.size();) {
        const std::size_t comma = std::min(text.find(',', from), text.size());
        items.push_back(text.substr(from, comma - from));
        if (items.back().empty()) {
            throw UsageError(
                fmt::format("The list '{1}' of {0} has an empty item: separate items by single commas.", option, text));
        }
        from = comma + 1;
    }
    return items;
}

std::vector<EngineVariant> engineVariants(const EngineArguments& arguments) {
    checkDevice(arguments.device);
    if (arguments.threads < 0) throw UsageError("The number of --threads must be at least 1.");
    EngineOptions base;
    base.threads = arguments.threads;
    base.reference = arguments.reference;
    base.io = parseIo(arguments.io);
    if (!arguments.link.empty()) base.link = parseLink(arguments.link);
    if (!arguments.prepared.empty())
        base.prepared = std::make_shared<const PreparedData>(PreparedData::load(arguments.prepared));

    std::vector<EngineVariant> variants;
    for (const std::string& policy : splitList(arguments.policies, "--policy")) {
        if (policy.starts_with("belady"))
            throw UsageError(fmt::format(
                "'{}' knows the future and is for replay only: 'expertscope policies' lists what can run.", policy));
        makePolicy(policy);  // for what it refuses
        for (const std::string& eviction : splitList(arguments.evictions, "--eviction")) {
            if (eviction != kOwnEviction) makeEviction(eviction);  // for what it refuses
            const std::string used = evictionUnder(policy, eviction);
            for (const std::string& budget : splitList(arguments.budgets, "--budget")) {
                EngineVariant variant{base, budget};
                variant.options.policy = policy;
                variant.options.eviction = used;
                variant.options.budget = parseSize(budget, "--budget");
                variants.push_back(variant);
            }
            if (used == kOwnEviction) break;
        }
    }
    return variants;
}

void checkVariants(const std::vector<EngineVariant>& variants, const Checkpoint& checkpoint) {
    Observer nobody;
    for (const EngineVariant& variant : variants) {
        const EngineOptions& options = variant.options;
        // The cache knows what is possible; made without an engine around it, it loads nothing. Tables that are missing
        // are collected before the run and change nothing about what fits.
        const bool lacks = !missingTables(options.policy, options.prepared.get()).empty();
        const ExpertCache possible(checkpoint,
                                   {.policy = lacks ? "on-demand" : options.policy,
                                    .eviction = options.eviction,
                                    .budget = options.budget,
                                    .io = options.io,
                                    .link = options.link,
                                    .record = options.record,
                                    .costs = {},
                                    .prepared = options.prepared.get()},
                                   nobody);
    }
}

}  // namespace expertscope
