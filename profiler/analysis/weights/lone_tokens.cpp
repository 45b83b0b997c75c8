// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/lone_tokens.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <fmt/format.h>

#include "engine/compute/kernels.h"
#include "engine/compute/thread_pool.h"
#include "engine/inference/router.h"
#include "engine/model/element_convert.h"

namespace expertscope {
namespace {

/// A weight matrix as float32, [rows, columns].
struct FloatMatrix {
    std::vector<float> values;
    std::size_t rows = 0, columns = 0;

    FloatMatrix(std::vector<float> all, std::size_t rowCount)
        : values(std::move(all)), rows(rowCount), columns(rowCount > 0 ? values.size() / rowCount : 0) {}

    /// out[r] = W x[r] for `count` rows of x.
    std::vector<float> times(std::span<const float> x, std::size_t count) const {
        std::vector<float> out(count * rows);
        const MatrixView view{reinterpret_cast<const std::byte*>(values.data()), ElementType::F32,
                              static_cast<int>(rows), static_cast<int>(columns)};
        if (count > 0) Kernels::vectorised().matmul(view, x.data(), static_cast<int>(count), 0, view.rows, out.data());
        return out;
    }
};

/// One layer's pass over the hidden states [tokens, H].
class LonePass {
public:
    LonePass(const ExpertMatrices& weights, std::span<const std::int32_t> ids, ThreadPool& pool)
        : m_weights(weights), m_config(weights.checkpoint().config()), m_pool(pool), m_tokens(ids.size()) {
        const std::vector<float> embeddings = weights.checkpoint().readFloats("model.embed_tokens.weight");
        for (const std::int32_t id : ids) {
            const auto row = embeddings.begin() + static_cast<std::ptrdiff_t>(id) * m_config.hidden;
            m_hidden.insert(m_hidden.end(), row, row + m_config.hidden);
        }
    }

    void attend(LayerIndex layer) {
        const auto heads = static_cast<std::size_t>(m_config.heads), dim = static_cast<std::size_t>(m_config.headDim);
        const std::size_t share = heads / static_cast<std::size_t>(m_config.kvHeads);
        const std::vector<float> normed = norm(layer, "input_layernorm");
        const std::vector<float> values =
            tensor(layer, "self_attn.v_proj", m_config.kvHeads * m_config.headDim).times(normed, m_tokens);
        std::vector<float> attended(m_tokens * heads * dim);
        for (std::size_t i = 0; i < m_tokens * heads; ++i) {
            const std::size_t token = i / heads, from = i % heads / share;
            std::copy_n(values.begin() + static_cast<std::ptrdiff_t>((token * (heads / share) + from) * dim), dim,
                        attended.begin() + static_cast<std::ptrdiff_t>(i * dim));
        }
        add(tensor(layer, "self_attn.o_proj", m_config.hidden).times(attended, m_tokens));
    }

    /// Splits and routes; the rows are given by routing().
    void route(LayerIndex layer) {
        m_inputs = norm(layer, "post_attention_layernorm");
        if (split()) m_inputs = tensor(layer, "mlp.multi_head_layer", m_config.hidden).times(m_inputs, m_tokens);
        const auto experts = static_cast<std::size_t>(m_config.experts), k = static_cast<std::size_t>(m_config.topK);
        const FloatMatrix router(m_weights.router(layer), experts);
        const std::vector<float> logits = router.times(m_inputs, rows());
        m_chosen.assign(rows() * k, -1);
        m_shares.assign(rows() * k, 0.0F);
        std::vector<float> scratch(experts);
        std::vector<ExpertId> chosen(k, ExpertId(0));
        for (std::size_t r = 0; r < rows(); ++r) {
            const float* const own = logits.data() + r * experts;
            if (!std::all_of(own, own + experts, [](float logit) { return std::isfinite(logit); })) continue;
            chooseExperts(Kernels::vectorised(), own, m_config.experts, m_config.topK, m_config.normTopK,
                          scratch.data(), chosen.data(), m_shares.data() + r * k);
            std::ranges::transform(chosen, m_chosen.begin() + static_cast<std::ptrdiff_t>(r * k),
                                   [](ExpertId expert) { return expert.value(); });
        }
    }

    LoneRouting routing(LayerIndex layer) const { return {layer, width(), m_inputs, m_chosen}; }

