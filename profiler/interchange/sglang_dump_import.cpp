// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/sglang_dump_import.h"

#include <map>
#include <tuple>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/counts_import.h"
#include "profiler/interchange/route_block.h"
#include "profiler/interchange/routing_import.h"
#include "profiler/interchange/torch_file.h"

namespace expertscope {
namespace {

using Kind = PickleNode::Kind;

constexpr std::int64_t kMostLayers = 4096, kMostExperts = 65'536;
constexpr std::int64_t kDecodeMode = 2;  ///< forward_mode of a pass that decodes

/// [layers, physical experts] → logical expert.
struct PhysicalMap {
    std::int64_t layers = 0, physical = 0;
    std::vector<std::int64_t> logical;
    std::int64_t experts = 0;  ///< logical ones

    std::int64_t at(std::int64_t layer, std::int64_t expert) const {
        return logical[static_cast<std::size_t>(layer * physical + expert)];
    }
};

PhysicalMap readMap(TorchFile& file) {
    const PickleNode* node = file.root().find("last_physical_to_logical_map");
    if (!node || !node->is(Kind::Tensor) || node->tensor.shape.size() != 2)
        file.refuse("lacks last_physical_to_logical_map, without which its experts cannot be told apart");
    PhysicalMap map{node->tensor.shape[0], node->tensor.shape[1], file.integers(node->tensor), 0};
    if (map.layers > kMostLayers || map.physical > kMostExperts)
        file.refuse("has more layers or experts than any model");
    for (const std::int64_t expert : map.logical) {
        if (expert < 0 || expert >= kMostExperts) file.refuse(fmt::format("maps an expert to {}", expert));
        map.experts = std::max(map.experts, expert + 1);
    }
    return map;
}

const PickleNode* recordsOf(const TorchFile& file) {
    const PickleNode* records = file.root().find("records");
    return records && records->is(Kind::List) ? records : nullptr;
}

class SglangDumpRows : public RouteRowSource {
public:
    explicit SglangDumpRows(const std::filesystem::path& file) : m_name(file), m_file(file), m_map(readMap(m_file)) {
        m_model.name = file.stem().string();
        m_model.path = file.string();
        m_model.layers = static_cast<std::int32_t>(m_map.layers);
        m_model.experts = static_cast<std::int32_t>(m_map.experts);
    }
    const ModelFacts& model() const override { return m_model; }
    bool next(RouteRow& row) override {
        const auto& records = recordsOf(m_file)->items;
        while (!m_block.take(row)) {
            if (m_next == records.size()) return false;
            readRecord(*records[m_next++]);
        }
        return true;
    }
    [[noreturn]] void refuse(std::int64_t place, const std::string& what) const override {
        throw BadInputError(fmt::format("Record {} of {} {}: dump it again.", place, m_name.string(), what));
    }
    std::vector<std::string> notes() const override {
        return {
            "The recorder keeps at most 8 experts of a token, no weights, and does not say which sequence a token "
            "belongs to: a pass over prompts begins a request, and what is decoded after it, of all sequences, belongs "
            "to "
            "that one."};
    }

private:
    void readRecord(const PickleNode& record);

