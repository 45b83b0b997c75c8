// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>
#include <memory>
#include <string>

namespace expertscope {

/// Opens a file for reading, through zlib where it begins as a gzip file does. Memory is two buffers, whatever the
/// file's size. Throws BadInputError where it is missing or a folder; reading throws BadInputError where the compressed
/// data are damaged or end early.
std::unique_ptr<std::istream> openInput(const std::filesystem::path& file);

/// `size` bytes of a file from `offset` on, as they are (`method` 0) or through zlib's raw deflate (`method` 8), as ZIP
/// keeps its entries. Reading throws BadInputError where they are damaged, end early or do not have the checksum.
std::unique_ptr<std::istream> openRange(const std::filesystem::path& file, std::int64_t offset, std::int64_t size,
                                        int method, std::uint32_t crc);

/// The first `size` bytes that openInput() gives, fewer where there are no more.
std::string readHead(const std::filesystem::path& file, std::size_t size);

}  // namespace expertscope