    void runExperts(LayerIndex layer) {
        std::vector<std::vector<std::size_t>> uses(static_cast<std::size_t>(m_config.experts));
        for (std::size_t use = 0; use < m_chosen.size(); ++use)
            if (m_chosen[use] >= 0) uses[static_cast<std::size_t>(m_chosen[use])].push_back(use);
        std::vector<float> outputs(m_chosen.size() * width());  // by use, so that the order of experts changes no bit
        m_pool.forEach(m_config.experts, [&](int expert, int) {
            runExpert(layer, static_cast<std::size_t>(expert), uses[static_cast<std::size_t>(expert)], outputs);
        });
        std::vector<float> sums(m_inputs.size());
        const auto k = static_cast<std::size_t>(m_config.topK);
        for (std::size_t use = 0; use < m_chosen.size(); ++use)
            if (m_chosen[use] >= 0)
                Kernels::vectorised().addScaled(m_shares[use], outputs.data() + use * width(),
                                                static_cast<int>(width()), sums.data() + use / k * width());
        add(split() ? tensor(layer, "mlp.merge_layer", m_config.hidden).times(sums, m_tokens) : sums);
    }

private:
    bool split() const { return m_config.subTokens > 1; }
    std::size_t rows() const { return m_tokens * static_cast<std::size_t>(m_config.subTokens); }
    std::size_t width() const { return static_cast<std::size_t>(m_config.expertInputs()); }

    FloatMatrix tensor(LayerIndex layer, const char* name, std::int32_t rowCount) const {
        return {m_weights.checkpoint().readFloats(fmt::format("model.layers.{}.{}.weight", layer.value(), name)),
                static_cast<std::size_t>(rowCount)};
    }

    std::vector<float> norm(LayerIndex layer, const char* name) const {
        const FloatMatrix weight = tensor(layer, name, 1);
        std::vector<float> normed(m_hidden.size());
        for (std::size_t t = 0; t < m_tokens; ++t) {
            const std::size_t at = t * weight.columns;
            Kernels::vectorised().rmsNorm(m_hidden.data() + at, weight.values.data(), m_config.normEps, m_config.hidden,
                                          normed.data() + at);
        }
        return normed;
    }

    void add(const std::vector<float>& change) {
        std::ranges::transform(m_hidden, change, m_hidden.begin(), std::plus<>());
    }

    FloatMatrix expertMatrix(LayerIndex layer, std::size_t expert, ExpertMatrix matrix) const {
        const auto rowCount = static_cast<std::size_t>(m_weights.rows(layer, expert, matrix));
        std::vector<float> values(rowCount * static_cast<std::size_t>(m_weights.columns(layer, expert, matrix)));
        const ElementType type = m_weights.type(layer, expert, matrix);
        std::vector<std::byte> raw(values.size() * elementSize(type));
        m_weights.read(layer, expert, matrix, 0, raw);
        convertToFloats(type, raw, values);
        return {std::move(values), rowCount};
    }

    void runExpert(LayerIndex layer, std::size_t expert, const std::vector<std::size_t>& uses,
                   std::vector<float>& outputs) const {
        if (uses.empty()) return;
        const auto k = static_cast<std::size_t>(m_config.topK);
        std::vector<float> in;
        for (const std::size_t use : uses) {
            const auto row = m_inputs.begin() + static_cast<std::ptrdiff_t>(use / k * width());
            in.insert(in.end(), row, row + static_cast<std::ptrdiff_t>(width()));
        }
        std::vector<float> gated = expertMatrix(layer, expert, ExpertMatrix::Gate).times(in, uses.size());
        const std::vector<float> up = expertMatrix(layer, expert, ExpertMatrix::Up).times(in, uses.size());
        Kernels::vectorised().siluMultiply(gated.data(), up.data(), static_cast<int>(gated.size()), gated.data());
        const std::vector<float> out = expertMatrix(layer, expert, ExpertMatrix::Down).times(gated, uses.size());
        for (std::size_t i = 0; i < uses.size(); ++i)
            std::copy_n(out.begin() + static_cast<std::ptrdiff_t>(i * width()), width(),
                        outputs.begin() + static_cast<std::ptrdiff_t>(uses[i] * width()));
    }

    const ExpertMatrices& m_weights;
    const ModelConfig& m_config;
    ThreadPool& m_pool;
    std::size_t m_tokens;
    std::vector<float> m_hidden;         ///< [tokens, H] the residual stream
    std::vector<float> m_inputs;         ///< [rows, width]
    std::vector<std::int32_t> m_chosen;  ///< [rows, k]
    std::vector<float> m_shares;         ///< [rows, k] the weights of the chosen
};

}  // namespace

std::vector<std::int32_t> drawnTokens(std::int32_t vocabulary, int count) {
    const std::int32_t drawn = std::min(vocabulary, count);
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < drawn; ++i)
        ids.push_back(static_cast<std::int32_t>(std::int64_t{i} * vocabulary / drawn));
    return ids;
}

void routeLoneTokens(const ExpertMatrices& weights, std::span<const std::int32_t> ids, LayerIndex last,
                     ThreadPool& pool, const std::function<void(const LoneRouting&)>& use) {
    LonePass pass(weights, ids, pool);
    for (std::int32_t layer = 0; layer <= last.value(); ++layer) {
        pass.attend(LayerIndex(layer));
        pass.route(LayerIndex(layer));
        use(pass.routing(LayerIndex(layer)));
        if (layer < last.value()) pass.runExperts(LayerIndex(layer));
    }
}

}  // namespace expertscope
