// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/interchange/route_rows.h"

namespace expertscope {

/// Reads a `route_trace v1` file (BigMoeOnEdge and tools after it) row by row, checking every field against the header.
/// Every fault is a BadInputError that names file and line.
class RouteTraceRows : public RouteRowSource {
public:
    /// Reads the header. Throws BadInputError when the file is missing or is no such trace.
    explicit RouteTraceRows(const std::filesystem::path& file);
    /// The same of any stream; `name` is for messages.
    RouteTraceRows(std::unique_ptr<std::istream> in, std::filesystem::path name);

    /// What the header says of the model; `hidden`, `vocabulary` and `context` are not known (0).
    const ModelFacts& model() const override { return m_model; }
    /// The next row; false after the last.
    bool next(RouteRow& row) override;
    /// Throws BadInputError: file, line, and `what` is wrong with it.
    [[noreturn]] void refuse(std::int64_t line, const std::string& what) const override;

private:
    bool nextLine(std::string& text);
    void readHeader();
    void readModel(std::string_view text);
    void readLayer(std::string_view text);
    void finishModel();
    std::int64_t number(std::string_view field, const char* name, std::int64_t from, std::int64_t to) const;
    float weight(std::string_view field) const;

    std::filesystem::path m_file;
    std::unique_ptr<std::istream> m_in;
    std::int64_t m_line = 0;
    ModelFacts m_model;
    bool m_hasDropped = false;
    std::vector<std::int64_t> m_layerBytes;  ///< −1 where the header has not named the layer
};

}  // namespace expertscope
