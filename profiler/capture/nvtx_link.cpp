// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_link.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

namespace expertscope {
namespace {

constexpr std::uint64_t kRingBytes = 2 << 20;  // 20,000 ranges; memory is taken as far as it is used
constexpr int kMostWaitMs = 50;                // for a reader that does not take definitions, before one is given up

enum : std::uint32_t { kOff, kOn, kForked };

struct Definition {
    Definition* next;
    NvtxMessage message;
    std::size_t bytes;
    char* text() { return reinterpret_cast<char*>(this + 1); }
};

// What is rare happens under the mutex; events look at `state` and `link` alone.
pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
std::atomic<std::uint32_t> g_state{kOff};
std::atomic<std::uint32_t> g_link{0};
int g_socket = -1;
ino_t g_socketInode = 0;
char g_path[sizeof(sockaddr_un::sun_path)] = "";
Definition* g_firstDefinition = nullptr;
Definition* g_lastDefinition = nullptr;
pthread_key_t g_key;
pthread_once_t g_once = PTHREAD_ONCE_INIT;
// Found in one instruction, also from a library that was loaded later.
__attribute__((tls_model("initial-exec"))) thread_local NvtxThreadRing* t_ring = nullptr;
// The connection for which this thread could not get a ring: it is not tried at every event.
__attribute__((tls_model("initial-exec"))) thread_local std::uint32_t t_failed = 0;

// ---- rings

void unmap(NvtxThreadRing* ring) {
    munmap(ring->head, ring->mappedBytes);
    free(ring);
}

/// At a thread's end.
void closeRing(void* value) {
    auto* ring = static_cast<NvtxThreadRing*>(value);
    t_ring = nullptr;
    ring->head->closed.store(1, std::memory_order_release);
    unmap(ring);
}

/// Maps the file's head and twice its data behind each other; null where that fails.
NvtxThreadRing* mapRing(int file, std::size_t page) {
    const std::size_t all = page + 2 * kRingBytes;
    auto* at = static_cast<char*>(mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (at == MAP_FAILED) return nullptr;
    constexpr int kAccess = PROT_READ | PROT_WRITE;
    const bool mapped = mmap(at, page + kRingBytes, kAccess, MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED &&
                        mmap(at + page + kRingBytes, kRingBytes, kAccess, MAP_SHARED | MAP_FIXED, file,
                             static_cast<off_t>(page)) != MAP_FAILED;
    auto* ring = mapped ? static_cast<NvtxThreadRing*>(calloc(1, sizeof(NvtxThreadRing))) : nullptr;
    if (!ring) {
        munmap(at, all);
        return nullptr;
    }
    ring->head = new (static_cast<void*>(at)) NvtxRingHead;
    ring->head->pageBytes = static_cast<std::uint32_t>(page);
    ring->head->capacity = ring->capacity = kRingBytes;
    ring->data = at + page;
    ring->mappedBytes = all;
    return ring;
}

// ---- the socket

/// A program may close all descriptors that it does not know; ours may be somebody else's by now.
bool socketIsOurs() {
    struct stat is {};
    return g_socket >= 0 && fstat(g_socket, &is) == 0 && is.st_ino == g_socketInode;
}

void adopt(int socket) {
    g_socket = socket;
    struct stat is {};
    g_socketInode = fstat(socket, &is) == 0 ? is.st_ino : 0;
}

void closeSocket() {
    if (socketIsOurs()) close(g_socket);
    g_socket = -1;
}

bool sendMessage(const NvtxMessage& message, const char* text, std::size_t bytes, int file = -1) {
    if (!socketIsOurs()) return false;
    NvtxMessage copy = message;
    iovec parts[2] = {{&copy, sizeof copy}, {const_cast<char*>(text), bytes}};
    msghdr packet{};
    packet.msg_iov = parts;
    packet.msg_iovlen = 2;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (file >= 0) {
        packet.msg_control = control;
        packet.msg_controllen = sizeof control;
        cmsghdr* rights = CMSG_FIRSTHDR(&packet);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(rights), &file, sizeof file);
    }
    for (int tries = 0; tries < 2; ++tries) {
        if (sendmsg(g_socket, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
        if (errno != EAGAIN && errno != EINTR) return false;
        pollfd room{g_socket, POLLOUT, 0};
        poll(&room, 1, kMostWaitMs);
    }
    return false;
}

std::int64_t now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool sendHello() {
    const char* program = program_invocation_short_name;
    return sendMessage({NvtxMessageKind::Hello, kNvtxWireVersion, static_cast<std::uint64_t>(getpid()), now()}, program,
                       strlen(program));
}

/// Under the mutex: connects to g_path and tells everything defined so far.
bool connectToPath() {
    const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (socket < 0) return false;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, g_path, sizeof g_path);
    if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        close(socket);
        return false;
    }
    adopt(socket);
    if (!sendHello()) return false;
    for (Definition* each = g_firstDefinition; each; each = each->next) {
        sendMessage(each->message, each->text(), each->bytes);
    }
    return true;
}

// ---- forks

void beforeFork() { pthread_mutex_lock(&g_mutex); }
void afterForkInParent() { pthread_mutex_unlock(&g_mutex); }

/// The child's memory still shows the parent's rings: it must not write there.
void afterForkInChild() {
    closeSocket();
    pthread_setspecific(g_key, nullptr);
    t_ring = nullptr;
    t_failed = 0;
    if (g_state.load() == kOn) g_state.store(g_path[0] ? kForked : kOff);
    pthread_mutex_unlock(&g_mutex);
}

void prepareOnce() {
    pthread_key_create(&g_key, closeRing);
    pthread_atfork(beforeFork, afterForkInParent, afterForkInChild);
}

/// Under the mutex.
NvtxThreadRing* makeRing() {
    if (g_state.load() == kForked) g_state.store(connectToPath() ? kOn : kOff);
    if (g_state.load() != kOn) return nullptr;
    // A program that closes descriptors which it does not know has closed ours.
    if (!socketIsOurs() && g_path[0]) connectToPath();
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const int file = static_cast<int>(syscall(SYS_memfd_create, "expertscope-nvtx", 1U /* MFD_CLOEXEC */));
    NvtxThreadRing* ring = nullptr;
    if (file >= 0 && ftruncate(file, static_cast<off_t>(page + kRingBytes)) == 0) ring = mapRing(file, page);
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    const auto thread = static_cast<std::uint64_t>(syscall(SYS_gettid));
    // Without a file the reader learns that this thread's ranges are missing.
    const bool told = sendMessage({NvtxMessageKind::Ring, 0, thread, now()}, name, strlen(name), ring ? file : -1);
    if (file >= 0) close(file);
    if (ring && !told) {
        unmap(ring);
        ring = nullptr;
    }
    if (!ring) {
        t_failed = g_link.load();
        return nullptr;
    }
    ring->link = g_link.load();
    t_ring = ring;
    pthread_setspecific(g_key, ring);
    return ring;
}

}  // namespace

NvtxLock::NvtxLock() { pthread_mutex_lock(&g_mutex); }
NvtxLock::~NvtxLock() { pthread_mutex_unlock(&g_mutex); }

bool nvtxLinkTo(const char* socketPath) {
    pthread_once(&g_once, prepareOnce);
    const NvtxLock lock;
    // Each copy of NVTX in a program asks anew.
    if (g_state.load() == kOff && strlen(socketPath) < sizeof g_path) {
        memset(g_path, 0, sizeof g_path);
        memcpy(g_path, socketPath, strlen(socketPath));
        ++g_link;
        if (connectToPath()) g_state.store(kOn);
    }
    return g_state.load() != kOff;
}

void nvtxLinkHere(int socket) {
    pthread_once(&g_once, prepareOnce);
    const NvtxLock lock;
    g_path[0] = 0;
    closeSocket();
    adopt(socket);
    ++g_link;
    sendHello();
    for (Definition* each = g_firstDefinition; each; each = each->next) {
        sendMessage(each->message, each->text(), each->bytes);
    }
    g_state.store(kOn);
}

void nvtxUnlink() {
    const NvtxLock lock;
    g_state.store(kOff);
    ++g_link;
    closeSocket();
}

NvtxThreadRing* nvtxThreadRing() {
    NvtxThreadRing* ring = t_ring;
    if (ring && ring->link == g_link.load(std::memory_order_relaxed)) return ring;
    if (g_state.load(std::memory_order_relaxed) == kOff) return nullptr;
    if (t_failed == g_link.load(std::memory_order_relaxed)) return nullptr;
    const NvtxLock lock;
    if (ring) closeRing(ring);  // of an earlier connection
    ring = makeRing();
    if (!ring) pthread_setspecific(g_key, nullptr);
    return ring;
}

char* nvtxReserve(NvtxThreadRing& ring, std::uint64_t bytes, std::int64_t now) {
    if (ring.capacity - (ring.tail - ring.knownHead) < bytes) {
        ring.knownHead = ring.head->head.load(std::memory_order_acquire);
        if (ring.capacity - (ring.tail - ring.knownHead) < bytes) {
            ring.head->lost.add(1, Nanoseconds(now));
            return nullptr;
        }
    }
    return ring.data + (ring.tail & (ring.capacity - 1));
}

void nvtxPublish(NvtxThreadRing& ring, std::uint64_t bytes) {
    ring.tail += bytes;
    ring.head->tail.store(ring.tail, std::memory_order_release);
}

void sendDefinition(const NvtxMessage& message, const char* text, std::size_t bytes) {
    const NvtxLock lock;
    auto* kept = static_cast<Definition*>(malloc(sizeof(Definition) + bytes));
    if (kept) {
        kept->next = nullptr;
        kept->message = message;
        kept->bytes = bytes;
        memcpy(kept->text(), text, bytes);
        (g_lastDefinition ? g_lastDefinition->next : g_firstDefinition) = kept;
        g_lastDefinition = kept;
    }
    if (g_state.load() == kOn) sendMessage(message, text, bytes);
}

}  // namespace expertscope
