// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>

#include "engine/base/error.h"
#include "engine/model/model_config.h"
#include "tests/engine/model/safetensors_writer.h"
#include "tests/fuzz/fuzz_target.h"

/// What is accepted must be a model that can be computed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const expertscope::ModelConfig config =
            expertscope::parseModelConfig({reinterpret_cast<const char*>(data), size}, "fuzz");
        const bool usable = config.layers > 0 && config.topK > 0 && config.topK <= config.experts &&
                            config.heads % config.kvHeads == 0 && config.headDim % 2 == 0 &&
                            config.eosId < config.vocabulary && config.ropeTheta > 0;
        if (!usable) std::abort();
    } catch (const expertscope::BadInputError&) {}
    return 0;
}

namespace expertscope::test {

FuzzSeeds fuzzSeeds() {
    return {{tinyConfig({}).dump(), tinyConfig({.preGates = true}).dump(1),
             readFile(EXPERTSCOPE_RESOURCES "/demo_model/config.json")},
            {"0", "-1", "1e400", "99999999999999999999", "null", "true", "[]", "{}", "\"x\"", "\"rope_scaling\":{},",
             "\"rope_parameters\":{\"rope_theta\":0},", "\"quantization_config\":{\"quant_method\":1},", "\"", ",", ":",
             "\xFF", "\\uD800", std::string(1, '\0'), std::string(3000, '[')}};
}

}  // namespace expertscope::test
