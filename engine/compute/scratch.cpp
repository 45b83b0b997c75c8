// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/compute/scratch.h"

#include <new>

#include <hwy/aligned_allocator.h>

namespace expertscope {

float* kernelScratch(std::size_t count) {
    thread_local hwy::AlignedFreeUniquePtr<float[]> buffer;
    thread_local std::size_t capacity = 0;
    if (count > capacity) {
        buffer = hwy::AllocateAligned<float>(count);
        if (buffer == nullptr) {
            capacity = 0;
            throw std::bad_alloc();
        }
        capacity = count;
    }
    return buffer.get();
}

}  // namespace expertscope
