// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/specialisation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

double sumOf(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

LabelLoads& loadsOf(std::vector<LabelLoads>& all, const std::string& label, const RunRouting& routing) {
    const auto found = std::ranges::find(all, label, &LabelLoads::label);
    if (found != all.end()) return *found;
    LabelLoads& loads = all.emplace_back();
    loads.label = label;
    loads.tokens.resize(static_cast<std::size_t>(routing.layers()));
    const std::vector<double> none(static_cast<std::size_t>(routing.experts()));
    loads.counts.assign(loads.tokens.size(), none);
    loads.mass.assign(loads.tokens.size(), none);
    return loads;
}

AnalysisTable specialisationTable(const AnalysisInput& input, Parameters& parameters) {
    const RunRouting& routing = *input.routing;
    const int only = parameters.integer("layer", -1, 0, routing.layers() - 1);
    const std::vector<LabelLoads> labels = loadsByLabel(routing);
    AnalysisTable table;
    table.counted =
        routing.counted() + fmt::format(
                                " {} labels of prompts; token_share is of the label's tokens in the layer and sums to "
                                "the number of choices a token, share is of its assignments and sums to 1, "
                                "relative_load is share times the number of experts.",
                                labels.size());
    table.columns = {"layer",       "label", "expert",        "label_tokens",           "count",
                     "token_share", "share", "relative_load", "all_labels_token_share", "random_token_share"};
    for (std::int32_t layer = 0; layer < routing.layers(); ++layer) {
        if (only >= 0 && layer != only) continue;
        const auto l = static_cast<std::size_t>(layer);
        std::vector<double> all(static_cast<std::size_t>(routing.experts()));
        double tokens = 0;
        for (const LabelLoads& loads : labels) {
            tokens += static_cast<double>(loads.tokens[l]);
            for (std::size_t e = 0; e < all.size(); ++e)
                all[e] += loads.counts[l][e];
        }
        for (const LabelLoads& loads : labels) {
            const double total = sumOf(loads.counts[l]);
            for (std::size_t e = 0; e < all.size(); ++e) {
                const double count = loads.counts[l][e];
                table.rows.push_back({std::int64_t{layer}, loads.label, static_cast<std::int64_t>(e), loads.tokens[l],
                                      static_cast<std::int64_t>(count), count / static_cast<double>(loads.tokens[l]),
                                      count / total, count * static_cast<double>(all.size()) / total, all[e] / tokens,
                                      static_cast<double>(routing.topK()) / routing.experts()});
            }
        }
    }
    return table;
}

/// Mean gate mass of an expert per token of each label: [labels, E]; labels without tokens or mass are left out.
std::vector<std::vector<double>> meanMass(const std::vector<LabelLoads>& labels, std::size_t layer) {
    std::vector<std::vector<double>> means;
    for (const LabelLoads& loads : labels) {
        if (loads.tokens[layer] == 0 || sumOf(loads.mass[layer]) <= 0) continue;
        means.push_back(loads.mass[layer]);
        for (double& mass : means.back())
            mass /= static_cast<double>(loads.tokens[layer]);
    }
    return means;
}

/// [E] ranks 1 … k of one domain, k + 1 for all others; equal masses by expert number.
std::vector<double> ranksOf(const std::vector<double>& mass, std::int32_t k) {
    std::vector<std::size_t> order(mass.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater{}, [&](std::size_t e) { return mass[e]; });
    std::vector<double> ranks(mass.size(), k + 1);
    for (std::size_t i = 0; i < static_cast<std::size_t>(k); ++i)
        if (mass[order[i]] > 0) ranks[order[i]] = static_cast<double>(i + 1);
    return ranks;
}

Committee committeeOf(const std::vector<std::vector<double>>& means, std::int32_t k, double presence) {
    Committee committee;
    const std::size_t experts = means.front().size();
    const auto domains = static_cast<double>(means.size());
    struct Candidate {
        std::int32_t expert = 0;
        double mean = 0, variance = 0;
    };
    std::vector<double> sum(experts), squares(experts), present(experts);
    for (const auto& mass : means) {
        const std::vector<double> ranks = ranksOf(mass, k);
        for (std::size_t e = 0; e < experts; ++e) {
            sum[e] += ranks[e];
            squares[e] += ranks[e] * ranks[e];
            present[e] += ranks[e] <= k ? 1 : 0;
        }
    }
    std::vector<Candidate> candidates;
    for (std::size_t e = 0; e < experts; ++e) {
        if (present[e] < presence * domains) continue;
        const double mean = sum[e] / domains;
        candidates.push_back({static_cast<std::int32_t>(e), mean, std::max(0.0, squares[e] / domains - mean * mean)});
    }
    committee.meanRank = committee.rankVariance = candidates.empty() ? kNoData : 0;
    for (const Candidate& one : candidates) {
        const bool beaten = std::ranges::any_of(candidates, [&](const Candidate& other) {
            return other.mean <= one.mean && other.variance <= one.variance &&
                   (other.mean < one.mean || other.variance < one.variance);
        });
        if (beaten) continue;
        committee.members.push_back(one.expert);
        committee.meanRank += one.mean;
        committee.rankVariance += one.variance;
    }
    const auto size = static_cast<double>(committee.members.size());
    committee.meanRank /= size;
    committee.rankVariance /= size;
    double taken = 0, whole = 0;
    for (const auto& mass : means) {
        for (const std::int32_t expert : committee.members)
            taken += mass[static_cast<std::size_t>(expert)];
        whole += sumOf(mass);
    }
    committee.coverage = taken / whole;
    const auto others = static_cast<double>(experts) - size;
    committee.randomCoverage = size / static_cast<double>(experts);
    committee.ratio = size > 0 && others > 0 && committee.coverage < 1
                          ? (committee.coverage / size) / ((1 - committee.coverage) / others)
                          : kNoData;
    return committee;
}

AnalysisTable committeeTable(const AnalysisInput& input, Parameters& parameters) {
    const double presence = parameters.number("presence", 0.8, 0, 1);
    AnalysisTable table;
    table.counted = input.routing->counted() +
                    fmt::format(
                        " Domains are the {} labels of the prompts; gate mass is as applied, 0 for experts that "
                        "were not chosen.",
                        loadsByLabel(*input.routing).size());
    table.columns = {"layer",    "committee",       "size", "mean_rank", "rank_variance",
                     "coverage", "random_coverage", "ratio"};
    for (const Committee& row : committeesOf(*input.routing, presence))
        table.rows.push_back({std::int64_t{row.layer.value()}, fmt::format("{}", fmt::join(row.members, " ")),
                              std::ssize(row.members), row.meanRank, row.rankVariance, row.coverage, row.randomCoverage,
                              row.ratio});
    return table;
}

}  // namespace

