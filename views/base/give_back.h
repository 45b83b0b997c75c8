// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QThreadPool>
#include <memory>
#include <utility>

namespace expertscope {

/// Has a worker thread free what was made of a long run: that may take longer than a frame.
template <class Large>
void giveBack(Large large) {
    QThreadPool::globalInstance()->start(
        [held = std::make_shared<Large>(std::move(large))]() mutable { held.reset(); });
}

}  // namespace expertscope
