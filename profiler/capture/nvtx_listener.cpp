// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_listener.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

constexpr int kBacklog = 128;

[[noreturn]] void fail(const std::string& path) {
    throw FailedError(
        fmt::format("No socket could be made at '{}' for the program to be recorded: {}; set TMPDIR to a "
                    "folder that can be written and has a short name.",
                    path, std::strerror(errno)));
}

/// A new folder that only this user may enter.
std::filesystem::path makeFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "expertscope-nvtx-XXXXXX").string();
    if (!mkdtemp(pattern.data())) fail(pattern);
    return pattern;
}

}  // namespace

NvtxListener::NvtxListener() : m_path(makeFolder() / "socket") {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = m_path.string();
    const bool fits = path.size() < sizeof address.sun_path;
    if (fits) std::memcpy(address.sun_path, path.data(), path.size());
    errno = fits ? 0 : ENAMETOOLONG;
    if (fits) m_socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (m_socket < 0 || bind(m_socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(m_socket, kBacklog) != 0) {
        const int reason = errno;
        if (m_socket >= 0) close(m_socket);
        std::error_code ignored;
        std::filesystem::remove_all(m_path.parent_path(), ignored);
        errno = reason;
        fail(path);
    }
}

NvtxListener::~NvtxListener() {
    close(m_socket);
    std::error_code ignored;
    std::filesystem::remove_all(m_path.parent_path(), ignored);
}

void NvtxListener::accept(NvtxCollector& collector, std::chrono::milliseconds patience) {
    pollfd waits{m_socket, POLLIN, 0};
    if (poll(&waits, 1, static_cast<int>(patience.count())) <= 0) return;
    for (int each = 0; (each = accept4(m_socket, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        collector.add(each);
    }
}

}  // namespace expertscope
