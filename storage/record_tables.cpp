// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/record_tables.h"

#include <cmath>
#include <exception>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "engine/base/record_names.h"
#include "storage/chunk_codec.h"
#include "storage/sqlite_db.h"

namespace expertscope {
namespace {

// ---- the tables: each column's name and value

/// Gives SQLite one value; -1 of an id that does not apply and NaN are NULL.
struct Give {
    sqlite3_context* context;

    void integer(std::int64_t value) { sqlite3_result_int64(context, value); }
    void real(double value) { sqlite3_result_double(context, value); }
    void word(std::string_view value) {
        sqlite3_result_text(context, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
    }
    template <class Id>
    void id(Id value) {
        if (value.value() < 0) return sqlite3_result_null(context);
        integer(value.value());
    }
    void time(Nanoseconds value) { integer(value.count()); }
    void timeOrNull(Nanoseconds value) {
        if (value.count() == 0) return sqlite3_result_null(context);
        time(value);
    }
};

template <class Record>
struct Column {
    const char* name;
    std::string_view type;
    void (*give)(Give, const Record&);
};

/// What a virtual table is: its records, its columns after run_id, and which records it leaves out.
template <class Record>
struct TableOf {
    using RecordType = Record;
    static bool shows(const Record&) { return true; }
};

struct SelectionTable : TableOf<SelectionRecord> {
    static constexpr const char* kName = "selection";
    static constexpr Column<SelectionRecord> kColumns[] = {
        {"token", "INTEGER", [](Give g, const SelectionRecord& r) { g.id(r.token); }},
        {"layer", "INTEGER", [](Give g, const SelectionRecord& r) { g.id(r.layer); }},
        {"slot", "INTEGER", [](Give g, const SelectionRecord& r) { g.integer(r.slot); }},
        {"expert", "INTEGER", [](Give g, const SelectionRecord& r) { g.id(r.expert); }},
        {"weight", "REAL", [](Give g, const SelectionRecord& r) { g.real(static_cast<double>(r.weight)); }},
        {"outcome", "TEXT", [](Give g, const SelectionRecord& r) { g.word(name(r.outcome)); }},
        {"first_use", "INTEGER", [](Give g, const SelectionRecord& r) { g.integer(r.firstUse ? 1 : 0); }},
        {"action", "TEXT", [](Give g, const SelectionRecord& r) { g.word(name(r.action)); }},
        {"step", "INTEGER", [](Give g, const SelectionRecord& r) { g.id(r.step); }}};
};

struct NormTable : TableOf<SelectionRecord> {
    static constexpr const char* kName = "norm";
    static bool shows(const SelectionRecord& record) { return !std::isnan(record.norm); }
    static constexpr Column<SelectionRecord> kColumns[] = {
        {"token", "INTEGER", [](Give g, const SelectionRecord& r) { g.id(r.token); }},
        {"layer", "INTEGER", [](Give g, const SelectionRecord& r) { g.id(r.layer); }},
        {"slot", "INTEGER", [](Give g, const SelectionRecord& r) { g.integer(r.slot); }},
        {"expert", "INTEGER", [](Give g, const SelectionRecord& r) { g.id(r.expert); }},
        {"norm", "REAL", [](Give g, const SelectionRecord& r) { g.real(static_cast<double>(r.norm)); }}};
};

struct SpanTable : TableOf<SpanRecord> {
    static constexpr const char* kName = "span";
    static constexpr Column<SpanRecord> kColumns[] = {
        {"start_ns", "INTEGER", [](Give g, const SpanRecord& r) { g.time(r.start); }},
        {"end_ns", "INTEGER", [](Give g, const SpanRecord& r) { g.time(r.end); }},
        {"lane", "INTEGER", [](Give g, const SpanRecord& r) { g.id(r.lane); }},
        {"kind", "TEXT", [](Give g, const SpanRecord& r) { g.word(name(r.kind)); }},
        {"step", "INTEGER", [](Give g, const SpanRecord& r) { g.id(r.step); }},
        {"layer", "INTEGER", [](Give g, const SpanRecord& r) { g.id(r.layer); }},
        {"expert", "INTEGER", [](Give g, const SpanRecord& r) { g.id(r.expert); }},
        {"amount", "INTEGER", [](Give g, const SpanRecord& r) { g.integer(r.amount); }}};
};

struct TransferTable : TableOf<TransferRecord> {
    static constexpr const char* kName = "transfer";
    static constexpr Column<TransferRecord> kColumns[] = {
        {"id", "INTEGER", [](Give g, const TransferRecord& r) { g.integer(r.id); }},
        {"layer", "INTEGER", [](Give g, const TransferRecord& r) { g.id(r.expert.layer); }},
        {"expert", "INTEGER", [](Give g, const TransferRecord& r) { g.id(r.expert.expert); }},
        {"slot", "INTEGER", [](Give g, const TransferRecord& r) { g.id(r.slot); }},
        {"bytes", "INTEGER", [](Give g, const TransferRecord& r) { g.integer(r.bytes.count()); }},
        {"moved", "INTEGER", [](Give g, const TransferRecord& r) { g.integer(r.moved.count()); }},
        {"issued_ns", "INTEGER", [](Give g, const TransferRecord& r) { g.time(r.issued); }},
        {"started_ns", "INTEGER", [](Give g, const TransferRecord& r) { g.timeOrNull(r.started); }},
        {"finished_ns", "INTEGER", [](Give g, const TransferRecord& r) { g.timeOrNull(r.finished); }},
        {"issued_step", "INTEGER", [](Give g, const TransferRecord& r) { g.id(r.issuedStep); }},
        {"issued_layer", "INTEGER", [](Give g, const TransferRecord& r) { g.id(r.issuedLayer); }},
        {"used_step", "INTEGER", [](Give g, const TransferRecord& r) { g.id(r.usedStep); }},
        {"purpose", "TEXT", [](Give g, const TransferRecord& r) { g.word(name(r.purpose)); }},
        {"fate", "TEXT", [](Give g, const TransferRecord& r) { g.word(name(r.fate)); }}};
};

struct ResidencyTable : TableOf<ResidencyRecord> {
    static constexpr const char* kName = "residency";
    static constexpr Column<ResidencyRecord> kColumns[] = {
        {"time_ns", "INTEGER", [](Give g, const ResidencyRecord& r) { g.time(r.time); }},
        {"step", "INTEGER", [](Give g, const ResidencyRecord& r) { g.id(r.step); }},
        {"routed_layer", "INTEGER", [](Give g, const ResidencyRecord& r) { g.id(r.layer); }},
        {"layer", "INTEGER", [](Give g, const ResidencyRecord& r) { g.id(r.subject.layer); }},
        {"expert", "INTEGER", [](Give g, const ResidencyRecord& r) { g.id(r.subject.expert); }},
        {"cause_layer", "INTEGER", [](Give g, const ResidencyRecord& r) { g.id(r.cause.layer); }},
        {"cause_expert", "INTEGER", [](Give g, const ResidencyRecord& r) { g.id(r.cause.expert); }},
        {"slot", "INTEGER", [](Give g, const ResidencyRecord& r) { g.id(r.slot); }},
        {"change", "TEXT", [](Give g, const ResidencyRecord& r) { g.word(name(r.change)); }},
        {"reason", "TEXT", [](Give g, const ResidencyRecord& r) { g.word(name(r.reason)); }},
        {"score", "REAL", [](Give g, const ResidencyRecord& r) { g.real(r.score); }}};
};

struct PredictionTable : TableOf<PredictionRecord> {
    static constexpr const char* kName = "prediction";
    static constexpr Column<PredictionRecord> kColumns[] = {
        {"token", "INTEGER", [](Give g, const PredictionRecord& r) { g.id(r.token); }},
        {"from_layer", "INTEGER", [](Give g, const PredictionRecord& r) { g.id(r.fromLayer); }},
        {"target_layer", "INTEGER", [](Give g, const PredictionRecord& r) { g.id(r.targetLayer); }},
        {"rank", "INTEGER", [](Give g, const PredictionRecord& r) { g.integer(r.rank); }},
        {"expert", "INTEGER", [](Give g, const PredictionRecord& r) { g.id(r.expert); }},
        {"score", "REAL", [](Give g, const PredictionRecord& r) { g.real(static_cast<double>(r.score)); }},
        {"predictor", "TEXT", [](Give g, const PredictionRecord& r) { g.word(name(r.predictor)); }},
        {"step", "INTEGER", [](Give g, const PredictionRecord& r) { g.id(r.step); }}};
};

// ---- the virtual table over them

/// Which chunks a query needs: xBestIndex sets the bits of what it can use in idxNum, and xFilter gets the values in
/// the order of the bits.
enum Constraint : int { kRunEquals = 1, kTokenEquals = 2, kTokenAtLeast = 4, kTokenAtMost = 8 };

/// What each constraint asks of a chunk; the number of its parameter is the constraint's bit. SQLite applies the exact
/// condition to the rows itself.
struct ChunkCondition {
    Constraint constraint;
    const char* sql;
};
constexpr ChunkCondition kConditions[] = {{kRunEquals, " AND run_id=?1"},
                                          {kTokenEquals, " AND first_token<=?2 AND last_token>=?2"},
                                          {kTokenAtLeast, " AND last_token>=?4"},
                                          {kTokenAtMost, " AND first_token<=?8"}};

constexpr int kRunColumn = 0;
constexpr int kTokenColumn = 1;
constexpr double kAllRows = 1e9;

template <class Table>
constexpr bool hasTokens() {
    return std::string_view(Table::kColumns[kTokenColumn - 1].name) == "token";
}

/// The constraint that a usable term of the WHERE clause gives; 0 for none.
template <class Table>
int constraintOf(const sqlite3_index_info::sqlite3_index_constraint& term) {
    if (!term.usable) return 0;
    if (term.iColumn == kRunColumn) return term.op == SQLITE_INDEX_CONSTRAINT_EQ ? kRunEquals : 0;
    if (term.iColumn != kTokenColumn || !hasTokens<Table>()) return 0;
    switch (term.op) {
        case SQLITE_INDEX_CONSTRAINT_GE:
        case SQLITE_INDEX_CONSTRAINT_GT:
            return kTokenAtLeast;
        case SQLITE_INDEX_CONSTRAINT_LE:
        case SQLITE_INDEX_CONSTRAINT_LT:
            return kTokenAtMost;
        case SQLITE_INDEX_CONSTRAINT_EQ:
            return kTokenEquals;
        default:
            return 0;
    }
}

struct RecordTable : sqlite3_vtab {
    sqlite3* database = nullptr;
};

/// Steps through the records of the chunks that a query needs, one decoded chunk in memory at a time.
template <class Table>
struct RecordCursor : sqlite3_vtab_cursor {
    using Record = typename Table::RecordType;

