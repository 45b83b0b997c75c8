// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/error.h"
#include "engine/model/safetensors_header.h"
#include "tests/engine/model/safetensors_writer.h"
#include "tests/fuzz/fuzz_target.h"

/// The first 4 bytes are the length of the data that the header speaks of; the rest is the header. What is accepted
/// must lie inside those data.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4) return 0;
    std::uint32_t dataBytes = 0;
    std::memcpy(&dataBytes, data, sizeof dataBytes);
    const std::string_view header(reinterpret_cast<const char*>(data) + 4, size - 4);
    try {
        std::int64_t end = 0;
        for (const expertscope::TensorInfo& info : expertscope::parseSafetensorsHeader(header, dataBytes, "fuzz")) {
            if (info.offset != end || info.bytes < 0) std::abort();
            end = info.offset + info.bytes;
        }
        if (end != dataBytes) std::abort();
    } catch (const expertscope::BadInputError&) {}
    return 0;
}

namespace expertscope::test {

FuzzSeeds fuzzSeeds() {
    const auto seed = [](std::uint32_t dataBytes, const std::string& header) {
        return std::string(reinterpret_cast<const char*>(&dataBytes), sizeof dataBytes) + header;
    };
    FuzzSeeds seeds;
    seeds.inputs = {seed(16, R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})"),
                    seed(0, R"({"t":{"dtype":"F4","shape":[2,0],"data_offsets":[0,0]}})"),
                    seed(6, R"( {"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},)"
                            R"("b":{"dtype":"F32","shape":[1],"data_offsets":[2,6],"x":[{"y":null}]}} )")};
    seeds.fragments = {"18446744073709551615",
                       "9223372036854775807",
                       "-1",
                       "1e999",
                       "0",
                       "[",
                       "]",
                       "{",
                       "}",
                       "\"dtype\":\"F6_E2M3\"",
                       "\"shape\"",
                       "\"",
                       ":",
                       ",",
                       "\\u0000",
                       "null",
                       "__metadata__",
                       std::string(1, '\0'),
                       "\xFF",
                       "\xEF\xBB\xBF",
                       "true",
                       std::string(3000, '[')};
    return seeds;
}

}  // namespace expertscope::test
