// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/npz_import.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "profiler/interchange/inflated_input.h"
#include "profiler/interchange/npy.h"
#include "profiler/interchange/route_block.h"
#include "profiler/interchange/routing_import.h"
#include "profiler/interchange/zip_file.h"

namespace expertscope {
namespace {

constexpr std::array<std::string_view, 5> kMainNames{"routed_experts", "experts", "topk_ids", "expert_ids", "arr_0"};
constexpr std::int64_t kMostLayers = 4096, kMostK = 4096;
constexpr std::int64_t kMostNumber = std::int64_t{1} << 30;

/// The arrays of a file, read side by side.
struct Arrays {
    std::unique_ptr<NpyReader> experts, weights, outcome, request, position, phase, step, tokenId;
};

class ArrayRouteRows : public RouteRowSource {
public:
    ArrayRouteRows(const std::filesystem::path& file, Arrays arrays);

    const ModelFacts& model() const override { return m_model; }
    bool next(RouteRow& row) override;
    [[noreturn]] void refuse(std::int64_t place, const std::string& what) const override {
        throw BadInputError(fmt::format("Token {} of {} {}: save the array again.", place - 1, m_file.string(), what));
    }
    std::vector<std::string> notes() const override;

private:
    void readToken();
    std::int32_t small(NpyReader& array, const char* name, std::int64_t from);
    void checkLength(const std::unique_ptr<NpyReader>& array, std::int64_t size) const;

