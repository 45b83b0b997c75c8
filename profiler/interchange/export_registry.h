// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/units.h"

namespace expertscope {

/// What an export is asked for beside session and file.
struct ExportOptions {
    std::optional<RunId> run{};        ///< only this run
    std::optional<SizeSpec> budget{};  ///< expert bytes that the GPU holds, for placements
};

/// A format that a session can be written in: its word on the command line and the function of its file, which returns
/// the files written.
struct ExportFormat {
    std::string_view name;
    std::string_view what;  ///< a few words for --help
    std::vector<std::filesystem::path> (*write)(const std::filesystem::path& session, const ExportOptions& options,
                                                const std::filesystem::path& out);
};

std::span<const ExportFormat> exportFormats();
/// Throws UsageError, which names all, where there is none of that name.
const ExportFormat& exportFormat(std::string_view name);

/// Writes the session in the format; see ExportFormat::write. Throws UsageError where `out` is the session itself.
std::vector<std::filesystem::path> exportSession(const ExportFormat& format, const std::filesystem::path& session,
                                                 const ExportOptions& options, const std::filesystem::path& out);

}  // namespace expertscope
