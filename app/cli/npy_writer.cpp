// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/npy_writer.h"

#include <bit>
#include <string>

#include <fmt/format.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

static_assert(std::endian::native == std::endian::little, "the header says little-endian");
constexpr std::size_t kHeaderBytes = 128;  // a multiple of 64, as the format asks, with room for 19-digit counts

}  // namespace

NpyWriter::NpyWriter(std::filesystem::path file, std::int64_t columns)
    : m_file(std::move(file)), m_stream(m_file, std::ios::binary | std::ios::trunc), m_columns(columns) {
    writeHeader();
}

void NpyWriter::append(std::span<const float> values) {
    m_stream.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
    m_rows += static_cast<std::int64_t>(values.size()) / m_columns;
    check();
}

void NpyWriter::finish() {
    m_stream.seekp(0);
    writeHeader();
    m_stream.flush();
    check();
}

void NpyWriter::writeHeader() {
    constexpr std::size_t kPreamble = 10;  // magic, version, length of the rest
    std::string header("\x93NUMPY\x01\x00", 8);
    constexpr std::size_t kRest = kHeaderBytes - kPreamble;
    header += static_cast<char>(kRest % 256);
    header += static_cast<char>(kRest / 256);
    header += fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", m_rows, m_columns);
    header.resize(kHeaderBytes - 1, ' ');
    header += '\n';
    m_stream.write(header.data(), static_cast<std::streamsize>(header.size()));
    check();
}

void NpyWriter::check() {
    if (m_stream) return;
    throw FailedError(fmt::format(
        "The logits cannot be written to {}: check the folder, its permissions and the free space.", m_file.string()));
}

}  // namespace expertscope
