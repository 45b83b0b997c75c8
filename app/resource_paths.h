// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <string>

namespace expertscope {

/// The folder with the files that come with the program (demo model, prompts). Looked for, in this order: the
/// environment variable EXPERTSCOPE_RESOURCES, ../share/expertscope beside the executable, and the source tree that
/// built the program. Throws FailedError naming what was looked at when there is none.
std::filesystem::path resourceFolder();

/// A file or folder in resourceFolder(), by its path there ("prompts/domains.jsonl"). Throws FailedError when missing.
std::filesystem::path resource(const std::string& relative);

/// What a MODEL argument means: "demo" is the bundled model's folder, anything else is a path and given back as it is.
std::filesystem::path resolveModel(const std::string& model);

/// The bundled prompts: JSON Lines with `prompt` and `label`, one for each of the demo model's domains.
std::filesystem::path bundledPrompts();

}  // namespace expertscope
