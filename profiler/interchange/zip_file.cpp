// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/zip_file.h"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "profiler/interchange/inflated_input.h"
#include "profiler/interchange/little_endian.h"

namespace expertscope {
namespace {

constexpr std::uint64_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50;
constexpr std::int64_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kLocator64Size = 20, kEnd64Size = 56;
constexpr std::int64_t kLongestComment = 65'535;
constexpr std::int64_t kLargestDirectory = std::int64_t{1} << 28;
constexpr std::uint32_t kIn64 = 0xffffffffU;
constexpr std::int64_t kWritable = kIn64;

}  // namespace

bool beginsAsZip(std::string_view bytes) { return bytes.starts_with(std::string_view("PK\x03\x04", 4)); }

ZipFile::ZipFile(const std::filesystem::path& file) : m_file(file) {
    std::error_code error;
    m_size = static_cast<std::int64_t>(std::filesystem::file_size(file, error));
    if (error) throw BadInputError(fmt::format("The file {} cannot be read: check its name.", file.string()));
    readDirectory();
}

void ZipFile::refuse(std::int64_t byte, const std::string& what) const {
    throw BadInputError(
        fmt::format("{} is no whole ZIP file: at byte {} {}; copy or download it again.", m_file.string(), byte, what));
}

std::string ZipFile::bytesAt(std::int64_t offset, std::int64_t size) const {
    if (offset < 0 || size < 0 || offset > m_size || size > m_size - offset)
        refuse(offset, "its directory points outside the file");
    std::ifstream in(m_file, std::ios::binary);
    std::string bytes(static_cast<std::size_t>(size), '\0');
    in.seekg(offset);
    in.read(bytes.data(), size);
    if (in.gcount() != size) refuse(offset, "it cannot be read");
    return bytes;
}

void ZipFile::readDirectory() {
    const std::int64_t tailSize = std::min(m_size, kEndSize + kLongestComment);
    const std::string tail = bytesAt(m_size - tailSize, tailSize);
    const std::size_t end = tail.rfind(std::string_view("PK\x05\x06", 4));
    if (end == std::string::npos || end + kEndSize > tail.size()) refuse(m_size, "the end of the directory is missing");
    const std::int64_t endAt = m_size - tailSize + static_cast<std::int64_t>(end);
    auto count = static_cast<std::int64_t>(littleEndian(tail, end + 10, 2));
    auto size = static_cast<std::int64_t>(littleEndian(tail, end + 12, 4));
    auto offset = static_cast<std::int64_t>(littleEndian(tail, end + 16, 4));
    if (offset == kIn64 || count == 0xffff) {
        const std::string locator = bytesAt(endAt - kLocator64Size, kLocator64Size);
        const auto at = static_cast<std::int64_t>(littleEndian(locator, 8, 8));
        const std::string end64 = bytesAt(at, kEnd64Size);
        if (littleEndian(end64, 0, 4) != kEnd64) refuse(at, "the end of the ZIP64 directory is missing");
        count = static_cast<std::int64_t>(littleEndian(end64, 32, 8));
        size = static_cast<std::int64_t>(littleEndian(end64, 40, 8));
        offset = static_cast<std::int64_t>(littleEndian(end64, 48, 8));
    }
    if (size > kLargestDirectory) refuse(endAt, fmt::format("the directory is said to have {} bytes", size));
    const std::string bytes = bytesAt(offset, size);
    std::string_view directory = bytes;
    for (std::int64_t i = 0; i < count; ++i)
        readEntry(directory, offset + size - static_cast<std::int64_t>(directory.size()));
}

void ZipFile::takeZip64(ZipEntry& entry, std::string_view extra) {
    while (extra.size() >= 4) {
        const std::size_t id = littleEndian(extra, 0, 2), size = littleEndian(extra, 2, 2);
        extra.remove_prefix(4);
        if (size > extra.size()) return;
        std::string_view field = extra.substr(0, size);
        extra.remove_prefix(size);
        if (id != 1) continue;
        for (std::int64_t* value : {&entry.size, &entry.packed, &entry.header}) {
            if (*value != kIn64 || field.size() < 8) continue;
            *value = static_cast<std::int64_t>(littleEndian(field, 0, 8));
            field.remove_prefix(8);
        }
    }
}

void ZipFile::readEntry(std::string_view& directory, std::int64_t at) {
    if (directory.size() < static_cast<std::size_t>(kCentralSize) || littleEndian(directory, 0, 4) != kCentral)
        refuse(at, "an entry of the directory is missing");
    const std::size_t name = littleEndian(directory, 28, 2), extra = littleEndian(directory, 30, 2),
                      comment = littleEndian(directory, 32, 2);
    const std::size_t whole = static_cast<std::size_t>(kCentralSize) + name + extra + comment;
    if (directory.size() < whole) refuse(at, "an entry of the directory is cut off");
    if ((littleEndian(directory, 8, 2) & 1U) != 0) refuse(at, "an entry is encrypted");
    ZipEntry entry;
    entry.method = static_cast<int>(littleEndian(directory, 10, 2));
    entry.crc = static_cast<std::uint32_t>(littleEndian(directory, 16, 4));
    entry.packed = static_cast<std::int64_t>(littleEndian(directory, 20, 4));
    entry.size = static_cast<std::int64_t>(littleEndian(directory, 24, 4));
    entry.header = static_cast<std::int64_t>(littleEndian(directory, 42, 4));
    entry.name = directory.substr(static_cast<std::size_t>(kCentralSize), name);
    takeZip64(entry, directory.substr(static_cast<std::size_t>(kCentralSize) + name, extra));
    if (entry.size < 0 || entry.packed < 0 || entry.header < 0) refuse(at, "an entry has an impossible size");
    m_entries.push_back(std::move(entry));
    directory.remove_prefix(whole);
}

const ZipEntry* ZipFile::find(std::string_view name) const {
    const auto found = std::ranges::find(m_entries, name, &ZipEntry::name);
    return found == m_entries.end() ? nullptr : &*found;
}

std::unique_ptr<std::istream> ZipFile::open(const ZipEntry& entry) const {
    if (entry.method != 0 && entry.method != 8)
        refuse(entry.header,
               fmt::format("'{}' is packed by method {}, neither stored nor deflated", entry.name, entry.method));
    const std::string local = bytesAt(entry.header, kLocalSize);
    if (littleEndian(local, 0, 4) != kLocal)
        refuse(entry.header, fmt::format("the header of '{}' is missing", entry.name));
    const std::int64_t data = entry.header + kLocalSize + static_cast<std::int64_t>(littleEndian(local, 26, 2)) +
                              static_cast<std::int64_t>(littleEndian(local, 28, 2));
    if (entry.packed > m_size - data) refuse(data, fmt::format("'{}' is cut off", entry.name));
    return openRange(m_file, data, entry.packed, entry.method, entry.crc);
}

struct ZipWriter::Impl {
    std::filesystem::path name;
    std::ofstream out;
    z_stream zlib{};
    bool deflating = false;
    std::vector<ZipEntry> entries;
    std::string packed = std::string(std::size_t{1} << 17, '\0');

