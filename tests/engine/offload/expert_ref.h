// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "engine/base/ids.h"

namespace expertscope::test {

inline ExpertRef ref(int layer, int expert) { return {LayerIndex(layer), ExpertId(expert)}; }

}  // namespace expertscope::test
