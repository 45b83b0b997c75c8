// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/csv_export.h"

#include <fstream>
#include <string>
#include <string_view>
#include <variant>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "storage/session_reader.h"
#include "storage/sql.h"

namespace expertscope {
namespace {

constexpr std::string_view kTables[] = {"run",      "request",   "token", "selection",  "span",
                                        "transfer", "residency", "norm",  "prediction", "diagnostic"};

/// Appends one field to the line; quoted where RFC 4180 asks for it.
struct AppendField {
    std::string& line;

    void operator()(std::monostate) const {}
    void operator()(std::int64_t value) const { fmt::format_to(std::back_inserter(line), "{}", value); }
    /// The shortest digits that give the same double back.
    void operator()(double value) const { fmt::format_to(std::back_inserter(line), "{}", value); }
    void operator()(const std::string& value) const {
        if (value.find_first_of(",\"\r\n") == std::string::npos) {
            line += value;
            return;
        }
        line += '"';
        for (const char c : value) {
            if (c == '"') line += '"';
            line += c;
        }
        line += '"';
    }
    void operator()(const SqlBlob& value) const {
        for (const char c : value.bytes) {
            fmt::format_to(std::back_inserter(line), "{:02x}", static_cast<unsigned char>(c));
        }
    }
};

[[noreturn]] void throwUnwritable(const std::filesystem::path& file, const std::string& detail) {
    throw FailedError(
        fmt::format("The CSV file '{}' cannot be written; check that its folder exists, may be written and "
                    "has room.",
                    file.string()),
        detail);
}

void writeTable(const std::filesystem::path& session, const std::string& table, std::optional<RunId> run,
                const std::filesystem::path& file) {
    SqlQuery rows(session, "SELECT * FROM " + table + (run ? fmt::format(" WHERE run_id={}", run->value()) : ""));
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    if (!out) throwUnwritable(file, "it cannot be opened");
    std::string line;
    const auto endLine = [&] {
        line += "\r\n";
        out << line;
        line.clear();
    };
    const std::size_t columns = rows.columns().size();
    for (std::size_t i = 0; i < columns; ++i) {
        if (i > 0) line += ',';
        AppendField{line}(rows.columns()[i]);
    }
    endLine();
    while (rows.next()) {
        for (std::size_t i = 0; i < columns; ++i) {
            if (i > 0) line += ',';
            std::visit(AppendField{line}, rows.value(i));
        }
        endLine();
        if (!out) break;
    }
    out.close();
    if (!out) throwUnwritable(file, "writing to it failed");
}

}  // namespace

std::span<const std::string_view> exportedTables() { return kTables; }

std::vector<std::filesystem::path> exportCsv(const std::filesystem::path& session, std::optional<RunId> run,
                                             const std::filesystem::path& out) {
    const SessionReader reader(session);
    if (run) reader.run(*run);  // says which runs there are where this one is not
    if (out.extension() == ".csv") {
        writeTable(session, "selection", run, out);
        return {out};
    }
    std::error_code error;
    std::filesystem::create_directories(out, error);
    if (!std::filesystem::is_directory(out, error)) {
        throw FailedError(
            fmt::format("The folder '{}' for the CSV files cannot be made; choose another place.", out.string()),
            error.message());
    }
    std::vector<std::filesystem::path> files;
    for (const std::string_view table : kTables) {
        files.push_back(out / fmt::format("{}.csv", table));
        writeTable(session, std::string(table), run, files.back());
    }
    return files;
}

}  // namespace expertscope
