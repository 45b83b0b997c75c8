// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {

/// One file inside a ZIP.
struct ZipEntry {
    std::string name;
    int method = 0;           ///< 0 stored, 8 deflate
    std::int64_t size = 0;    ///< of the file
    std::int64_t packed = 0;  ///< of its bytes in the ZIP
    std::int64_t header = 0;  ///< where its local header begins
    std::uint32_t crc = 0;
};

/// Reads a ZIP (PKWARE's APPNOTE 6.3: central directory, ZIP64, entries stored or deflated, no encryption) without
/// unpacking it: entries are streams.
class ZipFile {
public:
    /// Throws BadInputError naming the byte where it is no such file.
    explicit ZipFile(const std::filesystem::path& file);
    const std::vector<ZipEntry>& entries() const { return m_entries; }
    /// nullptr where there is none.
    const ZipEntry* find(std::string_view name) const;
    /// The entry's bytes. Throws BadInputError for methods other than stored and deflate.
    std::unique_ptr<std::istream> open(const ZipEntry& entry) const;

private:
    [[noreturn]] void refuse(std::int64_t byte, const std::string& what) const;
    std::string bytesAt(std::int64_t offset, std::int64_t size) const;
    void readDirectory();
    void readEntry(std::string_view& directory, std::int64_t at);
    static void takeZip64(ZipEntry& entry, std::string_view extra);

    std::filesystem::path m_file;
    std::int64_t m_size = 0;
    std::vector<ZipEntry> m_entries;
};

/// Whether the bytes begin as a ZIP does.
bool beginsAsZip(std::string_view bytes);

/// Writes a ZIP whose entries are made one after another, deflated unless `stored`. Entries and file stay below 4 GiB.
/// What goes wrong is a FailedError that names the file.
class ZipWriter {
public:
    explicit ZipWriter(const std::filesystem::path& file);
    ~ZipWriter();
    ZipWriter(const ZipWriter&) = delete;
    ZipWriter& operator=(const ZipWriter&) = delete;

    /// Begins an entry; a stored one's bytes begin at a multiple of `align` in the file.
    void begin(const std::string& name, bool stored = false, int align = 1);
    void write(std::string_view bytes);
    void end();
    /// Writes the directory. Without it the file is incomplete.
    void close();

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace expertscope
