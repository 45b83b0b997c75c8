// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/resource_paths.h"

#include <cstdlib>
#include <system_error>
#include <vector>

#include "engine/base/error.h"

namespace expertscope {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> candidates() {
    std::vector<fs::path> folders;
    if (const char* chosen = std::getenv("EXPERTSCOPE_RESOURCES"); chosen != nullptr && *chosen != '\0') {
        // Whoever sets the variable means it: falling back would hide a misspelt folder.
        folders.emplace_back(chosen);
        return folders;
    }
    std::error_code ignored;
    const fs::path executable = fs::read_symlink("/proc/self/exe", ignored);
    if (!executable.empty()) { folders.push_back(executable.parent_path().parent_path() / "share" / "expertscope"); }
    folders.emplace_back(EXPERTSCOPE_SOURCE_RESOURCES);
    return folders;
}

}  // namespace

fs::path resourceFolder() {
    std::string looked;
    for (const fs::path& folder : candidates()) {
        std::error_code ignored;
        if (fs::is_directory(folder, ignored)) return folder;
        looked += (looked.empty() ? "" : ", ") + folder.string();
    }
    throw FailedError("The program's own files were not found (looked at " + looked +
                      "): set EXPERTSCOPE_RESOURCES to the folder that holds demo_model and prompts.");
}

fs::path resource(const std::string& relative) {
    fs::path path = resourceFolder() / relative;
    std::error_code ignored;
    if (fs::exists(path, ignored)) return path;
    throw FailedError(
        "The bundled file " + path.string() +
        " is missing: install ExpertScope again, or set EXPERTSCOPE_RESOURCES to the folder that holds it.");
}

fs::path resolveModel(const std::string& model) { return model == "demo" ? resource("demo_model") : fs::path(model); }

fs::path bundledPrompts() { return resource("prompts/domains.jsonl"); }

}  // namespace expertscope
