// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Files of past format versions, written by the programs of their time, in copies that a test may change.

#include <filesystem>
#include <string>

namespace expertscope {

/// Copies tests/data/sessions/versionN.esdb into a folder.
inline std::filesystem::path storedSession(int version, const std::filesystem::path& folder) {
    const std::string name = "version" + std::to_string(version) + ".esdb";
    std::filesystem::copy_file(std::filesystem::path(EXPERTSCOPE_STORED_SESSIONS) / name, folder / name);
    return folder / name;
}

}  // namespace expertscope
