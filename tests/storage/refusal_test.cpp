// SPDX-License-Identifier: GPL-3.0-or-later
// Files and places that are no good: a sentence each, and never a crash.
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "storage/schema.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "storage/sql.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

using testing::HasSubstr;

void writeSession(const std::filesystem::path& file, std::size_t records = 200) {
    SessionWriter writer(file);
    writer.beginRun(sampleDescription());
    const RecordBatch batch = sampleRecords(records);
    writer.append(batch.spans);
    writer.append(batch.selections);
    writer.append(batch.tokens);
    writer.append(sampleRequest(0));
    writer.endRun(sampleSummary(), RunState::Complete);
    writer.close();
}

void writeBytes(const std::filesystem::path& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
}

std::string readBytes(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Opens and reads all of a file that may be damaged. Returns the refusal's sentence; empty if all could be read.
std::string readEverything(const std::filesystem::path& file) {
    try {
        const SessionReader reader(file);
        for (const RunEntry& run : reader.runs()) {
            reader.requests(run.id);
            reader.lanes(run.id);
            reader.diagnostics(run.id);
            ReadCursor cursor;
            while (!reader.readNew(run.id, cursor, 2).empty()) {}
        }
        for (const char* table : {"run", "token", "selection", "span", "norm", "transfer"}) {
            runSql(file, std::string("SELECT * FROM ") + table);
        }
        return {};
    } catch (const BadInputError& error) { return error.what(); }
}

std::string refusalOfWriter(const std::filesystem::path& file) {
    try {
        SessionWriter writer(file);
        return {};
    } catch (const Error& error) { return error.what(); }
}

TEST(NotASession, IsRefusedByReaderAndWriterAndStaysAsItWas) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "x.esdb";
    EXPECT_THAT(readEverything(file), HasSubstr("no session file"));
    EXPECT_THAT(readEverything(folder.path()), HasSubstr("is a folder"));
    writeBytes(file, "");
    EXPECT_THAT(readEverything(file), HasSubstr("not an ExpertScope session"));
    for (const std::string& bytes : {std::string("hello"), std::string(20'000, 'x'),
                                     std::string("SQLite format 3\0", 16), std::string(9000, '\0')}) {
        writeBytes(file, bytes);
        EXPECT_THAT(readEverything(file), HasSubstr("x.esdb")) << bytes.size();
        EXPECT_THAT(refusalOfWriter(file), HasSubstr("x.esdb")) << bytes.size();
        EXPECT_EQ(readBytes(file), bytes);
    }
}

TEST(NotASession, IncludesOtherProgramsDatabases) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "other.db";
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, "CREATE TABLE run(x)", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
    const std::string before = readBytes(file);
    EXPECT_THAT(readEverything(file), HasSubstr("not an ExpertScope session"));
    EXPECT_THAT(refusalOfWriter(file), HasSubstr("not an ExpertScope session"));
    EXPECT_EQ(readBytes(file), before);
}

TEST(NewerFormat, IsRefusedWithBothVersions) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    writeSession(file);
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, "PRAGMA user_version=41", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
    for (const std::string& sentence : {readEverything(file), refusalOfWriter(file)}) {
        EXPECT_THAT(sentence, HasSubstr("format version 41"));
        EXPECT_THAT(sentence, HasSubstr("up to " + std::to_string(kFormatVersion)));
        EXPECT_THAT(sentence, HasSubstr("update ExpertScope"));
    }
}

