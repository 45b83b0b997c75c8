// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/inflated_input.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <streambuf>
#include <vector>

#include <fmt/format.h>
#include <zlib.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 17;
constexpr int kGzip = 16 + MAX_WBITS;  // zlib's words for: a gzip header
constexpr int kRawDeflate = -MAX_WBITS;

/// The bytes of a range of a file.
class FileRange {
public:
    FileRange(const std::filesystem::path& file, std::int64_t offset, std::int64_t size)
        : m_name(file), m_in(file, std::ios::binary), m_left(size) {
        if (!m_in || std::filesystem::is_directory(file))
            throw BadInputError(fmt::format("The file {} cannot be read: check its name.", file.string()));
        m_in.seekg(offset);
    }
    std::size_t read(char* to, std::size_t size) {
        const auto wanted = std::min<std::int64_t>(static_cast<std::int64_t>(size), m_left);
        m_in.read(to, wanted);
        m_left -= m_in.gcount();
        return static_cast<std::size_t>(m_in.gcount());
    }
    [[noreturn]] void refuse(const std::string& what) const {
        throw BadInputError(fmt::format("{} {}: copy or download it again.", m_name.string(), what));
    }

private:
    std::filesystem::path m_name;
    std::ifstream m_in;
    std::int64_t m_left;
};

/// Compares what was read with a checksum, where there is one.
class Checksum {
public:
    explicit Checksum(std::optional<std::uint32_t> wanted) : m_wanted(wanted) {}
    void add(const std::vector<char>& bytes, std::size_t size) {
        if (m_wanted) m_sum = crc32(m_sum, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(size));
    }
    void finish(const FileRange& range) const {
        if (m_wanted && m_sum != *m_wanted) range.refuse("holds an entry that does not match its checksum");
    }

private:
    std::optional<std::uint32_t> m_wanted;
    uLong m_sum = 0;
};

class RangeBuffer : public std::streambuf {
public:
    RangeBuffer(FileRange range, std::optional<std::uint32_t> crc)
        : m_range(std::move(range)), m_out(kBuffer), m_checksum(crc) {}

protected:
    int_type underflow() override {
        const std::size_t size = m_range.read(m_out.data(), m_out.size());
        m_checksum.add(m_out, size);
        if (size == 0) {
            m_checksum.finish(m_range);
            return traits_type::eof();
        }
        setg(m_out.data(), m_out.data(), m_out.data() + size);
        return traits_type::to_int_type(m_out[0]);
    }

private:
    FileRange m_range;
    std::vector<char> m_out;
    Checksum m_checksum;
};

/// Inflates what a range holds; of gzip also several members one after another.
class InflateBuffer : public std::streambuf {
public:
    InflateBuffer(FileRange range, int windowBits, std::optional<std::uint32_t> crc)
        : m_range(std::move(range)), m_gzip(windowBits == kGzip), m_in(kBuffer), m_out(kBuffer), m_checksum(crc) {
        if (inflateInit2(&m_zlib, windowBits) != Z_OK) throw FailedError("zlib cannot be started: memory is short.");
    }
    ~InflateBuffer() override { inflateEnd(&m_zlib); }
    InflateBuffer(const InflateBuffer&) = delete;
    InflateBuffer& operator=(const InflateBuffer&) = delete;

protected:
    int_type underflow() override {
        m_zlib.next_out = reinterpret_cast<Bytef*>(m_out.data());
        m_zlib.avail_out = static_cast<uInt>(m_out.size());
        while (m_zlib.avail_out == m_out.size() && !m_done)
            step();
        const std::size_t size = m_out.size() - m_zlib.avail_out;
        m_checksum.add(m_out, size);
        if (size == 0) {
            m_checksum.finish(m_range);
            return traits_type::eof();
        }
        setg(m_out.data(), m_out.data(), m_out.data() + size);
        return traits_type::to_int_type(m_out[0]);
    }

private:
    void fill() {
        m_zlib.next_in = reinterpret_cast<Bytef*>(m_in.data());
        m_zlib.avail_in = static_cast<uInt>(m_range.read(m_in.data(), m_in.size()));
    }
    void step() {
        if (m_zlib.avail_in == 0) fill();
        if (m_zlib.avail_in == 0) m_range.refuse("ends in the middle of its compressed data");
        const int result = inflate(&m_zlib, Z_NO_FLUSH);
        if (result == Z_STREAM_END) {
            if (m_zlib.avail_in == 0) fill();
            m_done = !m_gzip || m_zlib.avail_in == 0;
            if (!m_done) inflateReset(&m_zlib);
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            m_range.refuse(fmt::format("holds damaged compressed data ({})", m_zlib.msg ? m_zlib.msg : "zlib"));
        }
    }

    FileRange m_range;
    bool m_gzip;
    bool m_done = false;
    z_stream m_zlib{};
    std::vector<char> m_in, m_out;
    Checksum m_checksum;
};

/// A stream that owns its buffer, and lets the buffer's exceptions out.
class OwningStream : public std::istream {
public:
    explicit OwningStream(std::unique_ptr<std::streambuf> buffer)
        : std::istream(buffer.get()), m_buffer(std::move(buffer)) {
        exceptions(std::ios::badbit);
    }

private:
    std::unique_ptr<std::streambuf> m_buffer;
};

bool beginsAsGzip(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return in.get() == 0x1f && in.get() == 0x8b;
}

}  // namespace

std::unique_ptr<std::istream> openInput(const std::filesystem::path& file) {
    constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();
    FileRange range(file, 0, kAll);
    if (beginsAsGzip(file))
        return std::make_unique<OwningStream>(std::make_unique<InflateBuffer>(std::move(range), kGzip, std::nullopt));
    return std::make_unique<OwningStream>(std::make_unique<RangeBuffer>(std::move(range), std::nullopt));
}

std::unique_ptr<std::istream> openRange(const std::filesystem::path& file, std::int64_t offset, std::int64_t size,
                                        int method, std::uint32_t crc) {
    FileRange range(file, offset, size);
    if (method == 8)
        return std::make_unique<OwningStream>(std::make_unique<InflateBuffer>(std::move(range), kRawDeflate, crc));
    return std::make_unique<OwningStream>(std::make_unique<RangeBuffer>(std::move(range), crc));
}

std::string readHead(const std::filesystem::path& file, std::size_t size) {
    const std::unique_ptr<std::istream> in = openInput(file);
    std::string head(size, '\0');
    in->read(head.data(), static_cast<std::streamsize>(size));
    head.resize(static_cast<std::size_t>(in->gcount()));
    return head;
}

}  // namespace expertscope
