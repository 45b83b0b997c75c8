// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/output.h"

#include <algorithm>
#include <cmath>
#include <iostream>

#include <fmt/format.h>
#include <utf8proc.h>

namespace expertscope {
namespace {

/// Columns that a terminal needs for UTF-8 text.
std::size_t displayWidth(const std::string& text) {
    std::size_t width = 0;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
    for (utf8proc_ssize_t at = 0, size = static_cast<utf8proc_ssize_t>(text.size()); at < size;) {
        utf8proc_int32_t codepoint = 0;
        const utf8proc_ssize_t length = utf8proc_iterate(bytes + at, size - at, &codepoint);
        at += std::max<utf8proc_ssize_t>(length, 1);
        width += length > 0 ? static_cast<std::size_t>(std::max(utf8proc_charwidth(codepoint), 0)) : 1;
    }
    return width;
}

bool looksNumeric(const std::string& cell) {
    return cell.empty() || cell.find_first_not_of("0123456789.,+-% eE") == std::string::npos;
}

}  // namespace

void printJson(const Json& object) {
    std::cout << object.dump(2, ' ', false, Json::error_handler_t::replace) << std::endl;
}

Json finiteOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::string printable(std::string_view text) {
    std::string out;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
    for (utf8proc_ssize_t at = 0, size = static_cast<utf8proc_ssize_t>(text.size()); at < size;) {
        utf8proc_int32_t codepoint = 0;
        const utf8proc_ssize_t length = utf8proc_iterate(bytes + at, size - at, &codepoint);
        if (length < 1 || codepoint < 0x20 || codepoint == 0x7F) {
            const char byte = text[static_cast<std::size_t>(at)];
            if (byte == '\n') {
                out += "\\n";
            } else if (byte == '\t') {
                out += "\\t";
            } else {
                out += fmt::format("\\x{:02X}", static_cast<unsigned char>(byte));
            }
            ++at;
            continue;
        }
        out.append(text.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(length)));
        at += length;
    }
    return out;
}

std::string formatTable(const std::vector<std::vector<std::string>>& rows) {
    std::size_t columns = 0;
    for (const auto& row : rows)
        columns = std::max(columns, row.size());
    std::vector<std::size_t> width(columns, 0);
    std::vector<bool> numeric(columns, rows.size() > 1);
    for (std::size_t r = 0; r < rows.size(); ++r) {
        for (std::size_t c = 0; c < rows[r].size(); ++c) {
            width[c] = std::max(width[c], displayWidth(rows[r][c]));
            if (r > 0 && !looksNumeric(rows[r][c])) numeric[c] = false;
        }
    }
    std::string out;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t c = 0; c < row.size(); ++c) {
            const std::string padding(width[c] - displayWidth(row[c]), ' ');
            if (c > 0) line += "  ";
            line += numeric[c] ? padding + row[c] : row[c] + padding;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out;
}

}  // namespace expertscope
