// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/base/ids.h"

namespace expertscope {

/// Numbers that a deep capture gave of one layer (docs/FORMAT.md names them).
struct DeepArray {
    LayerIndex layer;
    std::string name;
    std::int64_t rows = 0, columns = 0;
    std::vector<double> values;  ///< [rows, columns]
};

/// Keeps them in the session (table `deep_array`), in place of those that the run had, in one short transaction that
/// waits up to 10 s for a recorder's. Throws FailedError where the session cannot be written, BadInputError where the
/// file is none.
void keepDeepArrays(const std::filesystem::path& session, RunId run, std::span<const DeepArray> arrays);
/// Those of a run, by layer and name; empty where there are none. Throws BadInputError where the file is no session or
/// an array's bytes are not as many as its shape says.
std::vector<DeepArray> deepArrays(const std::filesystem::path& session, RunId run);
/// Whether there are any, without reading them.
bool holdsDeepArrays(const std::filesystem::path& session, RunId run);

}  // namespace expertscope
