// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>
#include <memory>
#include <sstream>

#include "engine/base/error.h"
#include "profiler/interchange/route_trace_import.h"
#include "tests/fuzz/fuzz_target.h"

/// What is accepted must count up.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        expertscope::RouteTraceRows rows(
            std::make_unique<std::istringstream>(std::string(reinterpret_cast<const char*>(data), size)), "fuzz");
        const expertscope::ImportedRun run = expertscope::checkRouteTrace(rows);
        const bool sound = run.rows > 0 && run.summary.accesses <= run.rows &&
                           run.summary.accesses == run.summary.hits + run.summary.misses;
        if (!sound) std::abort();
    } catch (const expertscope::BadInputError&) {}
    return 0;
}

namespace expertscope::test {

FuzzSeeds fuzzSeeds() {
    const std::string header =
        "# route_trace v1\n# model=a b.gguf arch=moe n_layer=2 n_expert=4 n_expert_used=2\n"
        "# layer=0 expert_bytes=100 dense_bytes=7\n# layer=1 expert_bytes=50 dense_bytes=7\n"
        "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes";
    return {{header + "\n0,0,0,0,0,3,0.75,0,100\n0,0,0,0,1,1,0.25,0,100\n0,0,1,0,0,1,0.5,1,0\n0,0,1,1,0,0,nan,0,50\n"
                      "0,1,2,0,0,1,0.6,1,0\n0,1,2,1,0,3,1,2,0\n1,0,0,0,0,3,1,0,100\n",
             header + ",dropped\r\n0,1,0,0,0,3,0.5,0,100,0\r\n0,1,0,0,1,1,0.5,0,0,1\r\n"},
            {"0", "-1", "1", "99999999999999999999", "nan", "inf", ",", "\n", "\r\n", "#", "=", " ", "# layer=1",
             "0,1,2,0,0,1,0.6,1,0\n", "n_expert=2000000000", "expert_bytes=0", std::string(1, '\0')}};
}

}  // namespace expertscope::test
