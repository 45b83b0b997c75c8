// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/run_figures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "profiler/analysis/run_trace.h"

namespace expertscope {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// 0.975 quantile of Student's t.
double studentQuantile(int degrees) {
    static constexpr std::array kTable{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                       2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                       2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
    if (degrees <= static_cast<int>(kTable.size())) return kTable[static_cast<std::size_t>(degrees - 1)];
    // Cornish–Fisher expansion around the normal quantile, good to 1e-3 from 30 degrees on.
    constexpr double z = 1.959964;
    return z + (z * z * z + z) / (4.0 * degrees);
}

void countSelections(const RunTrace& trace, RunFigures& figures) {
    std::vector<std::int64_t> accesses(figures.hitRate.size()), hits(figures.hitRate.size());
    for (const SelectionRecord& selection : trace.selections()) {
        if (!selection.firstUse) continue;
        const std::size_t layer = selection.layer.index();
        ++accesses[layer];
        ++figures.accesses;
        if (selection.outcome == Outcome::Hit) ++hits[layer];
        ++(selection.outcome == Outcome::Hit        ? figures.hits
           : selection.outcome == Outcome::InFlight ? figures.hitsInFlight
                                                    : figures.misses);
    }
    for (std::size_t layer = 0; layer < accesses.size(); ++layer)
        if (accesses[layer] > 0)
            figures.hitRate[layer] = static_cast<double>(hits[layer]) / static_cast<double>(accesses[layer]);
}

void countTransfers(const RunTrace& trace, RunFigures& figures) {
    for (const TransferRecord& transfer : trace.transfers()) {
        if (transfer.purpose == TransferPurpose::Demand) figures.demand += transfer.bytes;
        if (transfer.purpose != TransferPurpose::Prefetch) continue;
        switch (transfer.fate) {
            case TransferFate::Useful:
                figures.useful += transfer.bytes;
                break;
            case TransferFate::Late:
                figures.late += transfer.bytes;
                break;
            case TransferFate::Wasted:
                figures.wasted += transfer.bytes;
                break;
            case TransferFate::Cancelled:
                figures.cancelled += transfer.bytes;
                break;
            case TransferFate::Used:
                break;
        }
    }
}

void countTokens(const RunTrace& trace, RunFigures& figures) {
    struct Progress {
        Nanoseconds first, last;
        int tokens = 0;
    };
    std::map<std::int32_t, Progress> requests;
    for (const TokenRecord& token : trace.tokens()) {
        if (token.phase != Phase::Decode) continue;
        Progress& progress = requests[token.request.value()];
        if (progress.tokens++ == 0)
            progress.first = token.time;
        else
            figures.tokenMs.push_back(static_cast<double>((token.time - progress.last).count()) * 1e-6);
        progress.last = token.time;
    }
    std::ranges::sort(figures.tokenMs);
    for (const auto& [request, progress] : requests)
        if (progress.tokens > 1 && progress.last > progress.first)
            figures.requests.push_back(
                {RequestIndex(request),
                 (progress.tokens - 1) * 1e9 / static_cast<double>((progress.last - progress.first).count())});
}

void readFidelity(const RunEntry& entry, RunFigures& figures) {
    figures.topOneAgreement = figures.perplexity = figures.residentPerplexity = kNone;
    if (!entry.summary) return;
    figures.peakDevice = entry.summary->peakDevice;
    const auto json = nlohmann::json::parse(entry.summary->fidelityJson, nullptr, false);
    if (!json.is_object()) return;
    figures.topOneAgreement = json.value("top1_agreement", kNone);
    figures.perplexity = json.value("perplexity", kNone);
    figures.residentPerplexity = json.value("resident_perplexity", kNone);
}

}  // namespace

Estimate meanOf(const std::vector<double>& samples) {
    const auto count = static_cast<int>(samples.size());
    if (count == 0) return {kNone, kNone, kNone, 0};
    double mean = 0;
    for (const double sample : samples)
        mean += sample / count;
    if (count == 1) return {mean, kNone, kNone, 1};
    double squares = 0;
    for (const double sample : samples)
        squares += (sample - mean) * (sample - mean);
    const double half = studentQuantile(count - 1) * std::sqrt(squares / (count - 1) / count);
    return {mean, mean - half, mean + half, count};
}

Estimate RunFigures::speed() const {
    std::vector<double> samples;
    for (const RequestSpeed& request : requests)
        samples.push_back(request.tokensPerSecond);
    return meanOf(samples);
}

double RunFigures::tokenQuantile(double q) const {
    if (tokenMs.empty()) return kNone;
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(tokenMs.size())));
    return tokenMs[std::clamp<std::size_t>(rank, 1, tokenMs.size()) - 1];
}

RunFigures figuresOf(const RunTrace& trace, const std::function<void(double share)>& progress) {
    const auto tell = [&](double share) {
        if (progress) progress(share);
    };
    RunFigures figures;
    figures.id = trace.entry().id;
    figures.description = trace.entry().description;
    figures.hitRate.assign(static_cast<std::size_t>(trace.model().layers), kNone);
    tell(0);
    countSelections(trace, figures);
    tell(0.2);
    countTransfers(trace, figures);
    countTokens(trace, figures);
    readFidelity(trace.entry(), figures);
    tell(0.3);
    figures.time = splitTime(trace.spans(), LaneId(0));
    return figures;
}

Estimate speedRatio(const RunFigures& a, const RunFigures& b) {
    std::map<std::int32_t, double> speeds;
    for (const RequestSpeed& request : a.requests)
        speeds[request.request.value()] = request.tokensPerSecond;
    std::vector<double> logs;
    for (const RequestSpeed& request : b.requests)
        if (const auto found = speeds.find(request.request.value()); found != speeds.end())
            logs.push_back(std::log(request.tokensPerSecond / found->second));
    const Estimate estimate = meanOf(logs);
    return {std::exp(estimate.value), std::exp(estimate.low), std::exp(estimate.high), estimate.samples};
}

std::string verdict(const RunFigures& a, const RunFigures& b) {
    const Estimate ratio = speedRatio(a, b);
    if (ratio.value < 1) return verdict(b, a);  // the faster one is the sentence's subject
    const std::string nameA = runName(a.description), nameB = runName(b.description);
    if (ratio.samples == 0) return fmt::format("{} and {} have no request in common to compare.", nameB, nameA);
    if (ratio.samples == 1)
        return fmt::format(
            "{} decodes {:.2f} times as fast as {} in the one request that both made; more requests or "
            "--repeat would tell how certain that is.",
            nameB, ratio.value, nameA);
    const auto interval =
        fmt::format("95 % interval {:.2f} to {:.2f} over {} requests", ratio.low, ratio.high, ratio.samples);
    if (ratio.low <= 1 && ratio.high >= 1)
        return fmt::format("{} and {} cannot be told apart by speed: the ratio is {:.2f} ({}).", nameB, nameA,
                           ratio.value, interval);
    return fmt::format("{} decodes {:.2f} times as fast as {} ({}).", nameB, ratio.value, nameA, interval);
}

std::string runName(const RunDescription& run) {
    if (run.policy == "resident") return run.policy;
    return fmt::format("{} · {} · {}", run.policy, run.eviction, formatBytes(run.budget));
}

}  // namespace expertscope
