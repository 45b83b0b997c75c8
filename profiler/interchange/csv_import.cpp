// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/csv_import.h"

#include <memory>

#include "profiler/interchange/csv_route_rows.h"
#include "profiler/interchange/routing_import.h"

namespace expertscope {

bool isRouteCsv(const FileHead& head) {
    std::string_view text = head.bytes;
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        if (!line.empty() && line.front() != '#')
            return line.find('\0') == std::string_view::npos && findCsvColumns(line).has_value();
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return false;
}

ImportedRun importCsv(const std::filesystem::path& file, const std::filesystem::path& session,
                      const ImportOptions& options) {
    const CsvLayout layout = surveyCsv(file, options);
    return importRouting([&] { return std::make_unique<CsvRouteRows>(file, layout); }, session, options);
}

}  // namespace expertscope
