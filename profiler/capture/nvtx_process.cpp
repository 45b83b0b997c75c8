// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_process.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profiler/capture/nvtx_selections.h"

namespace expertscope {
namespace {

/// The file that came along with a packet, or -1.
int fileOf(msghdr& packet) {
    const cmsghdr* rights = CMSG_FIRSTHDR(&packet);
    if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) return -1;
    int file = -1;
    std::memcpy(&file, CMSG_DATA(rights), sizeof file);
    return file;
}

}  // namespace

NvtxProcess::NvtxProcess(int socket, const NvtxShared& shared) : m_socket(socket), m_shared(shared) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) m_peer = peer.pid;
}

/// A program that closes all descriptors hangs up too, and goes on writing into its rings.
bool NvtxProcess::isAlive() const { return m_peer > 0 && m_peer != getpid() && kill(m_peer, 0) == 0; }

NvtxProcess::~NvtxProcess() {
    for (Ring& ring : m_rings)
        unmap(ring);
    if (m_socket >= 0) close(m_socket);
}

void NvtxProcess::unmap(Ring& ring) { munmap(ring.head, ring.mappedBytes); }

bool NvtxProcess::drain() {
    if (m_ended) return false;
    // Whatever the rings hold up to here was defined over the socket before.
    noteEnds();
    bool any = readSocket();
    any = readRings() || any;
    if (m_hungUp) {
        noteEnds();
        readRings();
        m_ended = !isAlive();
    }
    return any;
}

// ---- the socket

bool NvtxProcess::readSocket() {
    std::vector<char> text(kNvtxMostText);
    bool any = false;
    while (!m_hungUp) {
        NvtxMessage message;
        iovec parts[2] = {{&message, sizeof message}, {text.data(), text.size()}};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        msghdr packet{};
        packet.msg_iov = parts;
        packet.msg_iovlen = 2;
        packet.msg_control = control;
        packet.msg_controllen = sizeof control;
        const ssize_t bytes = recvmsg(m_socket, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0 && errno == EAGAIN) break;
        if (bytes <= 0) {
            m_hungUp = true;
            break;
        }
        any = true;
        const int file = fileOf(packet);
        if (static_cast<std::size_t>(bytes) >= sizeof message)
            take(message, std::string_view(text.data(), static_cast<std::size_t>(bytes) - sizeof message), file);
        if (file >= 0) close(file);
    }
    return any;
}

void NvtxProcess::take(const NvtxMessage& message, std::string_view text, int file) {
    if (message.kind == NvtxMessageKind::Hello) return greet(message, text);
    if (!m_ranges) return;  // a stranger
    switch (message.kind) {
        case NvtxMessageKind::Ring:
            m_ranges->nameThread(message.id,
                                 message.id == static_cast<std::uint64_t>(m_pid)
                                     ? std::string("main")
                                     : fmt::format("{} {}", text, message.id),
                                 false);
            addRing(message.id, file);
            break;
        case NvtxMessageKind::Domain:
            m_domains[message.domain] = text;
            break;
        case NvtxMessageKind::String:
            m_strings[message.id] = text;
            break;
        case NvtxMessageKind::Category:
            m_categories[{message.domain, static_cast<std::uint32_t>(message.id)}] = text;
            break;
        case NvtxMessageKind::Thread:
            m_ranges->nameThread(message.id, std::string(text), true);
            break;
        case NvtxMessageKind::Schema:
            m_schemas.insert_or_assign(message.id, NvtxSchema(text));
            break;
        case NvtxMessageKind::Hello:
            break;
    }
}

void NvtxProcess::greet(const NvtxMessage& message, std::string_view program) {
    if (m_ranges) return;
    m_pid = static_cast<std::int64_t>(message.id);
    m_program = program;
    m_ranges.emplace(m_shared.observer, fmt::format("{} {}", program, m_pid), m_shared.nextLane);
    if (message.domain == kNvtxWireVersion) return;
    tell("nvtx_other_version", Severity::DataLoss, 1,
         fmt::format("The ranges of {} (process {}) were not recorded because its injection library is of another "
                     "version than this program: install them together.",
                     m_program, m_pid));
    m_hungUp = true;
}

