// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>

namespace expertscope {

/// Writes a float32 array [rows, columns] as a NumPy .npy file (format 1.0) while its rows arrive: the header is
/// written with room for any row count, and again when the count is known.
class NpyWriter {
public:
    /// Throws FailedError when the file cannot be written.
    NpyWriter(std::filesystem::path file, std::int64_t columns);
    /// `values`: [n, columns]. Throws FailedError when the disk is full.
    void append(std::span<const float> values);
    /// Writes the row count; without it the file holds none.
    void finish();

private:
    void writeHeader();
    void check();

    std::filesystem::path m_file;
    std::ofstream m_stream;
    std::int64_t m_columns;
    std::int64_t m_rows = 0;
};

}  // namespace expertscope
