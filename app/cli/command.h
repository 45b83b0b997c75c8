// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace expertscope {

/// What the chosen sub-command does once the command line has been read; gives the exit code and throws Error.
using CommandAction = std::function<int()>;

}  // namespace expertscope
