// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/imatrix_import.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/counts_import.h"
#include "profiler/interchange/little_endian.h"

namespace expertscope {
namespace {

constexpr std::uint64_t kLongestText = std::uint64_t{1} << 24;
constexpr std::uint64_t kMostEntries = std::uint64_t{1} << 20;
constexpr std::int64_t kMostExperts = 65'536, kMostLayers = 4096;
constexpr std::uint64_t kFloat32 = 0, kText = 8, kArray = 9;

/// Bytes of a GGUF value of fixed size; 0 for texts, arrays and what is unknown.
std::uint64_t sizeOf(std::uint64_t type) {
    constexpr std::uint64_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < std::size(kSizes) ? kSizes[type] : 0;
}

/// One tensor with the counts of a layer.
struct CountTensor {
    std::int32_t layer = 0;
    std::int64_t experts = 0;
    std::uint64_t offset = 0;
};

/// Reads of a GGUF file (version 2 and 3) what an importance matrix has of experts.
class ImatrixReader {
public:
    explicit ImatrixReader(const std::filesystem::path& file) : m_file(file), m_in(file, std::ios::binary) {
        if (!m_in) throw BadInputError(fmt::format("The file {} cannot be read: check its name.", file.string()));
        readHeader();
    }
    std::vector<ExpertCount> counts();
    std::int64_t tensors() const { return m_tensors; }
    const std::string& datasets() const { return m_datasets; }
    [[noreturn]] void refuse(const std::string& what) const {
        throw BadInputError(fmt::format("{} {} (at byte {}): compute or copy the importance matrix again.",
                                        m_file.string(), what, m_byte));
    }

private:
    std::string take(std::uint64_t size) {
        if (size > kLongestText) refuse(fmt::format("has a text of {} bytes", size));
        std::string bytes(size, '\0');
        m_in.read(bytes.data(), static_cast<std::streamsize>(size));
        if (static_cast<std::uint64_t>(m_in.gcount()) != size) refuse("ends too early");
        m_byte += static_cast<std::int64_t>(size);
        return bytes;
    }
    std::uint64_t number(std::size_t size) { return littleEndian(take(size), 0, size); }
    std::string text() { return take(number(8)); }
    void readHeader();
    void readValue(const std::string& key, std::uint64_t type);
    void readTensor();

