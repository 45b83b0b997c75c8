// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "profiler/interchange/imported_run.h"

namespace expertscope {

/// What a format is recognised by.
struct FileHead {
    std::filesystem::path file;
    std::string bytes;  ///< the first MiB, inflated where the file is gzip
    bool begins(std::string_view magic) const { return bytes.starts_with(magic); }
    bool holds(std::string_view text) const { return bytes.find(text) != std::string::npos; }
};

/// A format that can be imported: its word on the command line and the functions of its file.
struct ImportFormat {
    std::string_view name;
    std::string_view what;  ///< a few words for --help
    bool (*detects)(const FileHead& head);
    ImportedRun (*import)(const std::filesystem::path& file, const std::filesystem::path& session,
                          const ImportOptions& options);
};

/// Every format, in the order in which `auto` asks them.
std::span<const ImportFormat> importFormats();
/// "route-trace, csv, …".
std::string importFormatNames();
/// The format of that name; for `auto` the one that recognises the file. Throws UsageError where the name is unknown,
/// BadInputError where the file is missing or no format recognises it.
const ImportFormat& importFormat(std::string_view name, const std::filesystem::path& file);

}  // namespace expertscope
