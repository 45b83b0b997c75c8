// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

#include "views/base/empty_state.h"

namespace expertscope {

/// What a view says in place of everything; empty where it shows something.
inline QString toldSentence(const QWidget& view) {
    for (const EmptyState* state : view.findChildren<EmptyState*>())
        if (state->parentWidget() == &view && !state->isHidden()) return state->sentence();
    return {};
}

}  // namespace expertscope