    std::filesystem::path m_name;
    TorchFile m_file;
    PhysicalMap m_map;
    ModelFacts m_model;
    RouteBlock m_block;
    std::size_t m_next = 0;
    std::int32_t m_turn = 0, m_position = 0;
    bool m_first = true;
};

void SglangDumpRows::readRecord(const PickleNode& record) {
    const auto place = static_cast<std::int64_t>(m_next);
    const PickleNode* top = record.find("topk_ids_of_layer");
    if (!top || !top->is(Kind::Tensor) || top->tensor.shape.size() != 3 || top->tensor.shape[0] != m_map.layers)
        refuse(place, "has no topk_ids_of_layer [layers, tokens, k] for the layers of the map");
    const std::int64_t layers = top->tensor.shape[0], tokens = top->tensor.shape[1], k = top->tensor.shape[2];
    if (tokens == 0) return;
    const std::vector<std::int64_t> ids = m_file.integers(top->tensor);
    const PickleNode* inputs = record.find("input_ids");
    // A pass that decodes runs a token of each of its sequences.
    const PickleNode* mode = record.find("forward_mode");
    const bool prompt = mode && mode->is(Kind::Integer) ? mode->integer != kDecodeMode : tokens > 1;
    if (prompt && !m_first) ++m_turn;
    if (prompt || m_first) m_position = 0;
    m_first = false;
    std::vector<std::int64_t> experts(static_cast<std::size_t>(layers * k));
    for (std::int64_t t = 0; t < tokens; ++t) {
        for (std::int64_t layer = 0; layer < layers; ++layer) {
            for (std::int64_t slot = 0; slot < k; ++slot) {
                const std::int64_t physical = ids[static_cast<std::size_t>((layer * tokens + t) * k + slot)];
                if (physical >= m_map.physical)
                    refuse(place, fmt::format("has expert {}, which its map lacks", physical));
                experts[static_cast<std::size_t>(layer * k + slot)] = physical < 0 ? -1 : m_map.at(layer, physical);
            }
        }
        RouteRow row;
        row.line = place;
        row.turn = m_turn;
        row.position = m_position++;
        row.phase = prompt ? Phase::Prefill : Phase::Decode;
        row.step = static_cast<std::int32_t>(place);
        if (inputs && inputs->is(Kind::List) && static_cast<std::int64_t>(inputs->items.size()) == tokens)
            row.tokenId = static_cast<std::int32_t>(inputs->items[static_cast<std::size_t>(t)]->integer);
        m_block.add(*this, layers, k, experts, {}, row);
    }
}

ImportedRun importStatistics(TorchFile& file, const PickledTensor& tensor, ModelFacts model,
                             const std::filesystem::path& session, const ImportOptions& options) {
    if (tensor.shape.size() != 3 || tensor.shape[1] > kMostLayers || tensor.shape[2] > kMostExperts)
        file.refuse("has a logical_count that is not [steps, layers, experts]");
    const std::vector<std::int64_t> values = file.integers(tensor);
    std::vector<ExpertCount> counts;
    std::size_t at = 0;
    for (std::int32_t step = 0; step < tensor.shape[0]; ++step)
        for (std::int32_t layer = 0; layer < tensor.shape[1]; ++layer)
            for (std::int32_t expert = 0; expert < tensor.shape[2]; ++expert, ++at) {
                if (values[at] < 0) file.refuse(fmt::format("counts {} uses of an expert", values[at]));
                if (values[at] > 0)
                    counts.push_back({StepIndex(step), LayerIndex(layer), ExpertId(expert), values[at]});
            }
    if (counts.empty()) file.refuse("counts no use of any expert");
    model.layers = static_cast<std::int32_t>(tensor.shape[1]);
    model.experts = static_cast<std::int32_t>(tensor.shape[2]);
    return importCounts(session, model, counts, options, {});
}

ImportedRun importPasses(TorchFile& file, const PickleNode& records, ModelFacts model,
                         const std::filesystem::path& session, const ImportOptions& options) {
    const PhysicalMap map = readMap(file);
    std::map<std::tuple<std::int32_t, std::int64_t, std::int64_t>, std::int64_t> sums;
    std::int32_t step = 0;
    for (const PickleNode* record : records.items) {
        const PickleNode* count = record->find("global_physical_count");
        if (!count || !count->is(Kind::Tensor) || count->tensor.shape != std::vector{map.layers, map.physical})
            file.refuse(fmt::format("has no global_physical_count [layers, experts] in record {}", step + 1));
        const std::vector<std::int64_t> values = file.integers(count->tensor);
        for (std::int64_t layer = 0; layer < map.layers; ++layer)
            for (std::int64_t expert = 0; expert < map.physical; ++expert) {
                const std::int64_t value = values[static_cast<std::size_t>(layer * map.physical + expert)];
                if (value < 0) file.refuse(fmt::format("counts {} uses of an expert in record {}", value, step + 1));
                if (value > 0) sums[{step, layer, map.at(layer, expert)}] += value;
            }
        ++step;
    }
    std::vector<ExpertCount> counts;
    for (const auto& [where, count] : sums)
        counts.push_back({StepIndex(std::get<0>(where)), LayerIndex(static_cast<std::int32_t>(std::get<1>(where))),
                          ExpertId(static_cast<std::int32_t>(std::get<2>(where))), count});
    if (counts.empty()) file.refuse("counts no use of any expert");
    model.layers = static_cast<std::int32_t>(map.layers);
    model.experts = static_cast<std::int32_t>(map.experts);
    return importCounts(session, model, counts, options, {"Replicas of an expert were added up."});
}

}  // namespace

bool isSglangDump(const FileHead& head) { return isTorchFile(head.bytes); }

ImportedRun importSglangDump(const std::filesystem::path& file, const std::filesystem::path& session,
                             const ImportOptions& options) {
    TorchFile dump(file);
    ModelFacts model;
    model.name = file.stem().string();
    model.path = file.string();
    if (const PickleNode* count = dump.root().find("logical_count"); count && count->is(Kind::Tensor))
        return importStatistics(dump, count->tensor, model, session, options);
    const PickleNode* records = recordsOf(dump);
    if (!records)
        dump.refuse(
            "holds neither logical_count nor records, so it is no dump of SGLang's expert distribution recorder");
    if (records->items.empty())
        throw BadInputError(fmt::format(
            "{} holds no record, as a dump does when nothing ran since the last one: dump again after some requests.",
            file.string()));
    if (!records->items.front()->find("topk_ids_of_layer"))
        return importPasses(dump, *records, model, session, options);
    return importRouting([&] { return std::make_unique<SglangDumpRows>(file); }, session, options);
}

}  // namespace expertscope
