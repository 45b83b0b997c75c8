// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What import and export of Nsight Systems databases share: numbers that Nsight's documentation of its SQLite export
// names.

#include <cstdint>
#include <string_view>

namespace expertscope {

/// eventType of NVTX_EVENTS.
enum class NsysNvtx : std::int64_t { Category = 33, Mark = 34, PushPop = 59, StartEnd = 60, DomainCreate = 75 };

/// globalTid: the process and the thread in 24 bits each.
constexpr std::int64_t nsysGlobalTid(std::int64_t process, std::int64_t thread) {
    return (process << 24) | (thread & 0xffffff);
}
constexpr std::int64_t nsysProcess(std::int64_t globalTid) { return (globalTid >> 24) & 0xffffff; }
constexpr std::int64_t nsysThread(std::int64_t globalTid) { return globalTid & 0xffffff; }

/// copyKind of CUPTI_ACTIVITY_KIND_MEMCPY, in order of its numbers.
inline constexpr std::string_view kNsysCopyKinds[] = {"Unknown", "HtoD",     "DtoH",     "HtoA",    "AtoH",
                                                      "AtoA",    "AtoD",     "DtoA",     "DtoD",    "HtoH",
                                                      "PtoP",    "UVM HtoD", "UVM DtoH", "UVM DtoD"};
inline constexpr std::int64_t kNsysHostToDevice = 1;

/// Marks the columns jsonText that hold a span of ours.
inline constexpr std::string_view kNsysSpanKey = "expertscope";

}  // namespace expertscope
