// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "profiler/interchange/pickle.h"
#include "profiler/interchange/zip_file.h"

namespace expertscope {

/// A file of torch.save (a ZIP with `NAME/data.pkl` and one entry a storage), read as data; see Unpickled. The storage
/// read last stays in memory.
class TorchFile {
public:
    /// Throws BadInputError naming file and byte, also where the pickle holds anything but data.
    explicit TorchFile(const std::filesystem::path& file);

    const PickleNode& root() const { return m_pickle->root(); }
    /// Values [index] of the first dimension on, of a tensor of whole numbers, in C order; of a tensor without
    /// dimensions its value. Throws BadInputError where they lie outside their storage.
    std::vector<std::int64_t> integers(const PickledTensor& tensor);
    [[noreturn]] void refuse(const std::string& what) const;

private:
    const std::string& storage(const std::string& number);

    std::filesystem::path m_file;
    ZipFile m_zip;
    std::string m_root;  ///< folder of all entries, with its slash
    std::unique_ptr<Unpickled> m_pickle;
    std::string m_storageNumber, m_storage;
    bool m_hasStorage = false;
};

/// Whether the bytes begin as a file of torch.save does.
bool isTorchFile(std::string_view head);

/// A tensor to be saved: name of its storage's type ("IntStorage"), shape, and its values' bytes.
struct SavedTensor {
    std::string key;
    std::string storage;
    std::vector<std::int64_t> shape;
    std::string bytes;
    std::int64_t values = 0;
};

/// Writes a dictionary of tensors and whole numbers as torch.save does, so that torch.load (weights_only too) reads it.
/// Throws FailedError where it cannot be written.
void writeTorchFile(const std::filesystem::path& file, std::span<const SavedTensor> tensors,
                    const std::map<std::string, std::int64_t>& numbers);

}  // namespace expertscope
