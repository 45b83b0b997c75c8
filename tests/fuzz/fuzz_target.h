// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// Defined by each fuzz target: must accept or refuse any bytes without crashing.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace expertscope::test {

/// Well-formed inputs, and fragments that mean something in the format, of the target that is linked in.
struct FuzzSeeds {
    std::vector<std::string> inputs;
    std::vector<std::string> fragments;
};
FuzzSeeds fuzzSeeds();

}  // namespace expertscope::test