std::vector<LabelLoads> loadsByLabel(const RunRouting& routing) {
    std::vector<LabelLoads> all;
    std::map<std::int32_t, std::size_t> placeOf;  // of a request's label
    for (const RequestRecord& request : routing.requests()) {
        const LabelLoads& loads = loadsOf(all, request.label, routing);
        placeOf[request.request.value()] = static_cast<std::size_t>(&loads - all.data());
    }
    for (std::int32_t l = 0; l < routing.layers(); ++l) {
        const LayerChoices& layer = routing.layer(l);
        const auto index = static_cast<std::size_t>(l);
        std::int32_t request = -1;
        LabelLoads* loads = nullptr;
        for (std::size_t row = 0; row < layer.rows(); ++row) {
            if (const std::int32_t now = routing.token(layer.tokens[row]).request; now != request || !loads) {
                const auto found = placeOf.find(now);
                loads = found == placeOf.end() ? nullptr : &all[found->second];
                request = now;
            }
            if (!loads) continue;
            ++loads->tokens[index];
            for (std::size_t i = row * static_cast<std::size_t>(layer.width);
                 i < (row + 1) * static_cast<std::size_t>(layer.width); ++i) {
                if (layer.experts[i] < 0) continue;
                const auto expert = static_cast<std::size_t>(layer.experts[i]);
                loads->counts[index][expert] += 1;
                if (std::isfinite(layer.weights[i]))
                    loads->mass[index][expert] += static_cast<double>(layer.weights[i]);
            }
        }
    }
    return all;
}

std::vector<Committee> committeesOf(const RunRouting& routing, double presence) {
    const std::vector<LabelLoads> labels = loadsByLabel(routing);
    std::vector<Committee> committees;
    for (std::int32_t layer = 0; layer < routing.layers(); ++layer) {
        const auto means = meanMass(labels, static_cast<std::size_t>(layer));
        Committee committee;
        if (means.empty())
            committee.meanRank = committee.rankVariance = committee.coverage = committee.ratio = kNoData;
        else
            committee = committeeOf(means, routing.topK(), presence);
        committee.layer = LayerIndex(layer);
        committees.push_back(std::move(committee));
    }
    return committees;
}

AnalysisInfo specialisationAnalysis() {
    return {.name = "specialisation",
            .source = AnalysisSource::Routing,
            .parameters = "layer=all",
            .needs = "labels of prompts",
            .summary = "by layer, prompt label and expert: the part of the label's tokens that choose the expert",
            .reference = "OLMoE §5 (arXiv 2409.02060); relative load: DeepSeek-V3 fig. 9 (arXiv 2412.19437)",
            .run = specialisationTable};
}

AnalysisInfo committeeAnalysis() {
    return {.name = "committee",
            .source = AnalysisSource::Routing,
            .parameters = "presence=0.8",
            .needs = "labels of prompts",
            .summary = "by layer: the experts that take much of the gate mass whatever the prompt's label",
            .reference = "Standing Committee (arXiv 2601.03425)",
            .run = committeeTable};
}

}  // namespace expertscope
