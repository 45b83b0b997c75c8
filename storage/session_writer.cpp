// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/session_writer.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "storage/checkpointer.h"
#include "storage/chunk_codec.h"
#include "storage/model_rows.h"
#include "storage/process_identity.h"
#include "storage/row_fields.h"
#include "storage/run_costs.h"
#include "storage/schema.h"
#include "storage/session_errors.h"
#include "storage/session_open.h"
#include "storage/summary_rows.h"
#include "storage/upgrade.h"
#include "storage/utf8_text.h"

namespace expertscope {
namespace {

constexpr int kCloseTimeoutMs = 2000;

void checkPlace(const std::filesystem::path& file) {
    std::error_code error;
    if (std::filesystem::is_directory(file, error)) {
        throw FailedError(fmt::format("'{}' is a folder; name a session file in it.", file.string()));
    }
    const std::filesystem::path folder = file.parent_path();
    if (!std::filesystem::is_directory(folder, error)) {
        throw FailedError(
            fmt::format("The session file '{}' cannot be written because the folder '{}' does not exist; "
                        "make it or choose another place.",
                        file.string(), folder.string()));
    }
    // SQLite forgets why it could not create a file.
    if (!std::filesystem::exists(file, error) && faccessat(AT_FDCWD, folder.c_str(), W_OK, AT_EACCESS) != 0) {
        throw FailedError(
            fmt::format("The session file '{}' cannot be written because the folder '{}' is read-only; "
                        "choose another place for it.",
                        file.string(), folder.string()));
    }
}

void refuseSecondWriter(const ProcessIdentity& writer, const std::filesystem::path& file) {
    if (writer.pid == 0 || !isAlive(writer)) return;
    throw FailedError(
        fmt::format("The session file '{}' is being written by another ExpertScope run (pid {}); wait "
                    "until it has finished or record into another file.",
                    file.string(), writer.pid));
}

void setMeta(Database& database, const char* key, const auto& value) {
    Statement statement(database.handle(), "INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)");
    statement.bindText(1, key);
    if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(value)>>) {
        statement.bind(2, std::int64_t{value});
    } else {
        statement.bindText(2, value);
    }
    statement.run();
}

/// Takes the file for this process: makes it a session where it is empty, and closes what a dead writer left open.
void claim(Database& database, const std::filesystem::path& file, const ProcessIdentity& self) {
    Transaction transaction(database, "BEGIN IMMEDIATE");
    if (database.queryInteger("SELECT count(*) FROM sqlite_schema") == 0) {
        database.execute(kSchemaSql);
        database.execute(
            fmt::format("PRAGMA application_id={}; PRAGMA user_version={}", kApplicationId, kFormatVersion).c_str());
    } else {
        checkFormat(database, file);
        const ProcessIdentity previous = recordedWriter(database);
        refuseSecondWriter(previous, file);
        if (previous.pid != 0) checkStructure(database);
        // Nobody else writes, so whoever began these runs is gone.
        database.execute("UPDATE run SET state='crashed' WHERE state='running'");
        // What is written from now on needs it.
        upgradeFormat(database);
    }
    // There in every session, so that a question about ranges is answered where there are none, too.
    database.execute(kRangeNameSql);
    setMeta(database, "writer_pid", self.pid);
    setMeta(database, "writer_start_ticks", self.startTicks);
    setMeta(database, "writer_boot_id", self.bootId);
    transaction.commit();
}

Database openForWriting(const std::filesystem::path& file, const ProcessIdentity& self) {
    checkPlace(file);
    try {
        Database database(file, OpenMode::Create);
        const bool empty = database.queryInteger("SELECT count(*) FROM sqlite_schema") == 0 &&
                           database.queryInteger("PRAGMA application_id") == 0;
        if (!empty) {
            checkFormat(database, file);
            refuseSecondWriter(recordedWriter(database), file);
        }
        // Chunks of ten to a hundred kilobytes are read and written fastest with pages of this size.
        if (empty) database.execute("PRAGMA page_size=8192");
        database.execute("PRAGMA journal_mode=WAL");
        database.execute("PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0");
        claim(database, file, self);
        return database;
    } catch (const SqliteError& error) { throwWriteError(error, file); }
}

std::string insertSql(const char* verb, const char* table, const RowNames& names) {
    return fmt::format("{} INTO {}(run_id, {}) VALUES(?, {})", verb, table, names.names, names.marks);
}

RowNames tokenNames() {
    RowNames names = rowNames<TokenRecord>();
    names.add("bytes");
    names.add("text");
    return names;
}

/// The statements that run again and again.
struct Statements {
    explicit Statements(sqlite3* db)
        : chunk(db,
                "INSERT INTO chunk(run_id, kind, count, start_ns, end_ns, first_token, last_token, encoding, data) "
                "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)"),
          token(db, insertSql("INSERT OR REPLACE", "token", tokenNames())),
          lane(db, insertSql("INSERT OR REPLACE", "lane", rowNames<LaneInfo>())),
          request(db, insertSql("INSERT OR REPLACE", "request", rowNames<RequestRecord>())),
          diagnostic(db, insertSql("INSERT", "diagnostic", rowNames<DiagnosticRecord>())) {}
    Statement chunk, token, lane, request, diagnostic;
};

template <class Strong>
void bindOptional(Statement& statement, int index, const std::optional<Strong>& value) {
    if (!value) return statement.bindNull(index);
    if constexpr (requires { value->count(); }) {
        statement.bind(index, value->count());
    } else {
        statement.bind(index, std::int64_t{value->value()});
    }
}

}  // namespace