    ~Impl() {
        if (deflating) deflateEnd(&zlib);
    }
    void check() {
        if (!out)
            throw FailedError(fmt::format(
                "{} cannot be written; check that its folder exists, may be written and has room.", name.string()));
    }
    void put(std::string_view bytes) {
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        check();
    }
    std::int64_t place() { return static_cast<std::int64_t>(out.tellp()); }
    void limit(std::int64_t size) const {
        if (size >= kWritable)
            throw FailedError(
                fmt::format("{} would be larger than 4 GiB; export one run, or as route-trace.", name.string()));
    }
    void pump(int flush) {
        ZipEntry& entry = entries.back();
        int result = Z_OK;
        do {
            zlib.next_out = reinterpret_cast<Bytef*>(packed.data());
            zlib.avail_out = static_cast<uInt>(packed.size());
            result = deflate(&zlib, flush);
            const std::size_t size = packed.size() - zlib.avail_out;
            put(std::string_view(packed).substr(0, size));
            entry.packed += static_cast<std::int64_t>(size);
        } while (zlib.avail_out == 0 || (flush == Z_FINISH && result != Z_STREAM_END));
    }
    /// Method, time, checksum, sizes and lengths, as local header and directory both have them.
    static std::string fields(const ZipEntry& entry, std::size_t extra) {
        std::string bytes;
        appendLittleEndian(bytes, 20, 2);      // version needed
        appendLittleEndian(bytes, 0x0800, 2);  // names are UTF-8
        appendLittleEndian(bytes, static_cast<std::uint64_t>(entry.method), 2);
        appendLittleEndian(bytes, 0x00210000, 4);  // 1980-01-01: the same bytes for the same data
        appendLittleEndian(bytes, entry.crc, 4);
        appendLittleEndian(bytes, static_cast<std::uint64_t>(entry.packed), 4);
        appendLittleEndian(bytes, static_cast<std::uint64_t>(entry.size), 4);
        appendLittleEndian(bytes, entry.name.size(), 2);
        appendLittleEndian(bytes, extra, 2);
        return bytes;
    }
};

ZipWriter::ZipWriter(const std::filesystem::path& file) : m_impl(std::make_unique<Impl>()) {
    m_impl->name = file;
    m_impl->out.open(file, std::ios::binary | std::ios::trunc);
    m_impl->check();
}

ZipWriter::~ZipWriter() = default;

void ZipWriter::begin(const std::string& name, bool stored, int align) {
    ZipEntry entry;
    entry.name = name;
    entry.method = stored ? 0 : 8;
    entry.header = m_impl->place();
    const auto data = static_cast<std::size_t>(entry.header + kLocalSize) + name.size();
    const auto unit = static_cast<std::size_t>(align);
    // An extra field needs four bytes of its own at least.
    const std::size_t extra = align > 1 ? (2 * unit - (data + 4) % unit) % unit + 4 : 0;
    std::string header;
    appendLittleEndian(header, kLocal, 4);
    header += Impl::fields(entry, extra) + name;
    if (extra > 0) {
        appendLittleEndian(header, 0x4246, 2);  // "FB", the padding that torch.save uses too
        appendLittleEndian(header, extra - 4, 2);
        header.append(extra - 4, 'Z');
    }
    m_impl->put(header);
    m_impl->entries.push_back(std::move(entry));
    if (stored) return;
    m_impl->zlib = {};
    if (deflateInit2(&m_impl->zlib, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        throw FailedError("zlib cannot be started: memory is short.");
    m_impl->deflating = true;
}

void ZipWriter::write(std::string_view bytes) {
    ZipEntry& entry = m_impl->entries.back();
    entry.crc = static_cast<std::uint32_t>(
        crc32(entry.crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
    entry.size += static_cast<std::int64_t>(bytes.size());
    m_impl->limit(entry.size);
    if (!m_impl->deflating) {
        entry.packed = entry.size;
        return m_impl->put(bytes);
    }
    m_impl->zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    m_impl->zlib.avail_in = static_cast<uInt>(bytes.size());
    m_impl->pump(Z_NO_FLUSH);
}

void ZipWriter::end() {
    if (m_impl->deflating) {
        m_impl->zlib.avail_in = 0;
        m_impl->pump(Z_FINISH);
        deflateEnd(&m_impl->zlib);
        m_impl->deflating = false;
    }
    // Sizes and checksum were not known when the header was written.
    const ZipEntry& entry = m_impl->entries.back();
    const std::int64_t place = m_impl->place();
    m_impl->limit(place);
    m_impl->out.seekp(entry.header + 4);
    m_impl->put(Impl::fields(entry, 0).substr(0, 22));
    m_impl->out.seekp(place);
}

void ZipWriter::close() {
    const std::int64_t directory = m_impl->place();
    for (const ZipEntry& entry : m_impl->entries) {
        std::string bytes;
        appendLittleEndian(bytes, kCentral, 4);
        appendLittleEndian(bytes, 20, 2);  // made by
        bytes += Impl::fields(entry, 0);
        bytes.append(10, '\0');  // no comment, first disk, no attributes
        appendLittleEndian(bytes, static_cast<std::uint64_t>(entry.header), 4);
        m_impl->put(bytes + entry.name);
    }
    const std::int64_t size = m_impl->place() - directory;
    std::string bytes;
    appendLittleEndian(bytes, kEnd, 4);
    bytes.append(4, '\0');
    for (int i = 0; i < 2; ++i)
        appendLittleEndian(bytes, m_impl->entries.size(), 2);
    appendLittleEndian(bytes, static_cast<std::uint64_t>(size), 4);
    appendLittleEndian(bytes, static_cast<std::uint64_t>(directory), 4);
    bytes.append(2, '\0');
    m_impl->put(bytes);
    m_impl->out.close();
    m_impl->check();
}

}  // namespace expertscope