void NvtxProcess::addRing(std::uint64_t thread, int file) {
    struct stat is {};
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    NvtxRingHead head;
    const bool usable = file >= 0 && fstat(file, &is) == 0 &&
                        pread(file, static_cast<void*>(&head), sizeof head, 0) == sizeof head &&
                        head.pageBytes == page && head.capacity > 0 && (head.capacity & (head.capacity - 1)) == 0 &&
                        head.capacity % page == 0 && is.st_size == static_cast<off_t>(page + head.capacity);
    if (!usable) {
        ++m_missingRings;
        return;
    }
    Ring ring;
    ring.thread = thread;
    ring.capacity = head.capacity;
    ring.mappedBytes = page + 2 * ring.capacity;
    auto* at = static_cast<char*>(mmap(nullptr, ring.mappedBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (at == MAP_FAILED) {
        ++m_missingRings;
        return;
    }
    constexpr int kAccess = PROT_READ | PROT_WRITE;
    const void* whole = mmap(at, page + ring.capacity, kAccess, MAP_SHARED | MAP_FIXED, file, 0);
    const void* again = mmap(at + page + ring.capacity, ring.capacity, PROT_READ, MAP_SHARED | MAP_FIXED, file,
                             static_cast<off_t>(page));
    ring.head = reinterpret_cast<NvtxRingHead*>(at);
    ring.data = at + page;
    if (whole == MAP_FAILED || again == MAP_FAILED) {
        unmap(ring);
        ++m_missingRings;
        return;
    }
    m_rings.push_back(ring);
}

// ---- the rings

void NvtxProcess::noteEnds() {
    for (Ring& ring : m_rings) {
        ring.closed = ring.head->closed.load(std::memory_order_acquire) != 0;
        ring.end = ring.head->tail.load(std::memory_order_acquire);
    }
}

bool NvtxProcess::readRings() {
    bool any = false;
    for (Ring& ring : m_rings) {
        any = readRing(ring) || any;
        if (const auto loss = ring.head->lost.take()) m_shared.losses.add(*loss);
    }
    if (m_ranges) m_ranges->settle();
    std::erase_if(m_rings, [](Ring& ring) {
        const bool done = ring.closed && ring.at == ring.end;
        if (done) unmap(ring);
        return done;
    });
    return any;
}

bool NvtxProcess::readRing(Ring& ring) {
    if (ring.at == ring.end) return false;
    bool good = ring.end - ring.at <= ring.capacity;
    while (good && ring.at != ring.end) {
        std::uint64_t taken = 0;
        good = takeEvent(ring, ring.data + (ring.at & (ring.capacity - 1)), ring.end - ring.at, taken);
        ring.at += taken;
    }
    if (!good) {
        ++m_damaged;
        ring.at = ring.end;
    }
    ring.head->head.store(ring.at, std::memory_order_release);
    return true;
}

/// False where the bytes are no event.
bool NvtxProcess::takeEvent(const Ring& ring, const char* bytes, std::uint64_t room, std::uint64_t& taken) {
    NvtxEvent event;
    if (room < sizeof event) return false;
    std::memcpy(&event, bytes, sizeof event);
    if (event.bytes < sizeof event || event.bytes > room || event.bytes % 8 != 0) return false;
    taken = event.bytes;
    const Nanoseconds time(event.time);
    if (event.kind == NvtxEventKind::Pop) {
        m_ranges->pop(ring.thread, event.domain, event.depth, time);
        return true;
    }
    if (event.kind == NvtxEventKind::End) {
        m_ranges->end(event.id, time);
        return true;
    }
    Said said;
    std::uint64_t left = event.bytes - sizeof event;
    if (left < sizeof said.body) return false;
    std::memcpy(&said.body, bytes + sizeof event, sizeof said.body);
    left -= sizeof said.body;
    const std::uint64_t text = nvtxPadded(said.body.textBytes), payload = nvtxPadded(said.body.payloadBytes);
    if (text + payload > left) return false;
    const char* rest = bytes + sizeof event + sizeof said.body;
    said.text = {rest, said.body.textBytes};
    said.payload = {rest + text, said.body.payloadBytes};
    takeSaid(ring, event, said);
    return true;
}

void NvtxProcess::takeSaid(const Ring& ring, const NvtxEvent& event, const Said& said) {
    std::string_view text = said.text;
    if (said.body.string != 0) {
        const auto registered = m_strings.find(said.body.string);
        text = registered == m_strings.end() ? std::string_view("(unknown registered string)") : registered->second;
    }
    takeConvention(event, said, text);
    const SpanRecord range = rangeOf(event, said, text);
    const Nanoseconds time(event.time);
    switch (event.kind) {
        case NvtxEventKind::Push:
            return m_ranges->push(ring.thread, event.domain, event.depth, time, range);
        case NvtxEventKind::Start:
            return m_ranges->start(event.id, time, range);
        default:
            return m_ranges->mark(ring.thread, time, range);
    }
}

/// What the convention of docs/NVTX.md says goes to the selections too.
void NvtxProcess::takeConvention(const NvtxEvent& event, const Said& said, std::string_view text) {
    const Nanoseconds time(event.time);
    if (isMoeMessage(text)) m_shared.selections.take(parseMoeMessage(text), m_pid, time);
    if (event.payloadKind != NvtxPayloadKind::Extended) return;
    const auto schema = m_schemas.find(said.body.payload);
    if (schema == m_schemas.end() || !isMoeMessage(schema->second.name())) return;
    m_shared.selections.take(readMoePayload(schema->second, said.payload), m_pid, time);
}

RangeNameId NvtxProcess::nameOf(const NvtxEvent& event, const Said& said, std::string_view text) {
    std::string_view domain, category;
    std::string number;
    if (const auto found = m_domains.find(event.domain); found != m_domains.end()) domain = found->second;
    if (event.category != 0) {
        const auto found = m_categories.find({event.domain, event.category});
        number = std::to_string(event.category);
        category = found == m_categories.end() ? std::string_view(number) : found->second;
    }
    // A selection's numbers are in the selections: as names they would all be different.
    if (isMoeMessage(text)) text = text.substr(0, text.find(' '));
    return m_shared.names.idOf(domain, category, text, said.body.color);
}

SpanRecord NvtxProcess::rangeOf(const NvtxEvent& event, const Said& said, std::string_view text) {
    SpanRecord range;
    range.kind = SpanKind::Range;
    switch (event.payloadKind) {
        case NvtxPayloadKind::Unsigned:
        case NvtxPayloadKind::Signed:
            range.payload = PayloadType::Integer;
            break;
        case NvtxPayloadKind::Real:
            range.payload = PayloadType::Real;
            break;
        default:
            break;
    }
    if (range.payload != PayloadType::None) range.amount = static_cast<std::int64_t>(said.body.payload);
    if (event.payloadKind == NvtxPayloadKind::Extended) {
        const auto found = m_schemas.find(said.body.payload);
        if (found != m_schemas.end()) {
            const NvtxSchema& schema = found->second;
            const auto id = [&](const char* field) {
                return static_cast<std::int32_t>(schema.integer(field, said.payload).value_or(-1));
            };
            range.layer = LayerIndex(id("layer"));
            range.expert = ExpertId(id("expert"));
            range.step = StepIndex(id("step"));
            std::optional<std::int64_t> amount = schema.integer("bytes", said.payload);
            if (!amount || *amount == 0) amount = schema.integer("tokens", said.payload);
            if (amount) {
                range.amount = *amount;
                range.payload = PayloadType::Integer;
            }
            if (text.empty()) text = schema.name();
        }
    }
    range.name = nameOf(event, said, text);
    return range;
}

// ---- the end

void NvtxProcess::tell(const char* name, Severity severity, std::int64_t count, std::string sentence) const {
    m_shared.observer.onDiagnostic(
        {.time = sessionNow(), .name = name, .severity = severity, .count = count, .sentence = std::move(sentence)});
}

void NvtxProcess::finish() {
    if (m_finished || !m_ranges) return;
    m_finished = true;
    const std::string who = fmt::format("{} (process {})", m_program, m_pid);
    if (const std::int64_t open = m_ranges->finish(); open > 0)
        tell("nvtx_ranges_open", Severity::Info, open,
             fmt::format("{} ranges of {} were still open when its recording ended; they end with its last event.",
                         open, who));
    if (!m_hungUp)
        tell("nvtx_process_left", Severity::Info, 1,
             fmt::format("{} was still running when the recording ended.", who));
    if (m_ranges->unmatched() > 0)
        tell("nvtx_ranges_unmatched", Severity::Warning, m_ranges->unmatched(),
             fmt::format("{} ranges of {} are missing because only their beginning or only their end was recorded.",
                         m_ranges->unmatched(), who));
    if (m_missingRings > 0)
        tell("nvtx_threads_missing", Severity::DataLoss, m_missingRings,
             fmt::format("{} threads of {} were not recorded because no memory could be shared with them; raise the "
                         "limits of open files and memory.",
                         m_missingRings, who));
    if (m_damaged > 0)
        tell("nvtx_events_damaged", Severity::DataLoss, m_damaged,
             fmt::format("Events of {} were left out because it had overwritten them.", who));
}

}  // namespace expertscope
