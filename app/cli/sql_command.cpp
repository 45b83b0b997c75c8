// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/sql_command.h"

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "app/cli/output.h"
#include "storage/sql.h"

namespace expertscope {
namespace {

std::string hexOf(const SqlBlob& blob) {
    std::string hex;
    for (const char byte : blob.bytes)
        hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return hex;
}

/// A value as JSON has it; bytes as hexadecimal digits.
Json jsonOf(const SqlValue& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
    if (const auto* real = std::get_if<double>(&value)) return finiteOrNull(*real);
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* blob = std::get_if<SqlBlob>(&value)) return hexOf(*blob);
    return nullptr;
}

/// A value as a cell of one line of text: empty for NULL, line feeds and tabs escaped.
std::string textOf(const SqlValue& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
    if (const auto* real = std::get_if<double>(&value)) return fmt::format("{}", *real);
    if (const auto* text = std::get_if<std::string>(&value)) return printable(*text);
    if (const auto* blob = std::get_if<SqlBlob>(&value)) return hexOf(*blob);
    return {};
}

void printRowsJson(SqlQuery& query) {
    Json rows = Json::array();
    while (query.next()) {
        Json row = Json::array();
        for (std::size_t c = 0; c < query.columns().size(); ++c)
            row.push_back(jsonOf(query.value(c)));
        rows.push_back(std::move(row));
    }
    printJson({{"columns", query.columns()}, {"rows", std::move(rows)}});
}

/// Aligned columns for a person; for a pipe, tab-separated rows as they come, however many.
void printRowsText(SqlQuery& query) {
    const bool aligned = isatty(STDOUT_FILENO) != 0;
    std::vector<std::vector<std::string>> table{query.columns()};
    const auto put = [aligned, &table](std::vector<std::string> cells) {
        if (aligned) {
            table.push_back(std::move(cells));
            return;
        }
        std::string line;
        for (const std::string& cell : cells)
            line += (&cell == &cells.front() ? "" : "\t") + cell;
        std::cout << line << '\n';
    };
    if (!aligned) put(query.columns());
    while (query.next()) {
        std::vector<std::string> cells;
        for (std::size_t c = 0; c < query.columns().size(); ++c)
            cells.push_back(textOf(query.value(c)));
        put(std::move(cells));
    }
    if (aligned) std::cout << formatTable(table);
}

}  // namespace

void addSqlCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("sql", "SQL over a session");
    const auto session = std::make_shared<std::string>();
    const auto text = std::make_shared<std::string>();
    const auto json = std::make_shared<bool>(false);
    command->add_option("SESSION", *session, "A session file")->required();
    command->add_option("SELECT", *text, "The query, as one argument")->required();
    command->add_flag("--json", *json, "As one JSON object: columns and rows");
    command->footer(
        "Tables: run request token selection span range transfer residency norm prediction diagnostic, and those of "
        "docs/FORMAT.md.\n"
        "Times are nanoseconds on the session clock.");
    command->callback([session, text, json, &action] {
        action = [session, text, json] {
            SqlQuery query(*session, *text);
            *json ? printRowsJson(query) : printRowsText(query);
            return 0;
        };
    });
}

}  // namespace expertscope
