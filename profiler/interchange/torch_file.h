// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "profiler/interchange/pickle.h"
#include "profiler/interchange/zip_file.h"

namespace expertscope {

/// A file of torch.save, read as data; see Unpickled. It is a ZIP with `NAME/data.pkl` and one entry a storage, of
/// which the one read last stays in memory, or, as before PyTorch 1.6, five pickles (a mark, version, machine, object,
/// storages' numbers) and the storages in that order, each after the number of its values; such a file is held whole.
class TorchFile {
public:
    /// Throws BadInputError naming file and byte, also where the pickle holds anything but data.
    explicit TorchFile(const std::filesystem::path& file);

    const PickleNode& root() const { return m_pickle->root(); }
    /// Values [index] of the first dimension on, of a tensor of whole numbers of any type, in C order; of a tensor
    /// without dimensions its value. Throws BadInputError where they lie outside their storage or have fractions.
    std::vector<std::int64_t> integers(const PickledTensor& tensor);
    [[noreturn]] void refuse(const std::string& what) const;

private:
    struct Part {
        std::size_t offset = 0, size = 0;
    };
    void openZip();
    void openSequence();
    std::string_view storage(const PickledTensor& tensor);

    std::filesystem::path m_file;
    std::optional<ZipFile> m_zip;
    std::string m_root;  ///< folder of all entries, with its slash
    std::unique_ptr<Unpickled> m_pickle;
    std::string m_storageNumber, m_storage;
    bool m_hasStorage = false;
    std::string m_whole;                      ///< the file, where it is no ZIP
    std::map<std::string, Part> m_storageAt;  ///< in m_whole, by number
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
