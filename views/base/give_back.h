// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <utility>

namespace expertscope {

/// Frees it on a thread that does nothing else.
void giveBackShared(std::shared_ptr<void> last);

/// Has another thread free what was made of a long run: that may take longer than a frame.
template <class Large>
void giveBack(Large large) {
    giveBackShared(std::make_shared<Large>(std::move(large)));
}

}  // namespace expertscope
