// SPDX-License-Identifier: GPL-3.0-or-later
// The questions of docs/FORMAT.md have the answers that the page gives: from the program's own SQL, from the stock
// sqlite3 shell and from Python, both with the loadable extension.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/sql.h"
#include "tests/storage/sample_records.h"
#include "tests/storage/stored_sessions.h"

namespace expertscope {
namespace {

struct Question {
    std::string query;
    std::string answer;  ///< as the sqlite3 shell prints it: columns, then rows, cells separated by " | "
};

/// Every block of SQL that is followed by a block of output.
std::vector<Question> questions() {
    std::ifstream page(EXPERTSCOPE_FORMAT_PAGE);
    std::vector<Question> found;
    enum { Text, Query, Between, Answer } state = Text;
    for (std::string line; std::getline(page, line);) {
        if (state == Text && line == "```sql") {
            found.emplace_back();
            state = Query;
        } else if (state == Query) {
            line == "```" ? void(state = Between) : void(found.back().query += line + "\n");
        } else if (state == Between && line == "```") {
            state = Answer;
        } else if (state == Answer) {
            line == "```" ? void(state = Text) : void(found.back().answer += line + "\n");
        }
    }
    return found;
}

std::string cell(const SqlValue& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
    // SQLite's shell ends whole numbers that are reals in ".0".
    if (const auto* real = std::get_if<double>(&value)) {
        const std::string text = fmt::format("{}", *real);
        return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
    }
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    return {};
}

std::string answerOf(const std::filesystem::path& file, const std::string& query) {
    const SqlResult result = runSql(file, query);
    std::string answer;
    const auto line = [&](const std::vector<std::string>& cells) {
        answer += fmt::format("{}\n", fmt::join(cells, " | "));
    };
    if (result.rows.empty()) return answer;
    line(result.columns);
    for (const std::vector<SqlValue>& row : result.rows) {
        std::vector<std::string> cells;
        for (const SqlValue& value : row)
            cells.push_back(cell(value));
        line(cells);
    }
    return answer;
}

/// What a shell command prints, and whether it ended well.
std::pair<std::string, bool> outputOf(const std::string& command) {
    std::string output;
    FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) return {"no pipe", false};
    char part[4096];
    for (std::size_t size = 0; (size = fread(part, 1, sizeof part, pipe)) > 0;)
        output.append(part, size);
    return {output, pclose(pipe) == 0};
}

/// A shell's word; no text here has an apostrophe that the shell would take apart.
std::string shellWord(const std::string& word) {
    std::string out = "'";
    for (const char c : word)
        out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

class FormatPage : public testing::Test {
protected:
    TemporaryFolder folder;
    std::filesystem::path file = storedSession(2, folder.path());
    std::string extension = EXPERTSCOPE_SQLITE_EXTENSION_FILE;
};

TEST_F(FormatPage, GivesTheAnswersThatItsQuestionsHave) {
    const std::vector<Question> asked = questions();
    ASSERT_GE(asked.size(), 10U) << EXPERTSCOPE_FORMAT_PAGE;
    EXPECT_GE(std::ranges::count_if(asked, [](const Question& question) { return !question.answer.empty(); }), 9);
    for (const Question& question : asked)
        EXPECT_EQ(answerOf(file, question.query), question.answer) << question.query;
}

TEST_F(FormatPage, IsAnsweredByTheStockShellWithTheExtension) {
    const auto [probe, works] = outputOf("sqlite3 :memory: " + shellWord(".load " + extension));
    if (!works || !probe.empty()) GTEST_SKIP() << "no sqlite3 shell that loads extensions: " << probe;
    for (const Question& question : questions()) {
        const auto [answer, ended] =
            outputOf("sqlite3 -header -separator ' | ' -cmd " + shellWord(".load " + extension) + " " +
                     shellWord(file.string()) + " " + shellWord(question.query));
        EXPECT_TRUE(ended);
        EXPECT_EQ(answer, question.answer) << question.query;
    }
}

TEST_F(FormatPage, IsAnsweredByPythonWithTheExtension) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer's library cannot be loaded into a Python without it";
#endif
    const char* const program =
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1])\n"
        "db.enable_load_extension(True)\n"
        "db.load_extension(sys.argv[2])\n"
        "cursor = db.execute(sys.argv[3])\n"
        "rows = cursor.fetchall()\n"
        "if rows: print(' | '.join(column[0] for column in cursor.description))\n"
        "for row in rows: print(' | '.join('' if value is None else str(value) for value in row))\n";
    // A Python may be built without extensions; the system's own usually is not.
    std::string python;
    for (const char* candidate : {"/usr/bin/python3", "python3"}) {
        if (python.empty() &&
            outputOf(std::string(candidate) + " -c 'import sqlite3; sqlite3.Connection.enable_load_extension'").second)
            python = candidate;
    }
    if (python.empty()) GTEST_SKIP() << "no python3 whose sqlite3 module loads extensions";
    for (const Question& question : questions()) {
        const auto [answer, ended] =
            outputOf(fmt::format("{} -c {} {} {} {}", python, shellWord(program), shellWord(file.string()),
                                 shellWord(extension), shellWord(question.query)));
        EXPECT_TRUE(ended);
        EXPECT_EQ(answer, question.answer) << question.query;
    }
}

TEST_F(FormatPage, SaysThatADatabaseWithoutChunksHasNoRecords) {
    const auto [probe, works] = outputOf("sqlite3 :memory: " + shellWord(".load " + extension));
    if (!works || !probe.empty()) GTEST_SKIP() << "no sqlite3 shell that loads extensions: " << probe;
    const auto [answer, ended] =
        outputOf("sqlite3 -cmd " + shellWord(".load " + extension) + " :memory: 'SELECT count(*) FROM span'");
    EXPECT_FALSE(ended);
    EXPECT_THAT(answer, testing::HasSubstr("not an ExpertScope session"));
}

}  // namespace
}  // namespace expertscope
