// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/replay_output.h"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/cli/run_json.h"

namespace expertscope {
namespace {

const char* nameOf(Settle settle) { return settle == Settle::Layer ? "layer" : "admit"; }

Json textOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

double shareOf(const ReplayBench& bench, Bytes budget) {
    return static_cast<double>(budget.count()) / static_cast<double>(bench.trace().model().totalExpertBytes.count());
}

Json traceJson(const ReplayedTrace& replayed) {
    const ReplayBench& bench = *replayed.bench;
    const RoutingTrace& trace = bench.trace();
    const RunDescription& run = bench.entry().description;
    return {{"session", replayed.session},
            {"run_id", bench.entry().id.value()},
            {"model", modelJson(trace.model())},
            {"policy", run.policy},
            {"eviction", textOrNull(run.eviction)},
            {"budget_bytes", run.budget.count()},
            {"link", textOrNull(run.link)},
            {"steps", trace.steps().size()},
            {"decode_tokens", trace.decodeTokens()},
            {"accesses", trace.accesses().size()},
            {"first_uses", bench.lruCurve().compulsory()},
            {"first_use_bytes", bench.lruCurve().compulsoryBytes()},
            {"lru_cliff_bytes", tokenDemandBytes(trace)},
            {"equal_expert_sizes", trace.equalSizes()},
            {"has_times", bench.times().has_value()},
            {"has_predictions", trace.hasPredictions()},
            {"incomplete_predictions", trace.incomplete()},
            {"settle", nameOf(replayed.settle)}};
}

Json resultJson(const ReplayedTrace& replayed, const ReplayResult& result) {
    const ReplayBench& bench = *replayed.bench;
    const bool known = result.accesses > 0;
    Json json = {{"policy", result.what.policy},
                 {"eviction", result.what.eviction},
                 {"budget_bytes", result.what.budget.count()},
                 {"budget_fraction", shareOf(bench, result.what.budget)},
                 {"link", result.what.link ? Json(result.what.link->text) : textOrNull(bench.entry().description.link)},
                 {"exact", result.exact}};
    const auto count = [&](const char* key, std::int64_t value) { json[key] = known ? Json(value) : Json(nullptr); };
    count("accesses", result.accesses);
    count("hits", result.hits);
    count("hits_in_flight", result.hitsInFlight);
    count("misses", result.misses);
    json["hit_rate"] = known ? Json(result.hitRate()) : Json(nullptr);
    count("bytes_moved", result.bytesMoved);
    count("wasted_bytes", result.wastedBytes);
    json["decode_tokens_per_s"] = finiteOrNull(result.decodeTokensPerSecond);
    json["wait_ms"] = finiteOrNull(result.waitMs);
    json["missing"] = result.missing;
    count("demand_bytes", result.demandBytes);
    count("prefetch_bytes", result.prefetchBytes);
    count("decode_accesses", result.decodeAccesses);
    count("decode_hits", result.decodeHits);
    json["settle"] = nameOf(result.settle);
    json["routing"] = result.exact ? "exact" : "as recorded";
    json["session"] = replayed.session;
    json["run_id"] = bench.entry().id.value();
    return json;
}

Json boundJson(const ReplayedTrace& replayed, const ReplayBound& bound) {
    return {{"budget_bytes", bound.budget.count()},
            {"budget_fraction", shareOf(*replayed.bench, bound.budget)},
            {"belady_hit_rate", bound.beladyHitRate},
            {"min_bytes", bound.leastBytes},
            {"roofline_tokens_per_s", finiteOrNull(bound.rooflineTokensPerSecond)},
            {"link", bound.link.empty() ? textOrNull(replayed.bench->entry().description.link) : Json(bound.link)},
            {"heuristic", replayed.settle == Settle::Layer || !replayed.bench->trace().equalSizes()},
            {"session", replayed.session},
            {"run_id", replayed.bench->entry().id.value()}};
}

std::string oneDecimal(double value) { return std::isfinite(value) ? fmt::format("{:.1f}", value) : "–"; }

std::string linkText(const ReplayBench& bench, const std::string& link) {
    const std::string& own = bench.entry().description.link;
    return !link.empty() ? link : !own.empty() ? own : bench.times() ? "as recorded" : "–";
}

std::string budgetText(const ReplayBench& bench, Bytes budget) {
    return fmt::format("{} ({:.0f} %)", formatBytes(budget), 100 * shareOf(bench, budget));
}

std::string resultTable(const ReplayedTrace& replayed) {
    const ReplayBench& bench = *replayed.bench;
    std::vector<std::vector<std::string>> rows{{"policy", "eviction", "budget", "link", "hit %", "in flight", "misses",
                                                "moved", "wasted", "tok/s", "wait ms", "note"}};
    for (const ReplayResult& result : replayed.results) {
        std::string note = result.exact ? "" : "routing as recorded";
        if (!result.missing.empty())
            note += fmt::format("{}missing: {}", note.empty() ? "" : "; ", fmt::join(result.missing, ", "));
        if (result.settle != replayed.settle)
            note += fmt::format("{}settled at {}", note.empty() ? "" : "; ", nameOf(result.settle));
        const bool known = result.accesses > 0;
        rows.push_back({result.what.policy, result.what.eviction, budgetText(bench, result.what.budget),
                        linkText(bench, result.what.link ? result.what.link->text : ""),
                        known ? fmt::format("{:.3f}", 100 * result.hitRate()) : "–",
                        known ? std::to_string(result.hitsInFlight) : "–", known ? std::to_string(result.misses) : "–",
                        known ? formatBytes(Bytes(result.bytesMoved)) : "–",
                        known ? formatBytes(Bytes(result.wastedBytes)) : "–", oneDecimal(result.decodeTokensPerSecond),
                        oneDecimal(result.waitMs), note});
    }
    return formatTable(rows);
}

std::string boundTable(const ReplayedTrace& replayed) {
    const ReplayBench& bench = *replayed.bench;
    std::vector<std::vector<std::string>> rows{
        {"best possible at", "link", "Belady hit %", "least bytes", "tok/s at most"}};
    for (const ReplayBound& bound : replayed.bounds)
        rows.push_back({budgetText(bench, bound.budget), linkText(bench, bound.link),
                        fmt::format("{:.3f}", 100 * bound.beladyHitRate), formatBytes(Bytes(bound.leastBytes)),
                        oneDecimal(bound.rooflineTokensPerSecond)});
    return formatTable(rows);
}

}  // namespace

Json replayJson(const std::vector<ReplayedTrace>& traces) {
    Json json = {{"trace", traceJson(traces.front())}};
    Json results = Json::array(), bounds = Json::array(), all = Json::array();
    for (const ReplayedTrace& trace : traces) {
        all.push_back(traceJson(trace));
        for (const ReplayResult& result : trace.results)
            results.push_back(resultJson(trace, result));
        for (const ReplayBound& bound : trace.bounds)
            bounds.push_back(boundJson(trace, bound));
    }
    json["results"] = std::move(results);
    json["bounds"] = std::move(bounds);
    json["traces"] = std::move(all);
    return json;
}

std::string replayText(const ReplayedTrace& replayed) {
    const ReplayBench& bench = *replayed.bench;
    const RoutingTrace& trace = bench.trace();
    std::string text =
        fmt::format("{} run {}: {}, recorded under '{}'; {} steps, {} accesses, {} of them first uses\n",
                    replayed.session, bench.entry().id.value(), trace.model().name, bench.entry().description.policy,
                    trace.steps().size(), trace.accesses().size(), bench.lruCurve().compulsory());
    if (const std::int64_t cliff = tokenDemandBytes(trace); cliff > 0)
        text += fmt::format("LRU cliff: one token demands {}; below it a global LRU keeps nothing for the next one\n",
                            formatBytes(Bytes(cliff)));
    if (!bench.times()) text += "The run has no times, so there are no speeds.\n";
    return text + "\n" + resultTable(replayed) + "\n" + boundTable(replayed);
}

}  // namespace expertscope
