// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/request_activation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "profiler/analysis/routing/expert_marks.h"
#include "profiler/analysis/routing/layer_similarity.h"
#include "profiler/analysis/routing/load_balance.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();
constexpr int kMostRounds = 100;

using Distances = std::vector<std::vector<double>>;

/// What is not comparable (no layer in common) is as far as can be.
Distances distancesOf(const std::vector<RequestActivation>& activations) {
    Distances distances(activations.size(), std::vector<double>(activations.size()));
    for (std::size_t a = 0; a < activations.size(); ++a) {
        for (std::size_t b = a + 1; b < activations.size(); ++b) {
            const double distance = activationDistance(activations[a], activations[b]);
            distances[a][b] = distances[b][a] = std::isnan(distance) ? 1 : distance;
        }
    }
    return distances;
}

/// The member with the least sum of distances to the members; the first of equals.
std::size_t centre(const Distances& distances, const std::vector<std::size_t>& members) {
    std::size_t best = members.front();
    double least = std::numeric_limits<double>::infinity();
    for (const std::size_t candidate : members) {
        double sum = 0;
        for (const std::size_t member : members)
            sum += distances[candidate][member];
        if (sum < least - 1e-12) {
            least = sum;
            best = candidate;
        }
    }
    return best;
}

std::vector<std::size_t> firstMedoids(const Distances& distances, std::size_t groups) {
    std::vector<std::size_t> all(distances.size());
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = i;
    std::vector<std::size_t> medoids{centre(distances, all)};
    while (medoids.size() < groups) {
        std::size_t farthest = 0;
        double most = -1;
        for (const std::size_t candidate : all) {
            double nearest = std::numeric_limits<double>::infinity();
            for (const std::size_t medoid : medoids)
                nearest = std::min(nearest, distances[candidate][medoid]);
            if (nearest > most + 1e-12) {
                most = nearest;
                farthest = candidate;
            }
        }
        if (most <= 0) break;  // all others are alike
        medoids.push_back(farthest);
    }
    return medoids;
}

/// For each request the place of its nearest medoid; the first of equals.
std::vector<std::size_t> assign(const Distances& distances, const std::vector<std::size_t>& medoids) {
    std::vector<std::size_t> groupOf(distances.size());
    for (std::size_t i = 0; i < groupOf.size(); ++i)
        for (std::size_t m = 1; m < medoids.size(); ++m)
            if (distances[i][medoids[m]] < distances[i][medoids[groupOf[i]]] - 1e-12) groupOf[i] = m;
    return groupOf;
}

std::string labelOf(const RunRouting& routing, std::int32_t request) {
    const auto found = std::ranges::find(routing.requests(), RequestIndex(request), &RequestRecord::request);
    return found == routing.requests().end() ? std::string() : found->label;
}

AnalysisTable ratioTable(const AnalysisInput& input, Parameters&) {
    AnalysisTable table;
    table.counted = input.routing->counted() +
                    " An iteration is the i-th generated token of as many requests as the batch has, in one layer.";
    table.columns = {"batch", "iterations", "activation_ratio", "random_ratio"};
    for (const ActivationRatio& row : activationRatios(*input.routing))
        table.rows.push_back({std::int64_t{row.batch}, row.iterations, row.ratio, row.random});
    return table;
}

AnalysisTable reuseTable(const AnalysisInput& input, Parameters&) {
    const RunRouting& routing = *input.routing;
    const std::vector<RequestActivation> requests = requestActivations(routing);
    AnalysisTable table;
    table.counted =
        routing.counted() + fmt::format(
                                " {} requests; within is the mean over requests, across of all requests' loads "
                                "together, random what uniform choices of as many tokens come to.",
                                requests.size());
    table.columns = {"layer",     "requests",    "gini_within", "gini_across",        "cv_within",
                     "cv_across", "used_within", "used_across", "random_gini_within", "random_gini_across"};
    std::map<std::int64_t, double> randomGinis;  // of so many tokens: layers mostly route equally many
    const auto randomGiniOf = [&](std::int64_t tokens) {
        const auto [known, fresh] = randomGinis.try_emplace(tokens);
        if (fresh) known->second = randomBalance(tokens, routing.topK(), routing.experts(), 1).gini;
        return known->second;
    };
    for (std::int32_t layer = 0; layer < routing.layers(); ++layer) {
        const auto l = static_cast<std::size_t>(layer);
        std::vector<double> all(static_cast<std::size_t>(routing.experts()));
        double gini = 0, cv = 0, used = 0, randomGini = 0, count = 0, tokens = 0;
        for (const RequestActivation& request : requests) {
            const LoadBalance balance = loadBalance(request.counts[l]);
            if (balance.used == 0) continue;
            double choices = 0;
            for (std::size_t e = 0; e < all.size(); ++e) {
                all[e] += request.counts[l][e];
                choices += request.counts[l][e];
            }
            const auto routed = static_cast<std::int64_t>(std::ceil(choices / routing.topK()));
            count += 1;
            tokens += static_cast<double>(routed);
            gini += balance.gini;
            cv += balance.cv;
            used += balance.used;
            randomGini += randomGiniOf(routed);
        }
        const LoadBalance across = loadBalance(all);
        const double randomAcross = randomGiniOf(static_cast<std::int64_t>(tokens));
        table.rows.push_back({std::int64_t{layer}, static_cast<std::int64_t>(count), gini / count, across.gini,
                              cv / count, across.cv, used / count, std::int64_t{across.used}, randomGini / count,
                              randomAcross});
    }
    return table;
}

