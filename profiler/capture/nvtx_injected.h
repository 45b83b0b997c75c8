// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

namespace expertscope {

/// Whether this program's NVTX, once it was first called, has taken us as its tool.
bool nvtxIsOurs();

}  // namespace expertscope
