// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/safetensors_source.h"

#include <array>
#include <bit>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/model/json_text.h"
#include "engine/model/safetensors_header.h"

namespace expertscope {

namespace {

constexpr std::int64_t kLengthBytes = 8;

[[noreturn]] void refuse(const std::filesystem::path& path, const char* errorName, const std::string& what) {
    throw BadInputError(fmt::format("{} is not a usable safetensors file: {}; download it again", path.string(), what),
                        errorName);
}

/// The length that the file's first 8 bytes give its header, checked against the file's size.
std::int64_t headerLength(const InputFile& file) {
    std::array<std::byte, kLengthBytes> raw{};
    if (file.readAt(0, raw) < raw.size()) {
        refuse(file.path(), "HeaderTooSmall", fmt::format("it has only {} bytes", file.size()));
    }
    static_assert(std::endian::native == std::endian::little, "the length is read as it lies in the file");
    std::uint64_t length = 0;
    std::memcpy(&length, raw.data(), sizeof length);
    if (length > static_cast<std::uint64_t>(kMaxSafetensorsHeader)) {
        refuse(file.path(), "HeaderTooLarge", fmt::format("it says that its header has {} bytes", length));
    }
    if (static_cast<std::int64_t>(length) > file.size() - kLengthBytes) {
        refuse(file.path(), "InvalidHeaderLength",
               fmt::format("its header of {} bytes does not fit its {} bytes", length, file.size()));
    }
    return static_cast<std::int64_t>(length);
}

/// Tensor name → file name, as the index gives it. Names that would lead out of the folder are refused.
std::map<std::string, std::string> readWeightMap(const std::filesystem::path& index) {
    const std::string file = index.string();
    const nlohmann::json json = parseJsonObject(readWholeFile(index, kMaxSafetensorsHeader), file);
    const auto map = json.find("weight_map");
    if (map == json.end() || !map->is_object() || map->empty()) {
        throw BadInputError(fmt::format("{} has no weight_map; download it again", file));
    }
    std::map<std::string, std::string> weights;
    for (const auto& [tensor, value] : map->items()) {
        if (!value.is_string()) {
            throw BadInputError(
                fmt::format("{} gives no file name for tensor \"{}\"; download it again", file, tensor));
        }
        const auto& shard = value.get_ref<const std::string&>();
        if (shard.empty() || shard.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos ||
            shard.find("..") != std::string::npos) {
            throw BadInputError(
                fmt::format("{} places tensor \"{}\" in \"{}\", which is not a file name; do not use "
                            "this model unless you trust its source",
                            file, tensor, shard.c_str()));
        }
        weights.emplace(tensor, shard);
    }
    return weights;
}

}  // namespace

SafetensorsSource::SafetensorsSource(const std::filesystem::path& folder) {
    const std::filesystem::path single = folder / "model.safetensors";
    const std::filesystem::path index = folder / "model.safetensors.index.json";
    std::error_code ignored;
    if (std::filesystem::exists(single, ignored)) {
        for (TensorInfo& info : addFile(single))
            addTensor(std::move(info));
    } else if (std::filesystem::exists(index, ignored)) {
        addShards(folder, index);
    } else {
        throw BadInputError(
            fmt::format("{} has neither model.safetensors nor model.safetensors.index.json; give a "
                        "model folder with weights in the safetensors format",
                        folder.string()));
    }
}

std::vector<TensorInfo> SafetensorsSource::addFile(const std::filesystem::path& path) {
    InputFile file(path);
    const std::int64_t length = headerLength(file);
    std::string header(static_cast<std::size_t>(length), '\0');
    if (file.readAt(kLengthBytes, std::as_writable_bytes(std::span(header))) < header.size()) {
        refuse(path, "InvalidHeaderLength", "it became shorter while it was read");
    }
    const std::int64_t dataStart = kLengthBytes + length;
    std::vector<TensorInfo> tensors = parseSafetensorsHeader(header, file.size() - dataStart, path.string());
    for (TensorInfo& info : tensors) {
        info.offset += dataStart;
        info.file = static_cast<int>(m_files.size());
    }
    m_files.push_back(std::move(file));
    m_paths.push_back(path);
    return tensors;
}

void SafetensorsSource::addShards(const std::filesystem::path& folder, const std::filesystem::path& index) {
    std::map<std::string, std::vector<std::string>> tensorsOfShard;
    for (auto& [tensor, shard] : readWeightMap(index))
        tensorsOfShard[shard].push_back(tensor);
    for (const auto& [shard, wanted] : tensorsOfShard) {
        std::map<std::string, TensorInfo, std::less<>> present;
        for (TensorInfo& info : addFile(folder / shard)) {
            std::string name = info.name;
            present.emplace(std::move(name), std::move(info));
        }
        for (const std::string& tensor : wanted) {
            const auto found = present.find(tensor);
            if (found == present.end()) {
                throw BadInputError(
                    fmt::format("{} places tensor \"{}\" in {}, which does not have it; download both "
                                "files again",
                                index.string(), tensor, shard));
            }
            addTensor(std::move(found->second));
        }
    }
}

void SafetensorsSource::addTensor(TensorInfo info) {
    m_byName.emplace(info.name, m_tensors.size());
    m_tensors.push_back(std::move(info));
}

const TensorInfo* SafetensorsSource::find(std::string_view name) const {
    const auto found = m_byName.find(name);
    return found == m_byName.end() ? nullptr : &m_tensors[found->second];
}

void SafetensorsSource::read(const TensorInfo& info, std::span<std::byte> out) const {
    const InputFile& file = m_files.at(static_cast<std::size_t>(info.file));
    if (file.readAt(info.offset, out) < out.size()) {
        throw BadInputError(
            fmt::format("Tensor \"{}\" cannot be read: {} has become shorter since it was opened; "
                        "restore the file",
                        info.name, file.path().string()));
    }
}

}  // namespace expertscope
