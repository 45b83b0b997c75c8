// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/import_registry.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "engine/base/units.h"
#include "profiler/interchange/chrome_import.h"
#include "profiler/interchange/csv_import.h"
#include "profiler/interchange/imatrix_import.h"
#include "profiler/interchange/inflated_input.h"
#include "profiler/interchange/megatron_import.h"
#include "profiler/interchange/npz_import.h"
#include "profiler/interchange/nsys_import.h"
#include "profiler/interchange/route_trace_import.h"
#include "profiler/interchange/sglang_dump_import.h"
#include "profiler/interchange/sglang_import.h"
#include "profiler/interchange/vllm_import.h"

namespace expertscope {
namespace {

constexpr std::size_t kHeadSize = std::size_t{1} << 20;

bool isRouteTraceHead(const FileHead& head) { return head.begins("# route_trace v1"); }

constexpr ImportFormat kFormats[] = {
    {"route-trace", "route_trace v1 CSV", isRouteTraceHead, importRouteTrace},
    {"imatrix", "llama.cpp importance matrix: counts only", isImatrix, importImatrix},
    {"npy", "array [tokens, layers, k]", isNpy, importNpy},
    {"npz", "NumPy archive with routed_experts", isNpz, importNpz},
    {"sglang", "responses of SGLang with routed_experts", isSglangResponse, importSglang},
    {"sglang-pt", "dump of SGLang's expert distribution recorder", isSglangDump, importSglangDump},
    {"vllm", "responses of vLLM with routed_experts", isVllmResponse, importVllm},
    {"megatron", "router_trace_rank*.jsonl of Megatron-LM", isMegatronTrace, importMegatron},
    {"chrome", "Chrome trace JSON: spans and ranges", isChromeTrace, importChrome},
    {"nsys-sqlite", "SQLite export of Nsight Systems", isNsysSqlite, importNsysSqlite},
    {"csv", "a table with token, layer, expert[, weight]", isRouteCsv, importCsv},
};

}  // namespace

std::span<const ImportFormat> importFormats() { return kFormats; }

std::string importFormatNames() {
    std::vector<std::string_view> names;
    for (const ImportFormat& format : kFormats)
        names.push_back(format.name);
    return fmt::format("{}", fmt::join(names, ", "));
}

const ImportFormat& importFormat(std::string_view name, const std::filesystem::path& file) {
    const auto named = std::ranges::find(kFormats, name, &ImportFormat::name);
    if (named == std::end(kFormats) && name != "auto")
        throw UsageError(
            fmt::format("There is no import format '{}': use auto or one of {}.", name, importFormatNames()));
    if (!std::filesystem::exists(file))
        throw BadInputError(fmt::format("There is no file {}: check its name.", file.string()));
    if (named != std::end(kFormats)) return *named;
    const FileHead head{file, readHead(file, kHeadSize)};
    const auto detected = std::ranges::find_if(kFormats, [&](const ImportFormat& f) { return f.detects(head); });
    if (detected == std::end(kFormats))
        throw BadInputError(fmt::format("{} begins like no format that can be imported ({}): name it with --format.",
                                        file.string(), importFormatNames()));
    return *detected;
}

ImportedRun importFile(const ImportFormat& format, const std::filesystem::path& file,
                       const std::filesystem::path& session, const ImportOptions& options) {
    std::error_code unknown;
    const bool isNew = !std::filesystem::exists(session, unknown) && !unknown;
    try {
        return format.import(file, session, options);
    } catch (...) {
        for (const char* ending : {"", "-wal", "-shm"})
            if (isNew) std::filesystem::remove(session.string() + ending, unknown);
        throw;
    }
}

Bytes expertBytesOf(const std::string& text, std::string_view what) {
    if (text.empty()) return {};
    const SizeSpec size = parseSize(text, what);
    if (size.share || size.bytes.count() == 0)
        throw UsageError(fmt::format("{} {} is no size of one expert: give bytes, such as 6.75MiB.", what, text));
    return size.bytes;
}

}  // namespace expertscope
