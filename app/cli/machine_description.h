// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

namespace expertscope {

/// What a run was made on, as one JSON object: cpu, cpus (that this process may use), memory_bytes, kernel, program,
/// compiler. Kept with every run, so that figures of different machines are not compared unknowingly.
std::string machineDescription();

}  // namespace expertscope
