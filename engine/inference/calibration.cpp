// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/calibration.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "engine/inference/sampler.h"

namespace expertscope {
namespace {

/// Natural logarithm of the probability of `id`.
double logProbabilityOf(std::span<const float> logits, std::int32_t id) {
    const double highest = *std::ranges::max_element(logits);
    double sum = 0;
    for (const float logit : logits)
        sum += std::exp(static_cast<double>(logit) - highest);
    return static_cast<double>(logits[static_cast<std::size_t>(id)]) - highest - std::log(sum);
}

}  // namespace

std::vector<CalibrationText> calibrationTexts(const Checkpoint& checkpoint, const EngineOptions& options,
                                              std::span<const std::vector<std::int32_t>> prompts,
                                              const CalibrationLength& length) {
    Observer nobody;
    Engine engine(checkpoint, nullptr, options, nobody);
    engine.start();
    std::vector<CalibrationText> texts;
    for (int round = 0; round < length.rounds; ++round) {
        for (const auto& prompt : prompts) {
            GenerationRequest request;
            request.promptIds = prompt;
            request.tokens = length.tokens;
            request.sampling = {.temperature = 1, .topP = 1, .seed = static_cast<std::uint64_t>(round)};
            const GenerationResult made = engine.generate(request);
            CalibrationText text{.ids = {}, .heldOut = round + 1 == length.rounds && round > 0};
            if (!text.heldOut) text.ids = prompt;
            std::ranges::copy(made.generated, std::back_inserter(text.ids));
            const auto context = static_cast<std::size_t>(checkpoint.config().context);
            text.ids.resize(std::min(text.ids.size(), context));
            texts.push_back(std::move(text));
        }
    }
    engine.finish();
    return texts;
}

double perplexity(const Checkpoint& checkpoint, const EngineOptions& options, std::span<const CalibrationText> texts,
                  Observer& observer) {
    Engine engine(checkpoint, nullptr, options, observer);
    engine.start();
    double sum = 0;
    std::int64_t count = 0;
    for (const CalibrationText& text : texts) {
        engine.score(text.ids, [&](int first, int rows, std::span<const float> logits) {
            const std::size_t width = logits.size() / static_cast<std::size_t>(rows);
            for (int row = 0; row < rows; ++row) {
                const auto next = static_cast<std::size_t>(first + row) + 1;
                if (next == text.ids.size()) continue;
                sum -= logProbabilityOf(logits.subspan(static_cast<std::size_t>(row) * width, width), text.ids[next]);
                ++count;
            }
        });
    }
    engine.finish();
    return count > 0 ? std::exp(sum / static_cast<double>(count)) : 0;
}

std::vector<CalibrationText> heldOut(std::span<const CalibrationText> texts) {
    std::vector<CalibrationText> kept;
    std::ranges::copy_if(texts, std::back_inserter(kept), &CalibrationText::heldOut);
    return kept;
}

}  // namespace expertscope