    std::optional<Statement> chunks;
    std::vector<Record> records;
    std::size_t at = 0;
    std::int64_t chunkId = 0;
    std::int64_t runId = 0;
    bool ended = true;

    void start(sqlite3* database, int used, sqlite3_value** values) {
        std::string sql = "SELECT id, run_id, encoding, count, data FROM chunk WHERE kind=?3";
        for (const ChunkCondition& condition : kConditions) {
            if (used & condition.constraint) sql += condition.sql;
        }
        chunks.emplace(database, sql + " ORDER BY id");
        chunks->bindText(3, chunkKind<Record>());
        for (const ChunkCondition& condition : kConditions) {
            if (used & condition.constraint) sqlite3_bind_value(chunks->handle(), condition.constraint, *values++);
        }
        records.clear();
        at = 0;
        ended = false;
        settle();
    }

    void advance() {
        ++at;
        settle();
    }

    /// Moves to a record that the table shows, over chunks' ends.
    void settle() {
        while (!ended) {
            while (at < records.size() && !Table::shows(records[at])) {
                ++at;
            }
            if (at < records.size()) return;
            records.clear();
            at = 0;
            ended = !chunks->step();
            if (ended) return;
            chunkId = chunks->integer(0);
            runId = chunks->integer(1);
            decodeChunk<Record>(chunks->integer(2), chunks->integer(3), chunks->blob(4), records);
        }
    }
};

/// The functions of SQLite's module interface for one table.
template <class Table>
struct Module {
    using TableCursor = RecordCursor<Table>;