AnalysisTable groupsTable(const AnalysisInput& input, Parameters& parameters) {
    const int groups = parameters.integer("groups", 4, 1, 1 << 16);
    const std::vector<RequestActivation> requests = requestActivations(*input.routing);
    double sum = 0;
    std::int64_t pairs = 0;
    for (std::size_t a = 0; a < requests.size(); ++a) {
        for (std::size_t b = a + 1; b < requests.size(); ++b) {
            const double distance = activationDistance(requests[a], requests[b]);
            if (std::isnan(distance)) continue;
            sum += distance;
            ++pairs;
        }
    }
    AnalysisTable table;
    table.counted =
        input.routing->counted() + fmt::format(
                                       " {} requests; distance is the mean over layers of 1 − cosine of their loads, "
                                       "mean_distance that of two requests drawn at random.",
                                       requests.size());
    table.columns = {"request", "label", "group", "medoid", "distance", "nearest_other", "mean_distance"};
    for (const RequestGroup& row : groupRequests(requests, groups))
        table.rows.push_back({std::int64_t{row.request}, labelOf(*input.routing, row.request), std::int64_t{row.group},
                              std::int64_t{row.medoid}, row.distance, row.nearestOther,
                              pairs > 0 ? sum / static_cast<double>(pairs) : kNoData});
    return table;
}

}  // namespace

std::vector<RequestActivation> requestActivations(const RunRouting& routing) {
    std::map<std::int32_t, RequestActivation> byRequest;
    const std::vector<double> none(static_cast<std::size_t>(routing.experts()));
    for (std::int32_t l = 0; l < routing.layers(); ++l) {
        const LayerChoices& layer = routing.layer(l);
        RequestActivation* activation = nullptr;
        for (std::size_t row = 0; row < layer.rows(); ++row) {
            const std::int32_t request = routing.token(layer.tokens[row]).request;
            if (!activation || activation->request != request) {
                activation = &byRequest[request];
                activation->request = request;
                activation->counts.resize(static_cast<std::size_t>(routing.layers()), none);
            }
            for (const std::int32_t expert : layer.chosen(row))
                if (expert >= 0) activation->counts[static_cast<std::size_t>(l)][static_cast<std::size_t>(expert)] += 1;
        }
    }
    std::vector<RequestActivation> activations;
    for (auto& [request, activation] : byRequest)
        activations.push_back(std::move(activation));
    return activations;
}

double activationDistance(const RequestActivation& a, const RequestActivation& b) {
    double sum = 0;
    int layers = 0;
    for (std::size_t l = 0; l < a.counts.size(); ++l) {
        const double alike = cosine(a.counts[l], b.counts[l]);
        if (std::isnan(alike)) continue;
        sum += 1 - alike;
        ++layers;
    }
    return layers > 0 ? sum / layers : kNoData;
}

