// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/prepared_data.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/model/input_file.h"
#include "engine/model/safetensors_header.h"

namespace expertscope {
namespace {

static_assert(std::endian::native == std::endian::little, "lengths and values are written as they lie in memory");

constexpr const char* kFormat = "expertscope-prepared-1";
constexpr std::int64_t kMaxFile = std::int64_t{4} << 30;
constexpr std::size_t kLengthBytes = sizeof(std::uint64_t);

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& why) {
    throw BadInputError(
        fmt::format("{} cannot be used as prepared data: {}; make it with 'expertscope prepare'.", file.string(), why));
}

std::int64_t elements(const std::vector<std::int64_t>& shape) {
    std::int64_t count = 1;
    for (const std::int64_t size : shape)
        count *= size;
    return count;
}

std::string shapeText(const std::vector<std::int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

/// A text of the header's metadata; refuses where it is missing.
std::string metadataText(const nlohmann::json& header, const char* key, const std::filesystem::path& file) {
    const auto metadata = header.find("__metadata__");
    if (metadata == header.end() || !metadata->is_object() || !metadata->contains(key))
        refuse(file, "it is a safetensors file of something else");
    return metadata->at(key).get<std::string>();
}

/// The JSON header of a safetensors file that has been read whole.
std::string_view headerOf(std::string_view bytes, const std::filesystem::path& file) {
    std::uint64_t length = 0;
    if (bytes.size() < kLengthBytes) refuse(file, "it is too short");
    std::memcpy(&length, bytes.data(), kLengthBytes);
    if (length > bytes.size() - kLengthBytes || length > static_cast<std::uint64_t>(kMaxSafetensorsHeader))
        refuse(file, "its header does not fit the file");
    return bytes.substr(kLengthBytes, static_cast<std::size_t>(length));
}

/// Rows of `a`, then those of `b`, which have the same size.
void append(PreparedTable& a, const PreparedTable& b) {
    a.shape[0] += b.shape[0];
    a.values.insert(a.values.end(), b.values.begin(), b.values.end());
}

bool mergeable(PreparedData::Merge how, const PreparedTable& a, const PreparedTable& b) {
    if (how == PreparedData::Merge::Replace || a.shape == b.shape) return true;
    return how == PreparedData::Merge::Append && a.shape.size() == b.shape.size() &&
           std::equal(a.shape.begin() + 1, a.shape.end(), b.shape.begin() + 1);
}

}  // namespace

PreparedData::PreparedData(std::string fingerprint, std::string modelName)
    : m_fingerprint(std::move(fingerprint)), m_modelName(std::move(modelName)) {}

PreparedData PreparedData::load(const std::filesystem::path& file) {
    const std::string bytes = readWholeFile(file, kMaxFile);
    const std::string_view header = headerOf(bytes, file);
    const std::string_view data = std::string_view(bytes).substr(kLengthBytes + header.size());
    const auto infos = parseSafetensorsHeader(header, static_cast<std::int64_t>(data.size()), file.string());
    const nlohmann::json json = nlohmann::json::parse(header);
    if (metadataText(json, "format", file) != kFormat) refuse(file, "it is of another format");
    PreparedData loaded(metadataText(json, "model", file), metadataText(json, "model_name", file));
    const std::string sources = metadataText(json, "sources", file);
    for (std::size_t from = 0; from < sources.size();) {
        const std::size_t end = std::min(sources.find('\n', from), sources.size());
        loaded.m_sources.push_back(sources.substr(from, end - from));
        from = end + 1;
    }
    for (const TensorInfo& info : infos) {
        if (info.type != ElementType::F32 || info.shape.empty())
            refuse(file, fmt::format("its table '{}' is not of 32-bit floats", info.name));
        PreparedTable table{info.shape, std::vector<float>(static_cast<std::size_t>(info.bytes) / sizeof(float))};
        std::memcpy(table.values.data(), data.data() + info.offset, static_cast<std::size_t>(info.bytes));
        loaded.m_tables.emplace(info.name, std::move(table));
    }
    return loaded;
}

void PreparedData::save(const std::filesystem::path& file) const {
    nlohmann::json header;
    header["__metadata__"] = {{"format", kFormat},
                              {"model", m_fingerprint},
                              {"model_name", m_modelName},
                              {"sources", fmt::format("{}", fmt::join(m_sources, "\n"))}};
    std::int64_t offset = 0;
    for (const auto& [name, table] : m_tables) {
        const auto end = offset + static_cast<std::int64_t>(table.values.size() * sizeof(float));
        header[name] = {{"dtype", "F32"}, {"shape", table.shape}, {"data_offsets", {offset, end}}};
        offset = end;
    }
    std::string text = header.dump();
    text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
    const std::uint64_t length = text.size();

    const std::filesystem::path part = file.string() + ".part";
    std::ofstream out(part, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(&length), sizeof length);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    for (const auto& [name, table] : m_tables)
        out.write(reinterpret_cast<const char*>(table.values.data()),
                  static_cast<std::streamsize>(table.values.size() * sizeof(float)));
    out.close();
    std::error_code problem;
    if (out) std::filesystem::rename(part, file, problem);
    if (!out || problem) {
        std::error_code ignored;
        std::filesystem::remove(part, ignored);
        throw FailedError(
            fmt::format("Cannot write {}: choose a folder that exists, is writable and has room.", file.string()),
            problem.message());
    }
}

void PreparedData::requireModel(const std::string& fingerprint, const std::string& modelName) const {
    if (m_fingerprint == fingerprint) return;
    throw BadInputError(fmt::format(
        "The prepared data are of the model '{}', not of '{}': collect them from sessions of '{}' with 'expertscope "
        "prepare'.",
        m_modelName, modelName, modelName));
}

bool PreparedData::hasSource(std::string_view source) const {
    return std::ranges::find(m_sources, source) != m_sources.end();
}

void PreparedData::addSource(const std::string& source) {
    std::string line = source;
    std::ranges::replace(line, '\n', ' ');
    if (!hasSource(line)) m_sources.push_back(std::move(line));
}

const PreparedTable* PreparedData::find(std::string_view name) const {
    const auto found = m_tables.find(name);
    return found == m_tables.end() ? nullptr : &found->second;
}

const PreparedTable& PreparedData::table(std::string_view name, const std::vector<std::int64_t>& shape) const {
    const PreparedTable* const found = find(name);
    if (found == nullptr)
        throw BadInputError(fmt::format(
            "The prepared data have no table '{}': collect it from a session with 'expertscope prepare'.", name));
    const bool fits = std::ranges::equal(
        found->shape, shape, [](std::int64_t is, std::int64_t wanted) { return wanted < 0 || is == wanted; });
    if (!fits)
        throw BadInputError(
            fmt::format("The prepared table '{}' has the shape {} where the model needs {}: collect it "
                        "again with 'expertscope prepare'.",
                        name, shapeText(found->shape), shapeText(shape)));
    return *found;
}

void PreparedData::set(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> values) {
    assert(!shape.empty() && elements(shape) == static_cast<std::int64_t>(values.size()));
    m_tables.insert_or_assign(name, PreparedTable{std::move(shape), std::move(values)});
}

PreparedData::Merge PreparedData::mergeOf(std::string_view name) {
    if (name == "popularity" || name == "co_activation" || name.ends_with(".sum") || name.ends_with(".count"))
        return Merge::Add;
    if (name == "eamc" || name == "expert_maps" || name.starts_with("expert_maps.")) return Merge::Append;
    return Merge::Replace;
}

void PreparedData::merge(const PreparedData& other) {
    if (m_fingerprint.empty()) {
        m_fingerprint = other.m_fingerprint;
        m_modelName = other.m_modelName;
    }
    other.requireModel(m_fingerprint, m_modelName);
    for (const auto& [name, table] : other.m_tables) {
        const PreparedTable* const mine = find(name);
        if (mine && !mergeable(mergeOf(name), *mine, table))
            throw BadInputError(
                fmt::format("The prepared table '{}' has the shape {} in one file and {} in the other: "
                            "collect one of them again with 'expertscope prepare'.",
                            name, shapeText(mine->shape), shapeText(table.shape)));
    }
    for (const auto& [name, table] : other.m_tables) {
        const auto [mine, isNew] = m_tables.try_emplace(name, table);
        if (isNew) continue;
        switch (mergeOf(name)) {
            case Merge::Add:
                std::ranges::transform(mine->second.values, table.values, mine->second.values.begin(), std::plus<>());
                break;
            case Merge::Append:
                append(mine->second, table);
                break;
            case Merge::Replace:
                mine->second = table;
                break;
        }
    }
    for (const std::string& source : other.m_sources)
        addSource(source);
}

}  // namespace expertscope
