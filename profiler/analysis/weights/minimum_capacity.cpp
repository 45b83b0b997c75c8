// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/minimum_capacity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <span>

#include <fmt/format.h>

#include "profiler/analysis/weights/lone_tokens.h"
#include "profiler/analysis/weights/weight_pass.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

/// log I_x(p, q), the regularised incomplete beta function, by its continued fraction evaluated from behind; good where
/// x < (p + 1)/(p + q + 2). Source: DLMF 8.17.22.
double logBetaPart(double x, double p, double q) {
    if (x <= 0) return -std::numeric_limits<double>::infinity();
    constexpr int kTerms = 400;  // √max(p, q) suffice
    double fraction = 1;
    for (int i = kTerms; i > 0; --i) {
        const double m = std::floor(i / 2.0);
        const double term = i % 2 == 0 ? m * (q - m) * x / ((p + 2 * m - 1) * (p + 2 * m))
                                       : -(p + m) * (p + q + m) * x / ((p + 2 * m) * (p + 2 * m + 1));
        fraction = 1 + term / fraction;
    }
    return p * std::log(x) + q * std::log1p(-x) + std::lgamma(p + q) - std::lgamma(p) - std::lgamma(q) - std::log(p) -
           std::log(fraction);
}

/// A layer's rows that could be counted: cosines of each with its best router row.
struct Angles {
    std::vector<double> cosines;
    std::int64_t leftOut = 0;
};

double lengthOf(std::span<const float> values) {
    double square = 0;
    for (const float value : values)
        square += static_cast<double>(value) * static_cast<double>(value);
    return std::sqrt(square);
}

double cosineOf(std::span<const float> a, std::span<const float> b, double lengths) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum / lengths;
}

/// `inputs` [rows, width] of the router whose rows are `router`.
Angles anglesOf(std::span<const float> inputs, std::size_t width, std::span<const float> router) {
    const std::size_t rows = inputs.size() / width;
    std::vector<double> gateLengths;
    for (std::size_t at = 0; at < router.size(); at += width)
        gateLengths.push_back(lengthOf(router.subspan(at, width)));
    Angles angles;
    for (std::size_t r = 0; r < rows; ++r) {
        const auto input = inputs.subspan(r * width, width);
        const double length = lengthOf(input);
        double best = -2;
        for (std::size_t e = 0; e < gateLengths.size(); ++e)
            if (const double lengths = length * gateLengths[e]; std::isfinite(lengths) && lengths > 0)
                best = std::max(best, cosineOf(input, router.subspan(e * width, width), length * gateLengths[e]));
        if (best < -1.5)
            ++angles.leftOut;
        else
            angles.cosines.push_back(std::min(best, 1.0));
    }
    return angles;
}