std::vector<ActivationRatio> activationRatios(const RunRouting& routing) {
    std::vector<ActivationRatio> ratios;
    ExpertMarks marks(routing.experts());
    std::vector<std::vector<std::vector<std::size_t>>> decoded;  // [layers][requests] rows
    std::size_t most = 0;
    for (std::int32_t l = 0; l < routing.layers(); ++l) {
        std::map<std::int32_t, std::vector<std::size_t>> rows;
        const LayerChoices& layer = routing.layer(l);
        for (std::size_t row = 0; row < layer.rows(); ++row) {
            const RunRouting::Token& token = routing.token(layer.tokens[row]);
            if (token.phase == static_cast<std::int8_t>(Phase::Decode)) rows[token.request].push_back(row);
        }
        auto& requests = decoded.emplace_back();
        for (auto& [request, ofRequest] : rows)
            requests.push_back(std::move(ofRequest));
        most = std::max(most, requests.size());
    }
    for (std::size_t batch = 1; batch <= most; batch *= 2) {
        ActivationRatio& ratio = ratios.emplace_back();
        ratio.batch = static_cast<std::int32_t>(batch);
        for (std::int32_t l = 0; l < routing.layers(); ++l) {
            const LayerChoices& layer = routing.layer(l);
            const auto& requests = decoded[static_cast<std::size_t>(l)];
            for (std::size_t first = 0; first + batch <= requests.size(); first += batch) {
                std::size_t iterations = requests[first].size();
                for (std::size_t r = first; r < first + batch; ++r)
                    iterations = std::min(iterations, requests[r].size());
                for (std::size_t i = 0; i < iterations; ++i) {
                    marks.clear();
                    std::int32_t distinct = 0;
                    for (std::size_t r = first; r < first + batch; ++r)
                        for (const std::int32_t expert : layer.chosen(requests[r][i]))
                            distinct += expert >= 0 && marks.insert(expert) ? 1 : 0;
                    ++ratio.iterations;
                    ratio.ratio += distinct;
                }
            }
        }
        ratio.ratio /= static_cast<double>(ratio.iterations) * routing.experts();
        ratio.random =
            1 - std::pow(1 - static_cast<double>(routing.topK()) / routing.experts(), static_cast<double>(batch));
    }
    return ratios;
}

std::vector<RequestGroup> groupRequests(const std::vector<RequestActivation>& activations, std::int32_t groups) {
    if (activations.empty()) return {};
    const Distances distances = distancesOf(activations);
    std::vector<std::size_t> medoids =
        firstMedoids(distances, std::min(activations.size(), static_cast<std::size_t>(groups)));
    std::vector<std::size_t> groupOf = assign(distances, medoids);
    for (int round = 0; round < kMostRounds; ++round) {
        std::vector<std::size_t> centred;
        for (std::size_t m = 0; m < medoids.size(); ++m) {
            std::vector<std::size_t> members;
            for (std::size_t i = 0; i < groupOf.size(); ++i)
                if (groupOf[i] == m) members.push_back(i);
            centred.push_back(members.empty() ? medoids[m] : centre(distances, members));
        }
        if (centred == medoids) break;
        medoids = centred;
        groupOf = assign(distances, medoids);
    }
    std::map<std::size_t, std::int32_t> numbers;
    std::vector<RequestGroup> rows;
    for (std::size_t i = 0; i < activations.size(); ++i) {
        RequestGroup& row = rows.emplace_back();
        row.request = activations[i].request;
        row.group = numbers.try_emplace(groupOf[i], static_cast<std::int32_t>(numbers.size())).first->second;
        row.medoid = activations[medoids[groupOf[i]]].request;
        row.distance = distances[i][medoids[groupOf[i]]];
        row.nearestOther = kNoData;
        for (std::size_t m = 0; m < medoids.size(); ++m)
            if (m != groupOf[i] && !(row.nearestOther <= distances[i][medoids[m]]))
                row.nearestOther = distances[i][medoids[m]];
    }
    return rows;
}

AnalysisInfo activationRatioAnalysis() {
    return {.name = "activation-ratio",
            .source = AnalysisSource::Routing,
            .parameters = "",
            .needs = "generated tokens",
            .summary = "by batch size: the part of a layer's experts that one decode iteration needs",
            .reference = "MoE-Infinity (arXiv 2401.14361)",
            .run = ratioTable};
}

AnalysisInfo requestReuseAnalysis() {
    return {.name = "request-reuse",
            .source = AnalysisSource::Routing,
            .parameters = "",
            .needs = "",
            .summary = "by layer: how skewed loads are within a request, and over all requests",
            .reference = "MoE-Infinity (arXiv 2401.14361): skewed reuse in a request, even use across requests",
            .run = reuseTable};
}

AnalysisInfo requestGroupsAnalysis() {
    return {.name = "request-groups",
            .source = AnalysisSource::Routing,
            .parameters = "groups=4",
            .needs = "",
            .summary = "requests grouped by the experts that they activate (k medoids of activation matrices)",
            .reference = "MoE-Infinity's EAM collection (arXiv 2401.14361)",
            .run = groupsTable};
}

}  // namespace expertscope
