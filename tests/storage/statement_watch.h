// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string_view>
#include <thread>

namespace expertscope {

/// Sees which thread reads what: every row that SQLite gives in connections that are opened while it lives. One at a
/// time.
class StatementWatch {
public:
    StatementWatch();
    ~StatementWatch();
    StatementWatch(const StatementWatch&) = delete;
    StatementWatch& operator=(const StatementWatch&) = delete;

    /// Rows that `thread` got of statements whose text holds `words`.
    std::int64_t rows(std::thread::id thread, std::string_view words) const;
    /// Those that any thread got.
    std::int64_t rows(std::string_view words) const;
};

}  // namespace expertscope