double meanOf(std::span<const double> values) {
    if (values.empty()) return kNoData;
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// What the derivation assumes of router rows: equal norms (variation coefficient 0), right angles (cosine 0).
std::pair<double, double> assumptionsOf(const RouterWeights& router) {
    std::vector<double> cosines;
    for (std::size_t a = 0; a < router.similarity.size(); ++a)
        for (std::size_t b = a + 1; b < router.similarity.size(); ++b)
            if (std::isfinite(router.similarity.at(a, b))) cosines.push_back(std::abs(router.similarity.at(a, b)));
    std::vector<double> squares;
    const double mean = meanOf(router.norms);
    for (const double norm : router.norms)
        squares.push_back((norm - mean) * (norm - mean));
    return {mean > 0 ? std::sqrt(meanOf(squares)) / mean : kNoData, meanOf(cosines)};
}

AnalysisTable minimumCapacityTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    const ModelConfig& config = input.checkpoint->config();
    const std::vector<std::int32_t> ids = drawnTokens(config.vocabulary, parameters.integer("tokens", 256, 1, 1 << 20));
    const double dimensions = config.expertInputs(), experts = config.experts;
    AnalysisTable table;
    const std::optional<RecordedText>& text = study->text();
    table.counted =
        study->counted() + " " +
        (text
             ? fmt::format("The tokens that {} kept the router inputs of; layers without them have no row.", text->name)
             : fmt::format(
                   "{} of {} tokens of the vocabulary, each as a prompt of its own; --with takes those of a run "
                   "recorded with deep:raw.",
                   ids.size(), config.vocabulary)) +
        fmt::format(
            " delta: cosine of a token's router input with the router row nearest to it; p_delta: the part of "
            "random directions of {} dimensions as near to a row, either way; min_capacity: "
            "1/(experts · p_delta) tokens an expert, with the erfc and exp forms that the paper gives for it, at "
            "the mean delta. The derivation takes router rows to be orthogonal (gate_cosine 0) and equally long "
            "(gate_norm_cv 0).",
            config.expertInputs());
    table.columns = {"layer",
                     "tokens",
                     "mean_delta",
                     "max_delta",
                     "random_delta",
                     "mean_angle",
                     "gate_cosine",
                     "gate_norm_cv",
                     "p_delta",
                     "min_capacity",
                     "min_capacity_erfc",
                     "min_capacity_exp",
                     "log10_min_capacity"};
    const double random = randomLargestCosine(experts, dimensions);
    std::int64_t leftOut = 0;
    const auto addLayer = [&](LayerIndex layer, std::span<const float> inputs) {
        const Angles angles =
            anglesOf(inputs, static_cast<std::size_t>(config.expertInputs()), study->weights().router(layer));
        leftOut += angles.leftOut;
        const auto [normCv, gateCosine] = assumptionsOf(readRouterWeights(study->weights(), layer));
        const double delta = meanOf(angles.cosines);
        std::vector<double> degrees;
        for (const double cosine : angles.cosines)
            degrees.push_back(std::acos(std::max(cosine, -1.0)) * 180 / std::numbers::pi);
        const double logShare = logFarShare(delta, dimensions);
        const double exponent = delta * delta * dimensions / (2 - delta * delta);
        const double largest = angles.cosines.empty() ? kNoData : std::ranges::max(angles.cosines);
        table.rows.push_back({std::int64_t{layer.value()}, static_cast<std::int64_t>(angles.cosines.size()), delta,
                              largest, random, meanOf(degrees), gateCosine, normCv, std::exp(logShare),
                              std::exp(-logShare) / experts, 1 / (experts * std::erfc(std::sqrt(exponent))),
                              std::exp(exponent) / experts, -(logShare + std::log(experts)) / std::numbers::ln10});
    };
    if (text) {
        forEachLayer(layers, input, [&](LayerIndex layer, const auto&) {
            const std::vector<float> inputs = text->routerInputs(layer);
            if (!inputs.empty()) addLayer(layer, inputs);
        });
    } else {
        routeLoneTokens(study->weights(), ids, layers.back(), study->pool(), [&](const LoneRouting& routing) {
            if (input.progress) input.progress(routing.layer.value() / (layers.back().value() + 1.0));
            if (std::ranges::find(layers, routing.layer) != layers.end()) addLayer(routing.layer, routing.inputs);
        });
    }
    if (leftOut > 0)
        table.counted +=
            fmt::format(" Left out: {} tokens by layer that have no direction or values that are not finite.", leftOut);
    if (input.progress) input.progress(1);
    return table;
}

}  // namespace

double logFarShare(double delta, double dimensions) {
    const double near = delta * delta, p = 0.5, q = (dimensions - 1) / 2;
    if (!(dimensions >= 2) || !std::isfinite(delta)) return kNoData;
    if (1 - near < (q + 1) / (p + q + 2)) return logBetaPart(1 - near, q, p);
    return std::log1p(-std::exp(logBetaPart(near, p, q)));
}

double randomLargestCosine(double directions, double dimensions) {
    if (!(dimensions >= 2)) return kNoData;
    constexpr int kSteps = 2000;  // of an angle, so that the ends of the range are smooth; Simpson's rule
    double sum = 0;
    for (int i = 0; i <= kSteps; ++i) {
        const double angle = std::numbers::pi * i / kSteps, cosine = std::cos(angle);
        const double far = std::exp(logFarShare(cosine, dimensions)) / 2;
        const double below = cosine > 0 ? 1 - far : far;
        const double weight = i == 0 || i == kSteps ? 1 : i % 2 == 1 ? 4 : 2;
        sum += weight * (1 - std::pow(below, directions)) * std::sin(angle);
    }
    return sum * std::numbers::pi / kSteps / 3 - 1;
}

AnalysisInfo minimumCapacityAnalysis() {
    return {
        .name = "minimum-capacity",
        .source = AnalysisSource::Checkpoint,
        .parameters = "tokens=256, layer=-1 (all), every=1",
        .needs = "",
        .summary = "by layer: angles of tokens with router rows, and the least expert capacity that follows from them",
        .reference = "LocMoE (arXiv 2401.13920)",
        .run = minimumCapacityTable};
}

}  // namespace expertscope
