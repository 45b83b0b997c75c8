// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/interchange/imported_run.h"
#include "profiler/interchange/route_rows.h"

namespace expertscope {

/// Where a table of routing has its columns; −1: nowhere.
struct CsvColumns {
    int token = -1, layer = -1, expert = -1, weight = -1, slot = -1, request = -1, phase = -1, step = -1, outcome = -1,
        tokenId = -1;
    int count = 0;  ///< columns of a line
    bool header = false;
    char separator = ',';
    std::vector<std::string> ignored;  ///< names that mean nothing here
};

/// Finds the columns of a table by its first line that is no comment; nothing where they are no table of routing.
std::optional<CsvColumns> findCsvColumns(std::string_view line);

/// Reads a table of routing row by row in the order of the file.
class CsvRouteReader {
public:
    /// Throws BadInputError where the file cannot be read or its first line names no token, layer and expert.
    explicit CsvRouteReader(const std::filesystem::path& file);

    const CsvColumns& columns() const { return m_columns; }
    /// The next row with `step` and `turn` as the file has them; false after the last. Without a column for requests a
    /// new one begins where tokens start again in the same layer or below.
    bool next(RouteRow& row);
    [[noreturn]] void refuse(std::int64_t line, const std::string& what) const;

private:
    bool nextLine();
    void split();
    std::int32_t integer(int column, const char* name, std::int32_t from = 0) const;
    float real(int column) const;
    void readWords(RouteRow& row) const;

    std::filesystem::path m_file;
    std::unique_ptr<std::istream> m_in;
    std::string m_text;
    std::vector<std::string_view> m_fields;
    std::int64_t m_line = 0;
    std::int32_t m_turn = 0, m_lastToken = -1, m_lastLayer = -1;
    bool m_pending = false;  ///< m_text is a row that has not been given
    CsvColumns m_columns;
};

/// What a whole table looks like, found by reading it once.
struct CsvLayout {
    bool streams = true;           ///< rows of a token (or step) lie together and in order
    std::vector<bool> manyTokens;  ///< [step] whether several tokens ran in it; empty without a column for steps
};

/// Tells `options.progress`. Throws BadInputError at the first faulty line.
CsvLayout surveyCsv(const std::filesystem::path& file, const ImportOptions& options = {});

/// The rows of a table, a forward step's together.
class CsvRouteRows : public RouteRowSource {
public:
    CsvRouteRows(const std::filesystem::path& file, const CsvLayout& layout);

    const ModelFacts& model() const override { return m_model; }
    bool next(RouteRow& row) override;
    [[noreturn]] void refuse(std::int64_t place, const std::string& what) const override;
    std::vector<std::string> notes() const override;

private:
    /// A row that waits to be sorted.
    struct Held {
        std::int32_t turn, step, token, tokenId;
        std::uint32_t line;
        float weight;
        std::uint16_t layer, expert;
        std::int16_t slot;
        std::int8_t residency, phase;
    };
    void hold();
    void place(RouteRow& row);

    CsvRouteReader m_reader;
    const CsvLayout* m_layout;
    ModelFacts m_model;
    std::vector<Held> m_held;
    std::size_t m_nextHeld = 0;
    std::int32_t m_turn = 0, m_lastFileTurn = 0;
    Phase m_lastPhase = Phase::Prefill;
    bool m_first = true;
};

}  // namespace expertscope
