// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/record_tables.h"

#include <bit>
#include <cmath>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "storage/record_groups.h"
#include "storage/record_scan.h"

namespace expertscope {
namespace {

// Guesses, for SQLite's choice among plans: rows of a table, and what a condition leaves of them.
constexpr double kRows = 1e7;
constexpr double kOfRun = 0.5;
constexpr double kOfEqual = 0.05;
constexpr double kOfRange = 0.3;
constexpr double kOfToken = 1e-4;
/// The SQLite that loads the extension may be older.
constexpr int kFirstWithDistinct = 3'038'000;
/// In a plan: what follows are columns to group by.
constexpr char kBeforeGroups = '|';

struct Table : sqlite3_vtab {
    const RecordTable* table = nullptr;
    sqlite3* database = nullptr;
};

struct Cursor : sqlite3_vtab_cursor {
    explicit Cursor(const Table& of)
        : sqlite3_vtab_cursor{}, table(*of.table), scan(*of.table, of.database), groups(*of.table, scan) {}
    const RecordTable& table;
    RecordScan scan;
    RecordGroups groups;
    bool grouped = false;  ///< rows come from `groups`

    /// Whichever of the two the rows come from.
    template <class Ask>
    auto asked(Ask ask) const {
        return grouped ? ask(groups) : ask(scan);
    }
};

Cursor& own(sqlite3_vtab_cursor* cursor) { return *static_cast<Cursor*>(cursor); }

/// No exception may pass through SQLite.
template <class Work>
int guarded(sqlite3_vtab_cursor* cursor, Work work) {
    const auto fail = [&](int code, const char* message) {
        sqlite3_free(cursor->pVtab->zErrMsg);
        cursor->pVtab->zErrMsg = sqlite3_mprintf("%s", message);
        return code;
    };
    try {
        work(own(cursor));
        return SQLITE_OK;
    } catch (const SqliteError& error) { return fail(error.code(), error.what()); } catch (const DamagedChunk& error) {
        return fail(SQLITE_CORRUPT, error.what());
    } catch (const std::exception& error) { return fail(SQLITE_NOMEM, error.what()); }
}

const char* typeOf(SqlKind kind) {
    switch (kind) {
        case SqlKind::Float:
        case SqlKind::Double:
            return "REAL";
        case SqlKind::Word:
            return "TEXT";
        case SqlKind::Payload:
            return "NUMERIC";
        default:
            return "INTEGER";
    }
}

int connect(sqlite3* database, void* of, int, const char* const*, sqlite3_vtab** out, char**) {
    const auto* table = static_cast<const RecordTable*>(of);
    std::string declaration = "CREATE TABLE t(run_id INTEGER";
    for (const RecordColumn& column : table->columns)
        declaration += fmt::format(", {} {}", column.name, typeOf(column.kind));
    declaration += ")";
    const int code = sqlite3_declare_vtab(database, declaration.c_str());
    if (code != SQLITE_OK) return code;
    sqlite3_vtab_config(database, SQLITE_VTAB_INNOCUOUS);
    auto* made = new Table{};
    made->table = table;
    made->database = database;
    *out = made;
    return SQLITE_OK;
}

int disconnect(sqlite3_vtab* table) {
    delete static_cast<Table*>(table);
    return SQLITE_OK;
}

/// The condition that a term of the WHERE clause is; false where a scan could not use it.
bool readTerm(const sqlite3_index_info::sqlite3_index_constraint& term, ScanCondition& condition) {
    if (!term.usable || term.iColumn < 0) return false;
    condition.column = term.iColumn;
    switch (term.op) {
        case SQLITE_INDEX_CONSTRAINT_EQ:
            condition.op = ScanCondition::Equals;
            return true;
        case SQLITE_INDEX_CONSTRAINT_LT:
            condition.op = ScanCondition::Less;
            return true;
        case SQLITE_INDEX_CONSTRAINT_LE:
            condition.op = ScanCondition::AtMost;
            return true;
        case SQLITE_INDEX_CONSTRAINT_GT:
            condition.op = ScanCondition::Greater;
            return true;
        case SQLITE_INDEX_CONSTRAINT_GE:
            condition.op = ScanCondition::AtLeast;
            return true;
        default:
            return false;
    }
}

/// A word is compared as it is written, and not where the query asks for another collation.
bool comparesBytes(sqlite3_index_info* info, int term) {
    const char* collation = sqlite3_vtab_collation(info, term);
    return collation == nullptr || std::string_view(collation) == "BINARY";
}

/// The columns by which SQLite wants rows together (GROUP BY) or in order, where a scan can do so; else none.
std::string wantedGroups(sqlite3_index_info* info, const RecordTable& table) {
    std::string columns;
    if (sqlite3_libversion_number() < kFirstWithDistinct) return columns;
    // SQLite weeds out repeated rows (2, 3) in a way of its own. Groups (1) may come in any order.
    const int wish = sqlite3_vtab_distinct(info);
    const bool anyOrder = wish == 1;
    if (wish > 1) return columns;
    for (int i = 0; i < info->nOrderBy; ++i) {
        const auto& term = info->aOrderBy[i];
        if (!RecordGroups::canGroupBy(table, term.iColumn) || (term.desc && !anyOrder)) return {};
        columns.push_back(static_cast<char>('A' + term.iColumn));
    }
    return columns;
}

/// Tells xFilter the conditions as pairs of characters in idxStr, after a bar the columns to group by, and the columns
/// that are used in idxNum.
int bestIndex(sqlite3_vtab* vtab, sqlite3_index_info* info) {
    const RecordTable& table = *static_cast<Table*>(vtab)->table;
    std::string plan;
    double cost = kRows, rows = kRows;
    for (int i = 0, arguments = 0; i < info->nConstraint; ++i) {
        ScanCondition condition;
        if (!readTerm(info->aConstraint[i], condition) || !comparesBytes(info, i)) continue;
        const ConditionUse use = useOfCondition(table, condition);
        if (use == ConditionUse::None) continue;
        info->aConstraintUsage[i].argvIndex = ++arguments;
        plan.push_back(static_cast<char>('A' + condition.column));
        plan.push_back(condition.op);
        const bool equals = condition.op == ScanCondition::Equals;
        const double left = use == ConditionUse::Run                ? kOfRun
                            : use == ConditionUse::Chunks && equals ? kOfToken
                            : equals                                ? kOfEqual
                                                                    : kOfRange;
        rows *= left;
        // What is read from the file is left as it is by a condition that rows are asked for.
        cost *= use == ConditionUse::Rows ? (1 + left) / 2 : left;
    }
    if (const std::string groups = wantedGroups(info, table); !groups.empty()) {
        plan += kBeforeGroups + groups;
        info->orderByConsumed = 1;
    }
    info->idxNum = static_cast<int>(info->colUsed & 0x7fffffff);
    info->idxStr = sqlite3_mprintf("%s", plan.c_str());
    info->needToFreeIdxStr = 1;
    info->estimatedCost = cost;
    info->estimatedRows = static_cast<sqlite3_int64>(rows) + 1;
    return info->idxStr ? SQLITE_OK : SQLITE_NOMEM;
}

int open(sqlite3_vtab* table, sqlite3_vtab_cursor** out) {
    *out = new Cursor(*static_cast<Table*>(table));
    return SQLITE_OK;
}

int close(sqlite3_vtab_cursor* cursor) {
    delete &own(cursor);
    return SQLITE_OK;
}

int filter(sqlite3_vtab_cursor* cursor, int wanted, const char* plan, int, sqlite3_value** values) {
    return guarded(cursor, [&](Cursor& of) {
        std::vector<ScanCondition> conditions;
        const char* at = plan;
        for (; at[0] != '\0' && at[0] != kBeforeGroups; at += 2)
            conditions.push_back({at[0] - 'A', static_cast<ScanCondition::Operator>(at[1])});
        auto used = static_cast<std::uint32_t>(wanted);
        std::vector<int> groups;
        for (; at[0] != '\0'; ++at) {
            if (at[0] == kBeforeGroups) continue;
            groups.push_back(at[0] - 'A');
            used |= 1U << groups.back();
        }
        of.scan.start(conditions, values, used);
        of.grouped = !groups.empty();
        if (of.grouped) of.groups.start(std::move(groups));
    });
}

int next(sqlite3_vtab_cursor* cursor) {
    return guarded(cursor, [](Cursor& of) { of.grouped ? of.groups.next() : of.scan.next(); });
}

int eof(sqlite3_vtab_cursor* cursor) {
    return own(cursor).asked([](const auto& rows) { return rows.ended(); }) ? 1 : 0;
}

void giveReal(sqlite3_context* context, double value) {
    std::isnan(value) ? sqlite3_result_null(context) : sqlite3_result_double(context, value);
}

template <class Rows>
void give(sqlite3_context* context, const RecordColumn& column, const Rows& rows) {
    const std::int64_t value = rows.stored(column.source);
    const auto giveOr = [&](bool isNull) {
        isNull ? sqlite3_result_null(context) : sqlite3_result_int64(context, value);
    };
    switch (column.kind) {
        case SqlKind::Integer:
            return giveOr(false);
        case SqlKind::Id:
            return giveOr(value < 0);
        case SqlKind::TimeOrNull:
            return giveOr(value == 0);
        case SqlKind::Float:
            return giveReal(context, static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(value))));
        case SqlKind::Double:
            return giveReal(context, std::bit_cast<double>(value));
        case SqlKind::Word: {
            const std::string_view word = column.word(value);
            return sqlite3_result_text(context, word.data(), static_cast<int>(word.size()), SQLITE_STATIC);
        }
        case SqlKind::Payload: {
            const auto type = static_cast<PayloadType>(rows.stored(column.payloadType));
            if (type == PayloadType::Real) return giveReal(context, std::bit_cast<double>(value));
            return giveOr(type == PayloadType::None);
        }
    }
}

