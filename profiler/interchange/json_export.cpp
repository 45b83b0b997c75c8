// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/json_export.h"

#include <cmath>
#include <iterator>
#include <variant>

#include <fmt/format.h>

#include "profiler/interchange/csv_export.h"
#include "profiler/interchange/output_file.h"
#include "storage/session_reader.h"
#include "storage/sql.h"

namespace expertscope {
namespace {

struct AppendJson {
    std::string& text;

    void operator()(std::monostate) const { text += "null"; }
    void operator()(std::int64_t value) const { fmt::format_to(std::back_inserter(text), "{}", value); }
    /// The shortest digits that give the same double back.
    void operator()(double value) const {
        if (std::isfinite(value))
            fmt::format_to(std::back_inserter(text), "{}", value);
        else
            text += "null";
    }
    void operator()(const std::string& value) const { text += jsonString(value); }
    void operator()(const SqlBlob& value) const {
        text += '"';
        for (const char c : value.bytes)
            fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(c));
        text += '"';
    }
};

void writeTable(OutputFile& file, const std::filesystem::path& session, const std::string& table,
                std::optional<RunId> run) {
    SqlQuery rows(session, "SELECT * FROM " + table + (run ? fmt::format(" WHERE run_id={}", run->value()) : ""));
    std::string text = jsonString(table) + ": {\"columns\": [";
    const std::size_t columns = rows.columns().size();
    for (std::size_t i = 0; i < columns; ++i)
        text += (i > 0 ? ", " : "") + jsonString(rows.columns()[i]);
    text += "], \"rows\": [";
    for (bool first = true; rows.next(); first = false) {
        text += first ? "\n[" : ",\n[";
        for (std::size_t i = 0; i < columns; ++i) {
            if (i > 0) text += ',';
            std::visit(AppendJson{text}, rows.value(i));
        }
        text += ']';
        file.write(text);
        text.clear();
    }
    file.write(text + "]}");
}

}  // namespace

std::vector<std::filesystem::path> exportJson(const std::filesystem::path& session, std::optional<RunId> run,
                                              const std::filesystem::path& out) {
    const SessionReader reader(session);
    if (run) reader.run(*run);  // says which runs there are where this one is not
    OutputFile file(out);
    file.write("{\"format\": \"expertscope-session\", \"version\": 1, \"tables\": {\n");
    bool first = true;
    for (const std::string_view table : exportedTables()) {
        if (!first) file.write(",\n");
        first = false;
        writeTable(file, session, std::string(table), run);
    }
    file.write("\n}}\n");
    file.close();
    return {out};
}

}  // namespace expertscope
