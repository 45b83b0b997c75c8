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

/// Imports a file as a run of a session, made where there is none and taken away again where the import fails or is
/// ended; a run that was begun in a session that was there stays as a failed one.
ImportedRun importFile(const ImportFormat& format, const std::filesystem::path& file,
                       const std::filesystem::path& session, const ImportOptions& options);
/// The size of one expert that `text` says, such as 6.75MiB; none where it is empty. Throws UsageError naming `what`
/// where it is no size.
Bytes expertBytesOf(const std::string& text, std::string_view what);

}  // namespace expertscope