    static int connect(sqlite3* database, void*, int, const char* const*, sqlite3_vtab** out, char**) {
        std::string declaration = "CREATE TABLE t(run_id INTEGER";
        for (const auto& column : Table::kColumns) {
            declaration.append(", ").append(column.name).append(" ").append(column.type);
        }
        declaration += ")";
        const int code = sqlite3_declare_vtab(database, declaration.c_str());
        if (code != SQLITE_OK) return code;
        auto* table = new RecordTable{};
        table->database = database;
        *out = table;
        return SQLITE_OK;
    }

    static int disconnect(sqlite3_vtab* table) {
        delete static_cast<RecordTable*>(table);
        return SQLITE_OK;
    }

    static int bestIndex(sqlite3_vtab*, sqlite3_index_info* info) {
        int used = 0, arguments = 0;
        for (const ChunkCondition& condition : kConditions) {
            for (int i = 0; i < info->nConstraint && !(used & condition.constraint); ++i) {
                if (constraintOf<Table>(info->aConstraint[i]) != condition.constraint) continue;
                info->aConstraintUsage[i].argvIndex = ++arguments;
                used |= condition.constraint;
            }
        }
        info->idxNum = used;
        info->estimatedCost = kAllRows;
        for (int i = 0; i < arguments; ++i) {
            info->estimatedCost /= 10;
        }
        info->estimatedRows = static_cast<sqlite3_int64>(info->estimatedCost);
        return SQLITE_OK;
    }

