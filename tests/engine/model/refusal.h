// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace expertscope::test {

struct Refusal {
    std::string sentence;
    std::string detail;
};

/// What `action` says when it refuses its input; a test failure when it accepts it.
template <class Action>
Refusal refusalOf(Action&& action) {
    try {
        action();
    } catch (const BadInputError& error) { return {error.what(), error.detail()}; }
    ADD_FAILURE() << "the input was accepted";
    return {};
}

}  // namespace expertscope::test