TEST(DamagedFile, IsRefusedWhereverItIsCutOff) {
    const TemporaryFolder folder;
    writeSession(folder / "s.esdb");
    const std::string whole = readBytes(folder / "s.esdb");
    ASSERT_GT(whole.size(), 50'000u);
    std::vector<std::size_t> lengths{1, 15, 16, 99, 100, 511, 512, 1000, 4096, whole.size() - 1, whole.size() - 8192};
    for (std::size_t at = 5000; at < whole.size(); at += 7919) {
        lengths.push_back(at);
    }
    for (const std::size_t length : lengths) {
        writeBytes(folder / "cut.esdb", whole.substr(0, length));
        EXPECT_NE(readEverything(folder / "cut.esdb"), "") << length << " of " << whole.size() << " bytes";
    }
}

TEST(DamagedFile, NeverBringsTheProgramDown) {
    const TemporaryFolder folder;
    writeSession(folder / "s.esdb");
    const std::string whole = readBytes(folder / "s.esdb");
    std::mt19937 random(7);
    int refused = 0;
    for (int round = 0; round < 150; ++round) {
        std::string bytes = whole;
        const int flips = round % 3 == 0 ? 1 : 60;
        for (int i = 0; i < flips; ++i) {
            bytes[random() % bytes.size()] ^= static_cast<char>(1u << (random() % 8));
        }
        writeBytes(folder / "flipped.esdb", bytes);
        refused += readEverything(folder / "flipped.esdb").empty() ? 0 : 1;
        refusalOfWriter(folder / "flipped.esdb");
        std::error_code ignored;
        std::filesystem::remove(folder / "flipped.esdb-wal", ignored);
        std::filesystem::remove(folder / "flipped.esdb-shm", ignored);
    }
    EXPECT_GT(refused, 20);
}

/// Gives up root's power over permissions for its lifetime.
class WithoutRoot {
public:
    WithoutRoot() : m_wasRoot(geteuid() == 0) {
        if (m_wasRoot && seteuid(65534) != 0) throw std::runtime_error("cannot become another user");
    }
    ~WithoutRoot() {
        if (m_wasRoot && seteuid(0) != 0) std::abort();
    }
    WithoutRoot(const WithoutRoot&) = delete;
    WithoutRoot& operator=(const WithoutRoot&) = delete;

private:
    bool m_wasRoot;
};

TEST(ReadOnlyFolder, CanBeReadAndTellsTheWriterSo) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    writeSession(file);
    chmod(file.c_str(), 0444);
    chmod(folder.path().c_str(), 0555);
    {
        const WithoutRoot user;
        EXPECT_EQ(readEverything(file), "");
        EXPECT_THAT(refusalOfWriter(file), HasSubstr("read-only"));
        EXPECT_THAT(refusalOfWriter(folder / "new.esdb"), HasSubstr("read-only"));
    }
    chmod(folder.path().c_str(), 0755);
}

TEST(ReadOnlyFile, CanBeReadInAWritableFolder) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    writeSession(file);
    chmod(file.c_str(), 0444);
    chmod(folder.path().c_str(), 0777);
    const WithoutRoot user;
    EXPECT_EQ(readEverything(file), "");
}

TEST(MissingFolder, IsNamed) {
    const TemporaryFolder folder;
    EXPECT_THAT(refusalOfWriter(folder / "no/such/s.esdb"), HasSubstr("no/such' does not exist"));
    EXPECT_THAT(refusalOfWriter(folder.path()), HasSubstr("is a folder"));
}

/// Writes until the file may not grow any more; the exit status says how that ended.
int writeUntilFull(const std::filesystem::path& file) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
        SessionWriter writer(file);
        writer.beginRun(sampleDescription());
        for (int i = 0; i < 1000; ++i) {
            writer.append(sampleRecords(1000, static_cast<std::uint32_t>(i)).spans);
            writer.commit();
        }
        return 1;
    } catch (const FailedError& error) {
        return std::string(error.what()).find("disk is full") != std::string::npos ? 0 : 2;
    } catch (...) { return 3; }
}

TEST(FullDisk, IsASentenceAndKeepsWhatWasCommitted) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    const pid_t child = fork();
    if (child == 0) _exit(writeUntilFull(file));
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    const SessionReader reader(file);
    EXPECT_THAT(reader.run(RunId(1)).state, testing::AnyOf(RunState::Failed, RunState::Crashed));
    ReadCursor cursor;
    std::vector<std::string> spans, expected;
    for (RecordBatch batch; !(batch = reader.readNew(RunId(1), cursor)).empty();) {
        for (const std::string& span : texts(batch.spans)) {
            spans.push_back(span);
        }
    }
    ASSERT_GT(spans.size(), 1000u);
    ASSERT_EQ(spans.size() % 1000, 0u);
    for (std::uint32_t i = 0; i < spans.size() / 1000; ++i) {
        for (const std::string& span : texts(sampleRecords(1000, i).spans)) {
            expected.push_back(span);
        }
    }
    EXPECT_EQ(spans, expected);
}

}  // namespace
}  // namespace expertscope
