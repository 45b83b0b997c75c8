// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/tensor_source.h"

namespace expertscope {

std::size_t elementSize(ElementType type) {
    switch (type) {
        case ElementType::F32:
            return 4;
        case ElementType::F16:
        case ElementType::BF16:
            return 2;
        case ElementType::Other:
            return 0;
    }
    return 0;
}

}  // namespace expertscope
