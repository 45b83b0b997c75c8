// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>

namespace expertscope {

/// The calling thread's scratch of at least `count` floats, aligned for any vector; holds until the thread's next call.
float* kernelScratch(std::size_t count);

}  // namespace expertscope