struct SessionWriter::Impl {
    explicit Impl(const std::filesystem::path& path)
        : file(std::filesystem::absolute(path)), self(currentProcess()), database(openForWriting(file, self)) {
        guarded([&] {
            statements.emplace(database->handle());
            checkpointer.emplace(file);
            sqlite3_wal_hook(
                database->handle(),
                [](void* hook, sqlite3*, const char*, int pages) {
                    static_cast<Checkpointer*>(hook)->walHas(pages);
                    return SQLITE_OK;
                },
                &*checkpointer);
        });
    }

    /// Runs `work` unless something failed before: what follows a failure would be a session with a hole in it.
    template <class Work>
    void guarded(Work work) {
        if (failure) std::rethrow_exception(failure);
        if (!database) throw std::logic_error("the session writer is closed");
        try {
            try {
                work();
            } catch (const SqliteError& error) { throwWriteError(error, file); }
        } catch (const Error&) {
            failure = std::current_exception();
            giveUp();
            throw;
        }
    }

    /// After a failure: says in the file that the run failed and that nobody writes any more. On a full disk there
    /// often is room for that, what the lost transaction had written; otherwise readers find out by the writer's
    /// process.
    void giveUp() {
        sqlite3_exec(database->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
        inTransaction = false;
        try {
            Transaction transaction(*database, "BEGIN IMMEDIATE");
            if (run) setState(RunState::Failed);
            forgetWriter();
            transaction.commit();
        } catch (const SqliteError&) {}
    }

    void forgetWriter() { database->execute("DELETE FROM meta WHERE key LIKE 'writer%'"); }

    void begin() {
        if (inTransaction) return;
        database->execute("BEGIN IMMEDIATE");
        inTransaction = true;
    }

    /// A block at a time, so that what is summed up is still in the processor's cache when it is packed.
    template <class Record>
    void appendColumnar(std::span<const Record> records) {
        guarded([&] {
            requireRun();
            ChunkEncoder<Record>& chunk = std::get<ChunkEncoder<Record>>(pending);
            while (!records.empty()) {
                const auto block = records.first(std::min(records.size(), kBlockValues - chunk.count() % kBlockValues));
                summarize(block);
                chunk.add(block);
                if (chunk.count() == kChunkRecords) flush<Record>();
                records = records.subspan(block.size());
            }
        });
    }

    template <class Record>
    void appendRow(Statement Statements::*which, const Record& record) {
        guarded([&] {
            requireRun();
            begin();
            Statement& statement = (*statements).*which;
            statement.bind(1, run->value());
            visitFields(RowBinder{statement, 2}, record);
            statement.run();
        });
    }

    template <class Record>
    void summarize(std::span<const Record> records) {
        if constexpr (std::is_same_v<Record, SpanRecord>) {
            for (const SpanRecord& span : records)
                spanSummary.add(span.lane, span.kind, span.start.count(), span.end.count());
        } else if constexpr (std::is_same_v<Record, SelectionRecord>) {
            for (std::size_t i = 0; i < records.size();) {  // those of a token and layer follow one another
                const SelectionRecord& first = records[i];
                SelectionBucket sum;
                for (; i < records.size() && records[i].token == first.token && records[i].layer == first.layer; ++i)
                    sum.merge(bucketOf(records[i].firstUse, records[i].outcome));
                selectionSummary.add(first.layer, first.token.value(), sum);
            }
        }
    }

    template <class Record>
    void flush() {
        ChunkEncoder<Record>& waiting = std::get<ChunkEncoder<Record>>(pending);
        if (waiting.count() == 0) return;
        begin();
        const EncodedChunk chunk = waiting.take();
        Statement& statement = statements->chunk;
        statement.bind(1, run->value());
        statement.bindText(2, chunkKind<Record>());
        statement.bind(3, chunk.count);
        bindOptional(statement, 4, chunk.range.start);
        bindOptional(statement, 5, chunk.range.end);
        bindOptional(statement, 6, chunk.range.firstToken);
        bindOptional(statement, 7, chunk.range.lastToken);
        statement.bind(8, kEncodingBlocks);
        statement.bindBlob(9, chunk.bytes, Statement::Bound::InPlace);
        statement.run();
    }

    void flushAll() {
        flush<SpanRecord>();
        flush<RangeRecord>();
        flush<SelectionRecord>();
        flush<PredictionRecord>();
        flush<ResidencyRecord>();
        flush<TransferRecord>();
    }

    void commit() {
        flushAll();
        if (!inTransaction) return;
        database->execute("COMMIT");
        inTransaction = false;
    }

    void requireRun() const {
        if (!run) throw std::logic_error("a record was appended outside a run");
    }

    void setState(RunState state) {
        Statement statement(database->handle(), "UPDATE run SET state=? WHERE run_id=?");
        statement.bindText(1, name(state));
        statement.bind(2, run->value());
        statement.run();
    }

    std::filesystem::path file;
    ProcessIdentity self;
    std::optional<Database> database;
    std::optional<Statements> statements;
    std::optional<Checkpointer> checkpointer;
    std::optional<Statement> rangeName;  ///< prepared with the first name, which makes the table
    std::optional<RunId> run;
    bool inTransaction = false;
    std::exception_ptr failure;
    SpanSummary spanSummary;            ///< of the run
    SelectionSummary selectionSummary;  ///< likewise
    std::tuple<ChunkEncoder<SpanRecord>, ChunkEncoder<RangeRecord>, ChunkEncoder<SelectionRecord>,
               ChunkEncoder<PredictionRecord>, ChunkEncoder<ResidencyRecord>, ChunkEncoder<TransferRecord>>
        pending;
};

SessionWriter::SessionWriter(const std::filesystem::path& file) : m_impl(std::make_unique<Impl>(file)) {}

SessionWriter::~SessionWriter() {
    try {
        close();
    } catch (const std::exception&) {
        // Whoever wants to know calls close(); what was committed is safe, and readers see a run that ended early.
    }
}

RunId SessionWriter::beginRun(const RunDescription& description) {
    Impl& impl = *m_impl;
    if (impl.run) throw std::logic_error("a run was begun before the previous one ended");
    impl.guarded([&] {
        impl.begin();
        const std::int64_t model = findOrAddModel(*impl.database, description.model);
        RowNames names = rowNames<RunDescription>();
        for (const char* column : {"model_id", "state", "writer_pid", "writer_start_ticks", "writer_boot_id"}) {
            names.add(column);
        }
        Statement insert(impl.database->handle(),
                         fmt::format("INSERT INTO run({}) VALUES({})", names.names, names.marks));
        RowBinder bind{insert, 1};
        visitFields(bind, description);
        bind("", model);
        bind("", RunState::Running);
        bind("", impl.self.pid);
        bind("", impl.self.startTicks);
        bind("", impl.self.bootId);
        insert.run();
        impl.run = RunId(sqlite3_last_insert_rowid(impl.database->handle()));
        impl.spanSummary = {};
        impl.selectionSummary = {};
        addCosts(*impl.database, impl.run->value(), description.costs);
        impl.commit();
    });
    return *impl.run;
}

void SessionWriter::setModel(const ModelFacts& model) {
    Impl& impl = *m_impl;
    impl.guarded([&] {
        impl.requireRun();
        impl.begin();
        Statement update(impl.database->handle(), "UPDATE run SET model_id=? WHERE run_id=?");
        update.bind(1, findOrAddModel(*impl.database, model));
        update.bind(2, impl.run->value());
        update.run();
        impl.database->execute("DELETE FROM model WHERE model_id NOT IN (SELECT model_id FROM run)");
    });
}

void SessionWriter::append(std::span<const SpanRecord> records) {
    const auto isRange = [](const SpanRecord& record) { return record.kind == SpanKind::Range; };
    while (!records.empty()) {
        const auto end = std::ranges::find_if(
            records, [&, first = isRange(records[0])](const SpanRecord& record) { return isRange(record) != first; });
        const auto same = records.first(static_cast<std::size_t>(end - records.begin()));
        if (isRange(records[0])) {
            std::vector<RangeRecord> ranges;
            for (const SpanRecord& range : same) {
                ranges.push_back({range});
            }
            m_impl->appendColumnar(std::span<const RangeRecord>(ranges));
        } else {
            m_impl->appendColumnar(same);
        }
        records = records.subspan(same.size());
    }
}
void SessionWriter::append(std::span<const SelectionRecord> records) { m_impl->appendColumnar(records); }
void SessionWriter::append(std::span<const PredictionRecord> records) { m_impl->appendColumnar(records); }
void SessionWriter::append(std::span<const ResidencyRecord> records) { m_impl->appendColumnar(records); }
void SessionWriter::append(std::span<const TransferRecord> records) { m_impl->appendColumnar(records); }

void SessionWriter::append(std::span<const TokenRecord> records) {
    m_impl->guarded([&] {
        m_impl->requireRun();
        if (!records.empty()) m_impl->begin();
        for (const TokenRecord& record : records) {
            Statement& statement = m_impl->statements->token;
            statement.bind(1, m_impl->run->value());
            RowBinder bind{statement, 2};
            visitFields(bind, record);
            statement.bindBlob(bind.index, record.bytes, Statement::Bound::InPlace);
            const std::string text = replaceInvalidUtf8(record.bytes);
            statement.bindText(bind.index + 1, text, Statement::Bound::InPlace);
            statement.run();
        }
    });
}

void SessionWriter::append(const LaneInfo& lane) { m_impl->appendRow(&Statements::lane, lane); }
void SessionWriter::append(const RangeName& range) {
    Impl& impl = *m_impl;
    impl.guarded([&] {
        impl.requireRun();
        impl.begin();
        if (!impl.rangeName) {
            impl.rangeName.emplace(impl.database->handle(),
                                   insertSql("INSERT OR REPLACE", "range_name", rowNames<RangeName>()));
        }
        impl.rangeName->bind(1, impl.run->value());
        RangeName valid = range;
        for (std::string* text : {&valid.domain, &valid.category, &valid.text}) {
            *text = replaceInvalidUtf8(*text);
        }
        visitFields(RowBinder{*impl.rangeName, 2}, valid);
        impl.rangeName->run();
    });
}
void SessionWriter::append(const RequestRecord& request) { m_impl->appendRow(&Statements::request, request); }
void SessionWriter::append(const DiagnosticRecord& record) { m_impl->appendRow(&Statements::diagnostic, record); }

void SessionWriter::commit() {
    m_impl->guarded([&] { m_impl->commit(); });
}

void SessionWriter::endRun(const RunSummary& summary, RunState state) {
    Impl& impl = *m_impl;
    impl.guarded([&] {
        impl.requireRun();
        impl.begin();
        Statement update(impl.database->handle(),
                         fmt::format("UPDATE run SET {} WHERE run_id=?", rowNames<RunSummary>().settings));
        RowBinder bind{update, 1};
        visitFields(bind, summary);
        bind("", *impl.run);
        update.run();
        impl.flushAll();
        writeSummaries(*impl.database, impl.run->value(), impl.spanSummary.take(), impl.selectionSummary.take());
        impl.setState(state);
        impl.commit();
    });
    impl.run.reset();
}

void SessionWriter::close() {
    Impl& impl = *m_impl;
    if (!impl.database) return;
    struct Release {
        Impl& impl;
        ~Release() {
            sqlite3_wal_hook(impl.database->handle(), nullptr, nullptr);
            impl.checkpointer.reset();
            impl.statements.reset();
            impl.rangeName.reset();
            impl.database.reset();
        }
    } release{impl};
    impl.guarded([&] {
        impl.begin();
        if (impl.run) impl.setState(RunState::Failed);
        impl.forgetWriter();
        impl.commit();
        impl.checkpointer.reset();
        // A reader that looks at the WAL at this moment keeps it from being truncated; whoever closes last removes it.
        sqlite3_busy_timeout(impl.database->handle(), kCloseTimeoutMs);
        const int code =
            sqlite3_wal_checkpoint_v2(impl.database->handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
        if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY && (code & 0xff) != SQLITE_LOCKED) {
            throw SqliteError(impl.database->handle());
        }
    });
}

}  // namespace expertscope
