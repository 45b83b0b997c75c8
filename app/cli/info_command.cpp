// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/info_command.h"

#include <filesystem>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/model_info.h"
#include "app/cli/session_info.h"
#include "app/resource_paths.h"
#include "engine/base/error.h"

namespace expertscope {
namespace {

int info(const std::string& what, bool json) {
    const std::filesystem::path path = resolveModel(what);
    if (!std::filesystem::exists(path)) {
        throw BadInputError(fmt::format("There is no file or folder {}: check its name.", path.string()));
    }
    const bool isModel = std::filesystem::is_directory(path) || path.extension() == ".gguf";
    isModel ? printModelInfo(what, json) : printSessionInfo(path, json);
    return 0;
}

}  // namespace

void addInfoCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("info", "What a checkpoint or a session holds");
    const auto what = std::make_shared<std::string>();
    const auto json = std::make_shared<bool>(false);
    command->add_option("MODEL|SESSION", *what, "A checkpoint folder, 'demo', or a session file")->required();
    command->add_flag("--json", *json, "As one JSON object");
    command->callback([what, json, &action] { action = [what, json] { return info(*what, *json); }; });
}

}  // namespace expertscope
