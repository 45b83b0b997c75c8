// SPDX-License-Identifier: GPL-3.0-or-later
// Every expert on the true inputs: against plain loops over the same inputs, and beside a run that must not notice.

#include "engine/inference/deep_capture.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <numbers>
#include <numeric>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/engine/inference/run_helpers.h"

namespace expertscope {
namespace {

const test::TinyQwen3Moe kTiny{.layers = 3, .experts = 8, .topK = 3, .preGates = true};
constexpr int kPrompt = 70, kGenerated = 5, kTaken = kPrompt + kGenerated - 1;

/// The raw vectors of one layer.
struct RawLayer {
    std::vector<std::int32_t> index;
    std::vector<float> inputs, after, logits, weights, outputs, activations;
};

/// Puts blocks of raw vectors together, by layer.
struct RawLayers : DeepSink {
    void onDeepVectors(const DeepRawBlock& block) override {
        RawLayer& layer = layers[block.layer.value()];
        const auto append = [](auto& to, auto values) { to.insert(to.end(), values.begin(), values.end()); };
        append(layer.index, block.made.index);
        append(layer.inputs, block.inputs);
        append(layer.after, block.after);
        append(layer.logits, block.made.logits);
        append(layer.weights, block.made.weights);
        append(layer.outputs, block.made.outputs);
        append(layer.activations, block.activations);
    }
    void onDeepSums(const DeepAggregates&) override {}
    std::map<int, RawLayer> layers;
};

/// What a run with a capture gave.
struct Captured {
    DeepAggregates deep;
    RawLayers raw;
    test::Outcome outcome;
    test::RunLog log;
};

class DeepCaptureTest : public testing::Test {
protected:
    DeepCaptureTest() {
        test::TinyQwen3Moe options = kTiny;
        options.context = 128;
        test::writeTinyQwen3Moe(m_folder.path(), options);
        m_checkpoint = std::make_unique<Checkpoint>(Checkpoint::open(m_folder.path()));
    }

    EngineOptions options(const std::string& policy = "on-demand", int slots = 4) const {
        EngineOptions wanted;
        wanted.policy = policy;
        wanted.threads = 2;
        wanted.budget = SizeSpec{.share = {}, .bytes = m_checkpoint->expertBytes() * slots};
        wanted.deep.emplace();
        return wanted;
    }

    std::unique_ptr<Captured> run(const EngineOptions& wanted, RouterTap tap = {}) const {
        auto captured = std::make_unique<Captured>();
        Engine engine(*m_checkpoint, nullptr, wanted, captured->log);
        engine.start();
        engine.tellDeep(captured->raw);
        if (tap) engine.tapRouters(std::move(tap));
        std::vector<std::int32_t> prompt;
        for (int i = 0; i < kPrompt; ++i)
            prompt.push_back(i * 37 % kTiny.vocabulary);
        captured->outcome.result =
            engine.generate(test::request(prompt, kGenerated), [&](int, int, std::span<const float> logits) {
                auto& all = captured->outcome.logits;
                all.insert(all.end(), logits.begin(), logits.end());
            });
        captured->outcome.summary = engine.finish();
        if (wanted.deep) captured->deep = *engine.deepCapture();
        return captured;
    }

