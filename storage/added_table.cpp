// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/added_table.h"

#include "storage/session_errors.h"

namespace expertscope {

void writeAddedTable(const std::filesystem::path& session, const char* create,
                     const std::function<void(Database&)>& write) {
    try {
        Database database(session, OpenMode::Existing);
        checkFormat(database, session);
        database.execute("PRAGMA busy_timeout=10000");
        Transaction transaction(database, "BEGIN IMMEDIATE");
        database.execute(create);
        write(database);
        transaction.commit();
    } catch (const SqliteError& error) { throwWriteError(error, session); }
}

}  // namespace expertscope