int column(sqlite3_vtab_cursor* cursor, sqlite3_context* context, int index) {
    const Cursor& of = own(cursor);
    of.asked([&](const auto& rows) {
        if (index == 0) {
            sqlite3_result_int64(context, rows.run());
        } else {
            give(context, of.table.columns[static_cast<std::size_t>(index) - 1], rows);
        }
    });
    return SQLITE_OK;
}

int rowid(sqlite3_vtab_cursor* cursor, sqlite3_int64* out) {
    *out = own(cursor).asked([](const auto& rows) { return rows.rowId(); });
    return SQLITE_OK;
}

const sqlite3_module& module() {
    // A module without xCreate is eponymous: its table is there without CREATE VIRTUAL TABLE.
    static const sqlite3_module functions = [] {
        sqlite3_module m{};
        m.xConnect = connect;
        m.xBestIndex = bestIndex;
        m.xDisconnect = disconnect;
        m.xOpen = open;
        m.xClose = close;
        m.xFilter = filter;
        m.xNext = next;
        m.xEof = eof;
        m.xColumn = column;
        m.xRowid = rowid;
        return m;
    }();
    return functions;
}

int registerTable(sqlite3* database, const RecordTable& table) {
    const int code =
        sqlite3_create_module_v2(database, table.name, &module(), const_cast<RecordTable*>(&table), nullptr);
    if (code != SQLITE_OK) return code;
    // SQLite declares the table when it is first named: now, while no authorizer forbids that.
    return sqlite3_exec(database, fmt::format("SELECT 1 FROM {} LIMIT 0", table.name).c_str(), nullptr, nullptr,
                        nullptr);
}

}  // namespace

int registerRecordTables(sqlite3* database) {
    for (const RecordTable& table : recordTables())
        if (const int code = registerTable(database, table); code != SQLITE_OK) return code;
    return SQLITE_OK;
}

}  // namespace expertscope