    static int open(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
        *out = new TableCursor{};
        return SQLITE_OK;
    }

    static int close(sqlite3_vtab_cursor* cursor) {
        delete static_cast<TableCursor*>(cursor);
        return SQLITE_OK;
    }

    static int filter(sqlite3_vtab_cursor* cursor, int used, const char*, int, sqlite3_value** values) {
        return guarded(cursor, [&](TableCursor& own) {
            own.start(static_cast<RecordTable*>(cursor->pVtab)->database, used, values);
        });
    }

    static int next(sqlite3_vtab_cursor* cursor) {
        return guarded(cursor, [](TableCursor& own) { own.advance(); });
    }

    static int eof(sqlite3_vtab_cursor* cursor) { return static_cast<TableCursor*>(cursor)->ended ? 1 : 0; }

    static int column(sqlite3_vtab_cursor* cursor, sqlite3_context* context, int index) {
        const auto& own = *static_cast<TableCursor*>(cursor);
        Give give{context};
        if (index == kRunColumn) {
            give.integer(own.runId);
        } else {
            Table::kColumns[index - 1].give(give, own.records[own.at]);
        }
        return SQLITE_OK;
    }

    static int rowid(sqlite3_vtab_cursor* cursor, sqlite3_int64* out) {
        const auto& own = *static_cast<TableCursor*>(cursor);
        *out = own.chunkId * kMostChunkRecords + static_cast<std::int64_t>(own.at);
        return SQLITE_OK;
    }

    /// No exception may pass through SQLite.
    template <class Work>
    static int guarded(sqlite3_vtab_cursor* cursor, Work work) {
        const auto fail = [&](int code, const char* message) {
            sqlite3_free(cursor->pVtab->zErrMsg);
            cursor->pVtab->zErrMsg = sqlite3_mprintf("%s", message);
            return code;
        };
        try {
            work(*static_cast<TableCursor*>(cursor));
            return SQLITE_OK;
        } catch (const SqliteError& error) {
            return fail(error.code(), error.what());
        } catch (const DamagedChunk& error) {
            return fail(SQLITE_CORRUPT, error.what());
        } catch (const std::exception& error) { return fail(SQLITE_NOMEM, error.what()); }
    }
};

template <class Table>
int registerTable(sqlite3* database) {
    // A module without xCreate is eponymous: its table is there without CREATE VIRTUAL TABLE.
    static const sqlite3_module module = [] {
        sqlite3_module m{};
        m.xConnect = Module<Table>::connect;
        m.xBestIndex = Module<Table>::bestIndex;
        m.xDisconnect = Module<Table>::disconnect;
        m.xOpen = Module<Table>::open;
        m.xClose = Module<Table>::close;
        m.xFilter = Module<Table>::filter;
        m.xNext = Module<Table>::next;
        m.xEof = Module<Table>::eof;
        m.xColumn = Module<Table>::column;
        m.xRowid = Module<Table>::rowid;
        return m;
    }();
    if (const int code = sqlite3_create_module_v2(database, Table::kName, &module, nullptr, nullptr);
        code != SQLITE_OK) {
        return code;
    }
    // SQLite declares the table when it is first named: now, while no authorizer forbids that.
    return sqlite3_exec(database, fmt::format("SELECT 1 FROM {} LIMIT 0", Table::kName).c_str(), nullptr, nullptr,
                        nullptr);
}

}  // namespace

int registerRecordTables(sqlite3* database) {
    for (const auto add :
         {registerTable<SelectionTable>, registerTable<NormTable>, registerTable<SpanTable>,
          registerTable<TransferTable>, registerTable<ResidencyTable>, registerTable<PredictionTable>}) {
        if (const int code = add(database); code != SQLITE_OK) return code;
    }
    return SQLITE_OK;
}

}  // namespace expertscope
