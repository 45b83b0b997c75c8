// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace expertscope {

/// Writes a file through a buffer, as gzip where its name ends in ".gz". What goes wrong (folder missing, disk full) is
/// a FailedError that names the file.
class OutputFile {
public:
    explicit OutputFile(const std::filesystem::path& file);
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    void write(std::string_view bytes);
    /// Writes what is buffered. Without it the file is left incomplete.
    void close();

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

/// The text as a JSON string with its quotes; what is no UTF-8 becomes U+FFFD.
std::string jsonString(std::string_view text);

}  // namespace expertscope
