// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/expert_store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

std::int64_t roundDown(std::int64_t value) { return value & ~(ExpertStore::kBlock - 1); }
std::int64_t roundUp(std::int64_t value) { return roundDown(value + ExpertStore::kBlock - 1); }

int openFile(const std::filesystem::path& path, bool direct) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
    if (file < 0 && !(direct && errno == EINVAL))
        throw BadInputError(fmt::format("Cannot open '{}': {}.", path.string(), std::strerror(errno)));
    return file;
}

/// Whether a direct read works here: some file systems accept the flag and refuse the read.
bool directReadWorks(int file) {
    alignas(ExpertStore::kBlock) std::byte block[ExpertStore::kBlock];
    return ::pread(file, block, sizeof block, 0) >= 0;
}

}  // namespace

ExpertStore::ExpertStore(const Checkpoint& checkpoint, IoMode mode) : m_checkpoint(&checkpoint), m_mode(mode) {
    for (const auto& path : checkpoint.tensors().files()) {
        int file = openFile(path, mode == IoMode::Direct && !m_directRefused);
        if (mode == IoMode::Direct && !m_directRefused && (file < 0 || !directReadWorks(file))) {
            if (file >= 0) ::close(file);
            m_directRefused = true;
            file = openFile(path, false);
        }
        m_files.push_back(file);
    }
    const ModelConfig& config = checkpoint.config();
    for (int layer = 0; layer < config.layers; ++layer)
        for (int expert = 0; expert < config.experts; ++expert)
            m_layouts.push_back(layoutOf(checkpoint.expert({LayerIndex(layer), ExpertId(expert)})));
    for (const Layout& layout : m_layouts) {
        const Piece& last = layout.pieces.back();
        m_slotBytes = std::max(m_slotBytes, static_cast<std::size_t>(roundUp(last.slotPosition + last.length)));
    }
}

ExpertStore::~ExpertStore() {
    for (const int file : m_files)
        ::close(file);
}

ExpertStore::Layout ExpertStore::layoutOf(const ExpertPlacement& placement) const {
    Layout layout;
    std::int64_t slotPosition = 0;    // where the next range's aligned superset starts
    std::int64_t bufferPosition = 0;  // where the range starts in the placement's own numbering
    const auto place = [&](std::int64_t offset, const FileRange& range, std::int64_t start, std::int64_t& position) {
        if (offset >= bufferPosition && offset < bufferPosition + range.length)
            position = start + offset - bufferPosition;
    };
    for (const FileRange& range : placement.ranges) {
        const std::int64_t begin = roundDown(range.offset);
        const std::int64_t end = roundUp(range.offset + range.length);
        for (std::int64_t at = begin; at < end; at += kReadPiece.count()) {
            const std::int64_t next = std::min(at + kReadPiece.count(), end);
            const std::int64_t useful = std::min(next, range.offset + range.length) - std::max(at, range.offset);
            layout.pieces.push_back({range.file, at, next - at, slotPosition + at - begin, useful});
        }
        const std::int64_t start = slotPosition + range.offset - begin;
        place(placement.gateOffset, range, start, layout.gate);
        place(placement.upOffset, range, start, layout.up);
        place(placement.downOffset, range, start, layout.down);
        bufferPosition += range.length;
        slotPosition += end - begin;
    }
    return layout;
}

const ExpertStore::Layout& ExpertStore::layout(ExpertRef ref) const {
    return m_layouts[ref.layer.index() * static_cast<std::size_t>(m_checkpoint->config().experts) + ref.expert.index()];
}

int ExpertStore::pieces(ExpertRef ref) const { return static_cast<int>(layout(ref).pieces.size()); }

Bytes ExpertStore::readPiece(ExpertRef ref, int piece, std::byte* slot) const {
    const Piece& wanted = layout(ref).pieces[static_cast<std::size_t>(piece)];
    const int file = m_files[static_cast<std::size_t>(wanted.file)];
    const auto describe = [&] {
        return fmt::format("expert {} of layer {} in '{}'", ref.expert.value(), ref.layer.value(),
                           m_checkpoint->tensors().files()[static_cast<std::size_t>(wanted.file)].string());
    };
    std::int64_t done = 0;
    while (done < wanted.length) {
        const ssize_t got = ::pread(file, slot + wanted.slotPosition + done,
                                    static_cast<std::size_t>(wanted.length - done), wanted.offset + done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw FailedError(fmt::format("Cannot read {}: {}.", describe(), std::strerror(errno)));
        if (got == 0) break;  // the end of the file, where the aligned superset reaches past it
        done += got;
    }
    const ExpertPlacement& placement = m_checkpoint->expert(ref);
    std::int64_t rangeEnd = 0;
    for (const FileRange& range : placement.ranges)
        if (range.file == wanted.file && range.offset < wanted.offset + wanted.length)
            rangeEnd = std::max(rangeEnd, range.offset + range.length);
    if (wanted.offset + done < std::min(wanted.offset + wanted.length, rangeEnd))
        throw BadInputError(
            fmt::format("The bytes of {} end early: the file was cut after it was opened; restore it.", describe()));
    if (m_directRefused) ::posix_fadvise(file, wanted.offset, wanted.length, POSIX_FADV_DONTNEED);
    return Bytes(wanted.useful);
}

ExpertWeights ExpertStore::weights(ExpertRef ref, const std::byte* slot) const {
    const Layout& at = layout(ref);
    const ModelConfig& config = m_checkpoint->config();
    const ElementType type = m_checkpoint->expert(ref).type;
    return {.gate = {slot + at.gate, type, config.expertWidth, config.hidden},
            .up = {slot + at.up, type, config.expertWidth, config.hidden},
            .down = {slot + at.down, type, config.hidden, config.expertWidth}};
}

}  // namespace expertscope
