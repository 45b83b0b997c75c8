// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/input_file.h"
#include "engine/model/tensor_source.h"

namespace expertscope {

/// The tensors of a folder's safetensors: one model.safetensors, or the shards that model.safetensors.index.json names.
class SafetensorsSource final : public TensorSource {
public:
    /// Opens and checks every file. Throws BadInputError (one sentence with the file's name) when there are none, or
    /// one is missing, damaged or does not hold what the index says.
    explicit SafetensorsSource(const std::filesystem::path& folder);

    const std::vector<std::filesystem::path>& files() const override { return m_paths; }
    const std::vector<TensorInfo>& tensors() const override { return m_tensors; }
    const TensorInfo* find(std::string_view name) const override;
    void read(const TensorInfo& info, std::span<std::byte> out) const override;

private:
    std::vector<TensorInfo> addFile(const std::filesystem::path& path);
    void addShards(const std::filesystem::path& folder, const std::filesystem::path& index);
    void addTensor(TensorInfo info);

    std::vector<InputFile> m_files;
    std::vector<std::filesystem::path> m_paths;
    std::vector<TensorInfo> m_tensors;
    std::map<std::string, std::size_t, std::less<>> m_byName;
};

}  // namespace expertscope
