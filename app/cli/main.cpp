// SPDX-License-Identifier: GPL-3.0-or-later
#include <exception>
#include <iostream>
#include <new>
#include <string>

#include "app/cli/command_line.h"
#include "engine/base/error.h"

namespace {

/// What every failure ends in: one sentence on standard error.
void tell(std::string sentence) {
    if (!sentence.ends_with('.')) sentence += '.';
    std::cerr << "expertscope: " << sentence << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return expertscope::runCommandLine(argc, argv);
    } catch (const expertscope::Error& error) {
        tell(error.what());
        return static_cast<int>(error.kind());
    } catch (const std::bad_alloc&) {
        tell("The memory of this machine does not suffice for this job: try a smaller --budget.");
    } catch (const std::exception& error) { tell(std::string("Unexpected error: ") + error.what()); }
    return static_cast<int>(expertscope::ErrorKind::Failed);
}
