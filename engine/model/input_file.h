// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace expertscope {

/// A regular file open for positioned reads, for as long as the object lives.
class InputFile {
public:
    /// Throws BadInputError when it is missing, unreadable or not a regular file.
    explicit InputFile(const std::filesystem::path& path);
    ~InputFile();
    InputFile(InputFile&& other) noexcept;
    InputFile& operator=(InputFile&&) = delete;

    const std::filesystem::path& path() const { return m_path; }
    std::int64_t size() const { return m_size; }  ///< in bytes, when it was opened
    /// Reads up to out.size() bytes from `offset` on and returns how many there were: fewer only where the file ends.
    /// Throws BadInputError when the device fails.
    std::size_t readAt(std::int64_t offset, std::span<std::byte> out) const;

private:
    std::filesystem::path m_path;
    int m_descriptor = -1;
    std::int64_t m_size = 0;
};

/// The whole file. Throws BadInputError as InputFile does, and when it has more than `maxBytes`.
std::string readWholeFile(const std::filesystem::path& path, std::int64_t maxBytes);

}  // namespace expertscope