    std::filesystem::path m_file;
    std::ifstream m_in;
    std::int64_t m_byte = 0, m_data = 0, m_tensors = 0;
    std::uint64_t m_alignment = 32;
    std::string m_datasets;
    std::map<std::int32_t, CountTensor> m_layers;
};

void ImatrixReader::readHeader() {
    if (take(4) != "GGUF") refuse("is no GGUF file");
    const std::uint64_t version = number(4);
    if (version != 2 && version != 3) refuse(fmt::format("is of GGUF version {}, which is not known", version));
    const std::uint64_t tensors = number(8), values = number(8);
    if (tensors > kMostEntries || values > kMostEntries) refuse(fmt::format("says it has {} tensors", tensors));
    for (std::uint64_t i = 0; i < values; ++i) {
        const std::string key = text();
        readValue(key, number(4));
    }
    for (std::uint64_t i = 0; i < tensors; ++i)
        readTensor();
    m_tensors = static_cast<std::int64_t>(tensors);
    m_data =
        static_cast<std::int64_t>((static_cast<std::uint64_t>(m_byte) + m_alignment - 1) / m_alignment * m_alignment);
}

void ImatrixReader::readValue(const std::string& key, std::uint64_t type) {
    if (type == kText) {
        const std::string value = text();
        if (key == "general.type" && value != "imatrix")
            refuse(fmt::format("is a GGUF of type '{}', not an importance matrix", value));
    } else if (type == kArray) {
        const std::uint64_t element = number(4), count = number(8);
        if (count > kLongestText || (element != kText && sizeOf(element) == 0))
            refuse(fmt::format("has an odd array {}", key));
        for (std::uint64_t i = 0; i < count; ++i) {
            if (element != kText) {
                take(sizeOf(element));
                continue;
            }
            const std::string value = text();
            if (key == "imatrix.datasets") m_datasets += (m_datasets.empty() ? "" : ", ") + value;
        }
    } else {
        if (sizeOf(type) == 0) refuse(fmt::format("has a value {} of an unknown type", key));
        const std::uint64_t value = number(sizeOf(type));
        if (key == "general.alignment") m_alignment = value;
        if (m_alignment == 0 || m_alignment > kLongestText) refuse("has an impossible alignment");
    }
}

/// The layer of "blk.N.ffn_…_exps.weight.counts"; nothing for any other name.
std::optional<std::int32_t> expertLayer(std::string_view name) {
    if (!name.starts_with("blk.") || !name.ends_with("_exps.weight.counts")) return std::nullopt;
    name.remove_prefix(4);
    std::int32_t layer = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
    if (error != std::errc() || layer < 0 || layer >= kMostLayers || *end != '.') return std::nullopt;
    return layer;
}

void ImatrixReader::readTensor() {
    const std::string name = text();
    const std::uint64_t dimensions = number(4);
    if (dimensions > 8) refuse(fmt::format("has a tensor {} of {} dimensions", name, dimensions));
    std::int64_t values = 1;
    for (std::uint64_t i = 0; i < dimensions; ++i) {
        const std::uint64_t length = number(8);
        if (length > kLongestText) refuse(fmt::format("has a tensor {} of length {}", name, length));
        values *= std::max<std::int64_t>(static_cast<std::int64_t>(length), 1);
        if (values > (std::int64_t{1} << 40)) refuse(fmt::format("has a tensor {} larger than any file", name));
    }
    const std::uint64_t type = number(4), offset = number(8);
    const std::optional<std::int32_t> layer = expertLayer(name);
    if (!layer) return;
    if (type != kFloat32) refuse(fmt::format("has counts {} that are not float32", name));
    if (values > kMostExperts) refuse(fmt::format("has counts {} of {} experts", name, values));
    // Gate, up and down of a layer saw the same tokens.
    m_layers.try_emplace(*layer, CountTensor{*layer, values, offset});
}

std::vector<ExpertCount> ImatrixReader::counts() {
    std::vector<ExpertCount> counts;
    for (const auto& [layer, tensor] : m_layers) {
        if (tensor.offset > (std::uint64_t{1} << 50U)) refuse("has a tensor outside the file");
        m_byte = m_data + static_cast<std::int64_t>(tensor.offset);
        m_in.clear();
        m_in.seekg(m_byte);
        for (std::int64_t expert = 0; expert < tensor.experts; ++expert) {
            const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(number(4)));
            if (!(value >= 0) || value > 1e15F) refuse(fmt::format("counts {} uses of an expert", value));
            counts.push_back(
                {StepIndex(0), LayerIndex(layer), ExpertId(static_cast<std::int32_t>(expert)), std::llround(value)});
        }
    }
    return counts;
}

}  // namespace

bool isImatrix(const FileHead& head) { return head.begins("GGUF") && head.holds("imatrix"); }

ImatrixCounts readImatrix(const std::filesystem::path& file) {
    ImatrixReader reader(file);
    ImatrixCounts read{reader.counts(), reader.datasets()};
    if (read.counts.empty())
        reader.refuse(
            fmt::format("has {} tensors and none with counts of experts: its model is dense, or llama.cpp was too "
                        "old to write them",
                        reader.tensors()));
    return read;
}

ImportedRun importImatrix(const std::filesystem::path& file, const std::filesystem::path& session,
                          const ImportOptions& options) {
    const ImatrixCounts read = readImatrix(file);
    ModelFacts model;
    model.name = file.stem().string();
    model.path = file.string();
    for (const ExpertCount& count : read.counts)
        model.experts = std::max(model.experts, count.expert.value() + 1);
    std::vector<std::string> notes;
    if (!read.datasets.empty()) notes.push_back(fmt::format("The counts were made from: {}.", read.datasets));
    return importCounts(session, model, read.counts, options, notes);
}

}  // namespace expertscope
