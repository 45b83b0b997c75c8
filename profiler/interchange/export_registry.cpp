// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/export_registry.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "profiler/interchange/chrome_export.h"
#include "profiler/interchange/csv_export.h"
#include "profiler/interchange/json_export.h"
#include "profiler/interchange/npz_export.h"
#include "profiler/interchange/nsys_export.h"
#include "profiler/interchange/placement_export.h"
#include "profiler/interchange/route_trace_export.h"
#include "profiler/interchange/session_rows.h"
#include "storage/session_reader.h"

namespace expertscope {
namespace {

using Path = std::filesystem::path;
using Files = std::vector<Path>;

/// Writes all runs, or the one that was asked for.
template <auto write>
Files allRuns(const Path& session, const ExportOptions& options, const Path& out) {
    return write(session, options.run, out);
}

/// Writes one run: the one that was asked for, or the only one.
template <auto write>
Files oneRun(const Path& session, const ExportOptions& options, const Path& out) {
    return write(session, chosenRun(SessionReader(session), options.run), out);
}

/// The same, for a memory budget.
template <auto write>
Files placement(const Path& session, const ExportOptions& options, const Path& out) {
    return write(session, chosenRun(SessionReader(session), options.run), options.budget, out);
}

constexpr ExportFormat kFormats[] = {
    {"csv", "a folder with one file a table, or a .csv with the selections", allRuns<exportCsv>},
    {"json", "all tables in one object", allRuns<exportJson>},
    {"npz", "NumPy archive with routed_experts [tokens, layers, k] of one run", oneRun<exportNpz>},
    {"route-trace", "route_trace v1 CSV of one run", oneRun<exportRouteTrace>},
    {"chrome", "Chrome trace JSON for Perfetto and chrome://tracing", allRuns<exportChrome>},
    {"nsys-sqlite", "SQLite as Nsight Systems exports it, of one run", oneRun<exportNsysSqlite>},
    {"kt-mask", "experts for KTransformers' GPU, .pt or .json", placement<exportKtMask>},
    {"llama-ot", "llama.cpp's -ot expression", placement<exportLlamaOverride>},
};

}  // namespace

std::vector<std::filesystem::path> exportSession(const ExportFormat& format, const std::filesystem::path& session,
                                                 const ExportOptions& options, const std::filesystem::path& out) {
    std::error_code error;
    if (std::filesystem::equivalent(session, out, error))
        throw UsageError(
            fmt::format("{} is the session itself, which the export would replace: name another file with "
                        "--out.",
                        out.string()));
    return format.write(session, options, out);
}

std::span<const ExportFormat> exportFormats() { return kFormats; }

const ExportFormat& exportFormat(std::string_view name) {
    const auto found = std::ranges::find(kFormats, name, &ExportFormat::name);
    if (found != std::end(kFormats)) return *found;
    std::vector<std::string_view> names;
    for (const ExportFormat& format : kFormats)
        names.push_back(format.name);
    throw UsageError(fmt::format("There is no export format '{}': use one of {}.", name, fmt::join(names, ", ")));
}

}  // namespace expertscope