    std::filesystem::path m_file;
    Arrays m_arrays;
    ModelFacts m_model;
    std::int64_t m_tokens, m_nextToken = 0;
    RouteBlock m_block;
    std::vector<std::int64_t> m_experts, m_outcomes;
    std::vector<float> m_weights;
};

ArrayRouteRows::ArrayRouteRows(const std::filesystem::path& file, Arrays arrays)
    : m_file(file), m_arrays(std::move(arrays)) {
    NpyReader& main = *m_arrays.experts;
    const std::vector<std::int64_t>& shape = main.shape();
    if (main.isReal() || (shape.size() != 2 && shape.size() != 3))
        main.refuse("is not an array of whole numbers [tokens, layers, k]");
    m_tokens = shape[0];
    const std::int64_t k = shape.size() == 3 ? shape[2] : 1;
    if (shape[1] < 1 || shape[1] > kMostLayers || k < 1 || k > kMostK)
        main.refuse(fmt::format("has the shape {}, and no model has so many layers or experts for a token",
                                fmt::join(shape, " x ")));
    m_model.name = file.stem().string();
    m_model.path = file.string();
    m_model.layers = static_cast<std::int32_t>(shape[1]);
    m_model.topK = static_cast<std::int32_t>(k);
    checkLength(m_arrays.weights, main.size());
    checkLength(m_arrays.outcome, main.size());
    checkLength(m_arrays.request, m_tokens);
    checkLength(m_arrays.position, m_tokens);
    checkLength(m_arrays.phase, m_tokens);
    checkLength(m_arrays.step, m_tokens);
    checkLength(m_arrays.tokenId, m_tokens);
    m_experts.resize(static_cast<std::size_t>(shape[1] * k));
    if (m_arrays.weights) m_weights.resize(m_experts.size());
    if (m_arrays.outcome) m_outcomes.resize(m_experts.size());
}

void ArrayRouteRows::checkLength(const std::unique_ptr<NpyReader>& array, std::int64_t size) const {
    if (array && array->size() != size)
        array->refuse(fmt::format("has {} values where {} belong beside the experts", array->size(), size));
}

std::int32_t ArrayRouteRows::small(NpyReader& array, const char* name, std::int64_t from) {
    const std::int64_t value = array.integer();
    if (value < from || value > kMostNumber) refuse(m_nextToken + 1, fmt::format("has {} {}", name, value));
    return static_cast<std::int32_t>(value);
}

void ArrayRouteRows::readToken() {
    for (std::int64_t& expert : m_experts)
        expert = m_arrays.experts->integer();
    for (float& weight : m_weights)
        weight = static_cast<float>(m_arrays.weights->real());
    for (std::int64_t& outcome : m_outcomes)
        outcome = m_arrays.outcome->integer();
    RouteRow place;
    place.line = m_nextToken + 1;
    place.position = static_cast<std::int32_t>(m_nextToken);
    place.phase = Phase::Decode;
    if (m_arrays.request) place.turn = small(*m_arrays.request, "request", 0);
    if (m_arrays.position) place.position = small(*m_arrays.position, "position", 0);
    if (m_arrays.phase) place.phase = small(*m_arrays.phase, "phase", 0) == 0 ? Phase::Prefill : Phase::Decode;
    if (m_arrays.step) place.step = small(*m_arrays.step, "step", 0);
    if (m_arrays.tokenId) place.tokenId = small(*m_arrays.tokenId, "token_id", -1);
    m_block.add(*this, m_model.layers, m_model.topK, m_experts, m_weights, place, m_outcomes);
    ++m_nextToken;
}

bool ArrayRouteRows::next(RouteRow& row) {
    while (!m_block.take(row)) {
        if (m_nextToken == m_tokens) {
            m_arrays.experts->finish();
            if (m_arrays.weights) m_arrays.weights->finish();
            return false;
        }
        readToken();
    }
    return true;
}

std::vector<std::string> ArrayRouteRows::notes() const {
    std::vector<std::string> notes = m_block.notes();
    if (!m_arrays.phase)
        notes.emplace_back("The array does not say which tokens are a prompt: every token counts as a decode step.");
    if (!m_arrays.weights) notes.emplace_back("The file holds no weights.");
    return notes;
}

Arrays openNpz(const std::filesystem::path& file) {
    const ZipFile zip(file);
    const auto open = [&](std::string_view name) -> std::unique_ptr<NpyReader> {
        const ZipEntry* entry = zip.find(fmt::format("{}.npy", name));
        if (!entry) return nullptr;
        return std::make_unique<NpyReader>(zip.open(*entry), fmt::format("The array {} of {}", name, file.string()));
    };
    Arrays arrays;
    for (const std::string_view name : kMainNames)
        if (!arrays.experts) arrays.experts = open(name);
    if (!arrays.experts) {
        std::vector<std::string> names;
        for (const ZipEntry& entry : zip.entries())
            names.push_back(entry.name);
        throw BadInputError(
            fmt::format("{} holds no array named {}, only {}: save the experts [tokens, layers, k] under "
                        "the first of these names.",
                        file.string(), fmt::join(kMainNames, ", "), fmt::join(names, ", ")));
    }
    arrays.weights = open("weights");
    arrays.outcome = open("outcome");
    arrays.request = open("request");
    arrays.position = open("position");
    arrays.phase = open("phase");
    arrays.step = open("step");
    arrays.tokenId = open("token_id");
    return arrays;
}

}  // namespace

bool isNpy(const FileHead& head) { return head.begins("\x93NUMPY"); }

bool isNpz(const FileHead& head) {
    if (!beginsAsZip(head.bytes)) return false;
    const ZipFile zip(head.file);
    return std::ranges::any_of(zip.entries(), [](const ZipEntry& entry) { return entry.name.ends_with(".npy"); });
}

ImportedRun importNpy(const std::filesystem::path& file, const std::filesystem::path& session,
                      const ImportOptions& options) {
    const OpenRoutes open = [&] {
        Arrays arrays;
        arrays.experts = std::make_unique<NpyReader>(openInput(file), file.string());
        return std::make_unique<ArrayRouteRows>(file, std::move(arrays));
    };
    return importRouting(open, session, options);
}

std::unique_ptr<RouteRowSource> openNpzRoutes(const std::filesystem::path& file) {
    return std::make_unique<ArrayRouteRows>(file, openNpz(file));
}

ImportedRun importNpz(const std::filesystem::path& file, const std::filesystem::path& session,
                      const ImportOptions& options) {
    return importRouting([&] { return openNpzRoutes(file); }, session, options);
}

}  // namespace expertscope