    test::TemporaryFolder m_folder;
    std::unique_ptr<Checkpoint> m_checkpoint;
};

/// Who came when, and into which slot.
std::vector<std::tuple<int, ExpertRef, int>> admissions(const test::RunLog& log) {
    std::vector<std::tuple<int, ExpertRef, int>> all;
    for (const ResidencyRecord& record : log.residency)
        if (record.change == ResidencyChange::Admit)
            all.emplace_back(record.step.value(), record.subject, record.slot.value());
    return all;
}

TEST_F(DeepCaptureTest, ARunDoesNotNoticeIt) {
    for (const char* policy : {"resident", "on-demand", "prefetch-all", "pre-gated"}) {
        EngineOptions plain = options(policy);
        plain.deep.reset();
        const auto without = run(plain), with = run(options(policy));
        ASSERT_EQ(with->outcome.logits.size(), without->outcome.logits.size());
        EXPECT_EQ(std::memcmp(with->outcome.logits.data(), without->outcome.logits.data(),
                              with->outcome.logits.size() * sizeof(float)),
                  0)
            << policy;
        EXPECT_EQ(with->outcome.summary.accesses, without->outcome.summary.accesses) << policy;
        EXPECT_EQ(with->outcome.summary.misses, without->outcome.summary.misses) << policy;
        EXPECT_EQ(admissions(with->log), admissions(without->log)) << policy;
        EXPECT_EQ(with->deep.layers.front().tokens, kTaken) << policy;
    }
}

TEST_F(DeepCaptureTest, ChosenExpertsHaveTheNormsAndWeightsOfTheNormalStep) {
    const auto captured = run(options());
    std::map<std::pair<int, int>, std::pair<double, double>> norms;
    std::map<std::pair<int, int>, int> counts;
    for (const SelectionRecord& record : captured->log.selections) {
        auto& [norm, weighted] = norms[{record.layer.value(), record.expert.value()}];
        norm += static_cast<double>(record.norm);
        weighted += static_cast<double>(record.weight) * static_cast<double>(record.norm);
        ++counts[{record.layer.value(), record.expert.value()}];
    }
    for (const DeepLayer& layer : captured->deep.layers) {
        for (int e = 0; e < kTiny.experts; ++e) {
            const auto at = static_cast<std::size_t>(e);
            const std::pair key{layer.layer.value(), e};
            EXPECT_EQ(layer.chosen[at], counts[key]);
            EXPECT_DOUBLE_EQ(layer.chosenNormSum[at], norms[key].first);
            EXPECT_DOUBLE_EQ(layer.weightedNormSum[at], norms[key].second);
        }
    }
}

/// A matrix of the checkpoint times a vector, in float64.
std::vector<double> times(const std::vector<float>& matrix, const std::vector<double>& x) {
    std::vector<double> y(matrix.size() / x.size());
    for (std::size_t r = 0; r < y.size(); ++r)
        for (std::size_t c = 0; c < x.size(); ++c)
            y[r] += static_cast<double>(matrix[r * x.size() + c]) * x[c];
    return y;
}

struct PlainExpert {
    std::vector<double> active, output;
};

PlainExpert plainExpert(const Checkpoint& checkpoint, int layer, int expert, std::span<const float> input) {
    const std::string name = "model.layers." + std::to_string(layer) + ".mlp.experts." + std::to_string(expert) + ".";
    const std::vector<double> x(input.begin(), input.end());
    PlainExpert plain;
    plain.active = times(checkpoint.readFloats(name + "gate_proj.weight"), x);
    std::vector<double> product = times(checkpoint.readFloats(name + "up_proj.weight"), x);
    for (std::size_t i = 0; i < product.size(); ++i)
        product[i] *= plain.active[i] /= 1 + std::exp(-plain.active[i]);
    plain.output = times(checkpoint.readFloats(name + "down_proj.weight"), product);
    return plain;
}

double product(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += a[i] * b[i];
    return sum;
}

TEST_F(DeepCaptureTest, AgreesWithPlainLoopsOverTheSameInputs) {
    constexpr int kLayer = 1;
    std::vector<float> inputs;
    const auto captured = run(options(), [&](LayerIndex layer, int, std::span<const float> rows, auto) {
        if (layer.value() == kLayer) inputs.insert(inputs.end(), rows.begin(), rows.end());
    });
    ASSERT_EQ(inputs.size(), static_cast<std::size_t>(kTaken * kTiny.hidden));
    const DeepLayer& layer = captured->deep.layers[kLayer];
    ASSERT_EQ(layer.tokens, kTaken);
    std::vector<double> norms(8), most(8), actives(8 * 16), sums(8 * 16);
    double cosine = 0, angular = 0;
    for (int t = 0; t < kTaken; ++t) {
        std::vector<PlainExpert> experts;
        for (int e = 0; e < kTiny.experts; ++e) {
            const auto at = static_cast<std::size_t>(e);
            experts.push_back(plainExpert(*m_checkpoint, kLayer, e,
                                          std::span(inputs).subspan(static_cast<std::size_t>(t * kTiny.hidden),
                                                                    static_cast<std::size_t>(kTiny.hidden))));
            norms[at] += std::sqrt(product(experts.back().output, experts.back().output));
            for (const double value : experts.back().output)
                most[at] = std::max(most[at], std::abs(value));
            for (std::size_t i = 0; i < 16; ++i) {
                actives[at * 16 + i] += std::abs(experts.back().active[i]) > 0.001 ? 1 : 0;
                sums[at * 16 + i] += std::abs(experts.back().active[i]);
            }
        }
        const auto& a = experts[2].output;
        const auto& b = experts[5].output;
        const double likeness = product(a, b) / std::sqrt(product(a, a) * product(b, b));
        cosine += likeness;
        angular += 1 - std::acos(likeness) / std::numbers::pi;
    }
    for (std::size_t e = 0; e < 8; ++e) {
        EXPECT_NEAR(layer.normSum[e], norms[e], 1e-5 * norms[e]);
        EXPECT_NEAR(layer.outputMax[e], most[e], 1e-4 * most[e]);
    }
    for (std::size_t i = 0; i < 8 * 16; ++i) {
        EXPECT_NEAR(layer.neuronSum[i], sums[i], 1e-5 * sums[i]);
        EXPECT_NEAR(layer.neuronActive[i], actives[i], 1);  // one on the threshold may fall either way
    }
    EXPECT_NEAR(layer.cosineSum[2 * 8 + 5], cosine, 1e-4);
    EXPECT_EQ(layer.cosineSum[5 * 8 + 2], layer.cosineSum[2 * 8 + 5]);
    EXPECT_NEAR(layer.angularSum[2 * 8 + 5], angular, 1e-4);
    EXPECT_EQ(layer.pairTokens[2 * 8 + 5], kTaken);
}

/// Norms, ranks and similarities of a layer's raw vectors by their formulas, in float64.
void expectSums(const RawLayer& raw, const DeepLayer& sums) {
    constexpr std::size_t kExperts = 8;
    const auto hidden = static_cast<std::size_t>(kTiny.hidden);
    std::vector<double> norms(kExperts), ranks(kExperts * kExperts), cosines(kExperts * kExperts);
    for (std::size_t t = 0; t < raw.index.size(); ++t) {
        const auto output = [&](std::size_t e) { return raw.outputs.begin() + (t * kExperts + e) * hidden; };
        const auto dot = [&](std::size_t a, std::size_t b) {
            return std::inner_product(output(a), output(a) + hidden, output(b), 0.0, std::plus<>(),
                                      [](float x, float y) { return static_cast<double>(x) * static_cast<double>(y); });
        };
        const auto rankOf = [&](auto value, std::size_t e) {
            std::size_t rank = 0;
            for (std::size_t other = 0; other < kExperts; ++other)
                rank += value(other) < value(e) ? 1U : 0U;
            return rank;
        };
        for (std::size_t e = 0; e < kExperts; ++e) {
            norms[e] += std::sqrt(dot(e, e));
            const std::size_t byScore = rankOf([&](std::size_t i) { return raw.logits[t * kExperts + i]; }, e);
            ranks[byScore * kExperts + rankOf([&](std::size_t i) { return dot(i, i); }, e)] += 1;
            for (std::size_t other = 0; other < kExperts; ++other)
                cosines[e * kExperts + other] += dot(e, other) / std::sqrt(dot(e, e) * dot(other, other));
        }
    }
    EXPECT_EQ(sums.rankCounts, ranks);
    for (std::size_t e = 0; e < kExperts; ++e)
        EXPECT_NEAR(sums.normSum[e], norms[e], 1e-6 * norms[e]);
    for (std::size_t pair = 0; pair < cosines.size(); ++pair)
        EXPECT_NEAR(sums.cosineSum[pair], cosines[pair], 1e-5);
}

TEST_F(DeepCaptureTest, TellsTheVectorsThatItsSumsAreMadeOfWhereTheyAreAskedFor) {
    EXPECT_TRUE(run(options())->raw.layers.empty());
    EngineOptions wanted = options();
    wanted.deep->raw = true;
    std::map<int, std::vector<float>> inputs, logits;
    const auto captured = run(wanted, [&](LayerIndex layer, int, std::span<const float> rows, auto byRouter) {
        inputs[layer.value()].insert(inputs[layer.value()].end(), rows.begin(), rows.end());
        logits[layer.value()].insert(logits[layer.value()].end(), byRouter.begin(), byRouter.end());
    });
    ASSERT_EQ(captured->raw.layers.size(), 3U);
    for (const auto& [index, raw] : captured->raw.layers) {
        ASSERT_EQ(std::ssize(raw.index), kTaken);
        EXPECT_EQ(raw.index.back(), kTaken - 1);
        EXPECT_EQ(raw.inputs, inputs[index]);
        EXPECT_EQ(raw.logits, logits[index]);
        const DeepLayer& sums = captured->deep.layers[static_cast<std::size_t>(index)];
        expectSums(raw, sums);
        ASSERT_EQ(std::ssize(raw.activations), kTaken * 8 * 16);
        const std::vector<float>& inputsHere = inputs[index];
        for (const std::size_t t : {0U, 66U, 74U - 1U}) {
            const auto hidden = static_cast<std::size_t>(kTiny.hidden);
            for (std::size_t e = 0; e < 8; ++e) {
                const PlainExpert plain = plainExpert(*m_checkpoint, index, static_cast<int>(e),
                                                      std::span(inputsHere).subspan(t * hidden, hidden));
                for (std::size_t i = 0; i < 16; ++i)
                    ASSERT_NEAR(raw.activations[(t * 8 + e) * 16 + i], plain.active[i], 1e-5)
                        << "token " << t << ", expert " << e << ", neuron " << i;
            }
        }
        float most = 0;
        for (const float value : raw.after)
            most = std::max(most, std::abs(value));
        EXPECT_EQ(sums.hiddenMax[0], static_cast<double>(most));
    }
    // What the normal step chose, and the norms that it had, bit for bit.
    const Kernels& kernels = Kernels::vectorised();
    for (const SelectionRecord& record : captured->log.selections) {
        const RawLayer& raw = captured->raw.layers.at(record.layer.value());
        const auto cell = record.token.index() * 8 + record.expert.index();
        EXPECT_EQ(raw.weights[cell], record.weight);
        EXPECT_EQ(kernels.norm(raw.outputs.data() + cell * static_cast<std::size_t>(kTiny.hidden), kTiny.hidden),
                  record.norm);
    }
}

TEST_F(DeepCaptureTest, TakesTheLayersAndTokensThatAreAskedFor) {
    EngineOptions wanted = options();
    wanted.deep = DeepCaptureOptions{.firstLayer = LayerIndex(1),
                                     .lastLayer = LayerIndex(7),
                                     .firstToken = TokenIndex(68),
                                     .lastToken = TokenIndex(71),
                                     .examples = 2};
    const auto captured = run(wanted);
    ASSERT_EQ(captured->deep.layers.size(), 2U);
    EXPECT_EQ(captured->deep.layers[0].layer, LayerIndex(1));
    for (const DeepLayer& layer : captured->deep.layers) {
        EXPECT_EQ(layer.tokens, 4);
        EXPECT_EQ(layer.exampleTokens, (std::vector<double>{68, 69}));
        EXPECT_EQ(layer.exampleCosines.size(), 2U * 8 * 8);
        // The same tokens among all are the same numbers.
        for (int slot = 0; slot < 3; ++slot) {
            const auto& selections = captured->log.selections;
            const auto found = std::ranges::find_if(selections, [&](const SelectionRecord& record) {
                return record.token == TokenIndex(69) && record.layer == layer.layer && record.slot == slot;
            });
            ASSERT_NE(found, selections.end());
            EXPECT_EQ(layer.exampleNorms[8 + found->expert.index()], static_cast<double>(found->norm));
            EXPECT_EQ(layer.exampleWeights[8 + found->expert.index()], static_cast<double>(found->weight));
        }
    }
    ASSERT_EQ(captured->log.diagnostics.size(), 1U);
    EXPECT_EQ(captured->log.diagnostics[0].name, "deep_capture");
    EXPECT_THAT(captured->log.diagnostics[0].sentence, testing::HasSubstr("layers 1 to 2 ran on the tokens 68 to 71"));
}

TEST_F(DeepCaptureTest, ThreadsChangeNoBit) {
    EngineOptions one = options();
    one.threads = 1;
    EngineOptions three = options();
    three.threads = 3;
    const auto a = run(one), b = run(three);
    for (std::size_t i = 0; i < a->deep.layers.size(); ++i) {
        EXPECT_EQ(a->deep.layers[i].cosineSum, b->deep.layers[i].cosineSum);
        EXPECT_EQ(a->deep.layers[i].neuronSum, b->deep.layers[i].neuronSum);
        EXPECT_EQ(a->deep.layers[i].pairClasses, b->deep.layers[i].pairClasses);
        EXPECT_EQ(a->deep.layers[i].unselected, b->deep.layers[i].unselected);
    }
}

TEST_F(DeepCaptureTest, NamesADamagedExpertThatNoTokenChose) {
    const TensorInfo& info = *m_checkpoint->tensors().find("model.layers.2.mlp.experts.4.up_proj.weight");
    const std::filesystem::path path = m_checkpoint->tensors().files()[0];
    std::string bytes = test::readFile(path);
    const std::uint16_t nan = test::toBf16(std::numeric_limits<float>::quiet_NaN());
    std::memcpy(bytes.data() + info.offset, &nan, sizeof nan);
    test::writeFile(path, bytes);
    EngineOptions wanted = options();
    wanted.limits.removed = {{LayerIndex(2), ExpertId(4)}};
    try {
        run(wanted);
        FAIL() << "no failure";
    } catch (const FailedError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("Expert 4 of layer 2"));
        EXPECT_THAT(error.what(), testing::HasSubstr("deep capture"));
    }
}

TEST_F(DeepCaptureTest, RefusesLayersThatTheModelLacks) {
    EngineOptions wanted = options();
    wanted.deep->firstLayer = LayerIndex(3);
    EXPECT_THROW(run(wanted), UsageError);
}

class RoutingLimitsTest : public DeepCaptureTest {
protected:
    EngineOptions limited(RoutingLimits limits) const {
        EngineOptions wanted = options();
        wanted.deep.reset();
        wanted.limits = std::move(limits);
        return wanted;
    }
};

TEST_F(RoutingLimitsTest, RemovedExpertsAreNeverChosenAndTheOthersShareTheirWeight) {
    const auto captured = run(limited(
        {.removed = {{LayerIndex(0), ExpertId(1)}, {LayerIndex(0), ExpertId(6)}, {LayerIndex(2), ExpertId(0)}}}));
    std::map<std::pair<int, int>, float> weights;
    for (const SelectionRecord& record : captured->log.selections) {
        EXPECT_FALSE(record.layer == LayerIndex(0) && (record.expert == ExpertId(1) || record.expert == ExpertId(6)));
        EXPECT_FALSE(record.layer == LayerIndex(2) && record.expert == ExpertId(0));
        weights[{record.layer.value(), record.token.value()}] += record.weight;
    }
    EXPECT_EQ(weights.size(), static_cast<std::size_t>(kTaken * kTiny.layers));
    for (const auto& [key, weight] : weights)
        EXPECT_NEAR(weight, 1, 1e-5);
    EngineOptions nothing = options();
    nothing.deep.reset();
    EXPECT_NE(captured->outcome.logits, run(nothing)->outcome.logits);
}

TEST_F(RoutingLimitsTest, AWeightThresholdDropsAllButTheBest) {
    const auto captured = run(limited({.removed = {}, .leastWeight = 2}));
    for (const SelectionRecord& record : captured->log.selections) {
        EXPECT_EQ(record.action == SelectionAction::Dropped, record.slot > 0);
        EXPECT_GE(record.expert.value(), 0);
        EXPECT_NEAR(record.weight, record.slot == 0 ? 1 : 0, 1e-6);
    }
    // One expert a token by a threshold is one expert a token by the model's own number.
    const Checkpoint one = m_checkpoint->choosing(1);
    test::RunLog log;
    EngineOptions resident;
    std::vector<std::int32_t> prompt;
    for (int i = 0; i < kPrompt; ++i)
        prompt.push_back(i * 37 % kTiny.vocabulary);
    const auto single = test::runOnce(one, resident, test::request(prompt, kGenerated), log);
    ASSERT_EQ(single.logits.size(), captured->outcome.logits.size());
    for (std::size_t i = 0; i < single.logits.size(); ++i)
        ASSERT_NEAR(single.logits[i], captured->outcome.logits[i], 1e-4);
}

TEST_F(RoutingLimitsTest, SaysWhatCannotBe) {
    RoutingLimits tooMany;
    for (int e = 0; e < 6; ++e)
        tooMany.removed.push_back({LayerIndex(1), ExpertId(e)});
    EXPECT_THROW(run(limited(tooMany)), UsageError);
    EXPECT_THROW(run(limited({.removed = {{LayerIndex(3), ExpertId(0)}}})), UsageError);
    EXPECT_THROW(m_checkpoint->choosing(9), UsageError);
    EXPECT_THROW(m_checkpoint->choosing(0), UsageError);
}

}  // namespace
}  // namespace expertscope
