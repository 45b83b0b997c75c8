// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/input_file.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/units.h"

namespace expertscope {

namespace {

[[noreturn]] void failToOpen(const std::filesystem::path& path, int error) {
    const std::string reason = std::generic_category().message(error);
    if (error == ENOENT || error == ENOTDIR) {
        throw BadInputError(fmt::format("{} does not exist; check the path of the model", path.string()), reason);
    }
    throw BadInputError(fmt::format("{} cannot be opened ({}); check its permissions", path.string(), reason), reason);
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) : m_path(path) {
    // Without O_NONBLOCK the open of a pipe that nobody writes to would wait for ever.
    m_descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (m_descriptor < 0) failToOpen(path, errno);
    struct stat status {};
    if (::fstat(m_descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        ::close(m_descriptor);
        throw BadInputError(fmt::format("{} is not a regular file; give the folder of a model", path.string()));
    }
    m_size = status.st_size;
}

InputFile::~InputFile() {
    if (m_descriptor >= 0) ::close(m_descriptor);
}

InputFile::InputFile(InputFile&& other) noexcept
    : m_path(std::move(other.m_path)), m_descriptor(std::exchange(other.m_descriptor, -1)), m_size(other.m_size) {}

std::size_t InputFile::readAt(std::int64_t offset, std::span<std::byte> out) const {
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t got =
            ::pread(m_descriptor, out.data() + done, out.size() - done, offset + static_cast<std::int64_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            const std::string reason = std::generic_category().message(errno);
            throw BadInputError(fmt::format("{} cannot be read ({}); check the disk", m_path.string(), reason), reason);
        }
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

std::string readWholeFile(const std::filesystem::path& path, std::int64_t maxBytes) {
    const InputFile file(path);
    if (file.size() > maxBytes) {
        throw BadInputError(
            fmt::format("{} has {}, more than the {} that such a file can have; it is not what its "
                        "name says",
                        path.string(), formatBytes(Bytes(file.size())), formatBytes(Bytes(maxBytes))));
    }
    std::string text(static_cast<std::size_t>(file.size()), '\0');
    text.resize(file.readAt(0, std::as_writable_bytes(std::span(text))));
    return text;
}

}  // namespace expertscope
