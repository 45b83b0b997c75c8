// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

namespace expertscope {

/// While it lives, Qt's warnings for programmers stay off standard error, where a user expects one sentence or nothing;
/// and the death of a Qt that finds no display becomes such a sentence with exit code 1.
class QuietQtMessages {
public:
    QuietQtMessages();
    ~QuietQtMessages();
    QuietQtMessages(const QuietQtMessages&) = delete;
    QuietQtMessages& operator=(const QuietQtMessages&) = delete;
};

}  // namespace expertscope
