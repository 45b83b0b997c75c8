// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/output_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <zlib.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 18;

[[noreturn]] void throwUnwritable(const std::filesystem::path& file, const std::string& detail) {
    throw FailedError(
        fmt::format("{} cannot be written ({}); check that its folder exists, may be written and has room.",
                    file.string(), detail),
        detail);
}

}  // namespace

struct OutputFile::Impl {
    std::filesystem::path name;
    std::FILE* plain = nullptr;
    gzFile zipped = nullptr;
    std::string buffer;

    ~Impl() {
        if (plain) std::fclose(plain);
        if (zipped) gzclose(zipped);
    }
    void flush() {
        if (buffer.empty()) return;
        errno = 0;
        const bool ok = zipped ? gzwrite(zipped, buffer.data(), static_cast<unsigned>(buffer.size())) > 0
                               : std::fwrite(buffer.data(), 1, buffer.size(), plain) == buffer.size();
        if (!ok) throwUnwritable(name, errno != 0 ? std::strerror(errno) : "zlib failed");
        buffer.clear();
    }
};

OutputFile::OutputFile(const std::filesystem::path& file) : m_impl(std::make_unique<Impl>()) {
    m_impl->name = file;
    errno = 0;
    if (file.extension() == ".gz")
        m_impl->zipped = gzopen(file.c_str(), "wb6");
    else
        m_impl->plain = std::fopen(file.c_str(), "wb");
    if (!m_impl->plain && !m_impl->zipped) throwUnwritable(file, std::strerror(errno));
    m_impl->buffer.reserve(kBuffer);
}

OutputFile::~OutputFile() = default;

void OutputFile::write(std::string_view bytes) {
    m_impl->buffer += bytes;
    if (m_impl->buffer.size() >= kBuffer) m_impl->flush();
}

void OutputFile::close() {
    m_impl->flush();
    errno = 0;
    const bool ok = m_impl->zipped ? gzclose(m_impl->zipped) == Z_OK : std::fclose(m_impl->plain) == 0;
    m_impl->zipped = nullptr;
    m_impl->plain = nullptr;
    if (!ok) throwUnwritable(m_impl->name, errno != 0 ? std::strerror(errno) : "zlib failed");
}

std::string jsonString(std::string_view text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace expertscope
