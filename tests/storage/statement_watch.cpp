// SPDX-License-Identifier: GPL-3.0-or-later
#include "statement_watch.h"

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "storage/sqlite_api.h"

namespace expertscope {
namespace {

/// Connections outlive a watch, so what they tell of goes to what outlives them.
std::mutex g_mutex;
bool g_watching = false;
std::map<std::pair<std::thread::id, std::string>, std::int64_t> g_rows;

int onRow(unsigned, void*, void* statement, void*) {
    const char* const text = sqlite3_sql(static_cast<sqlite3_stmt*>(statement));
    const std::lock_guard lock(g_mutex);
    if (g_watching && text != nullptr) ++g_rows[{std::this_thread::get_id(), text}];
    return 0;
}

int onConnection(sqlite3* database, char**, const struct sqlite3_api_routines*) {
    return sqlite3_trace_v2(database, SQLITE_TRACE_ROW, onRow, nullptr);
}

// SQLite takes the function in this form and calls it as what it is.
void (*asExtension())() { return reinterpret_cast<void (*)()>(onConnection); }

}  // namespace

StatementWatch::StatementWatch() {
    {
        const std::lock_guard lock(g_mutex);
        g_rows.clear();
        g_watching = true;
    }
    sqlite3_auto_extension(asExtension());
}

StatementWatch::~StatementWatch() {
    sqlite3_cancel_auto_extension(asExtension());
    const std::lock_guard lock(g_mutex);
    g_watching = false;
}

std::int64_t StatementWatch::rows(std::thread::id thread, std::string_view words) const {
    const std::lock_guard lock(g_mutex);
    std::int64_t sum = 0;
    for (const auto& [key, count] : g_rows)
        if (key.first == thread && key.second.find(words) != std::string::npos) sum += count;
    return sum;
}

std::int64_t StatementWatch::rows(std::string_view words) const {
    const std::lock_guard lock(g_mutex);
    std::int64_t sum = 0;
    for (const auto& [key, count] : g_rows)
        if (key.second.find(words) != std::string::npos) sum += count;
    return sum;
}

}  // namespace expertscope
