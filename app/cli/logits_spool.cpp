// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/logits_spool.h"

#include "engine/base/error.h"

namespace expertscope {

LogitsSpool::LogitsSpool(std::int64_t columns) : m_file(std::tmpfile()), m_columns(columns) {
    if (!m_file)
        throw FailedError(
            "A temporary file for logits cannot be made: check the room in the folder for temporary files.");
}

void LogitsSpool::append(std::span<const float> values) {
    std::fseek(m_file.get(), 0, SEEK_END);
    if (std::fwrite(values.data(), sizeof(float), values.size(), m_file.get()) != values.size()) {
        throw FailedError("The temporary file for logits cannot grow: make room in the folder for temporary files.");
    }
    m_rows += static_cast<std::int64_t>(values.size()) / m_columns;
}

void LogitsSpool::read(std::int64_t index, std::span<float> out) {
    std::fseek(m_file.get(), static_cast<long>(index * m_columns * static_cast<std::int64_t>(sizeof(float))), SEEK_SET);
    if (std::fread(out.data(), sizeof(float), out.size(), m_file.get()) != out.size()) {
        throw FailedError(
            "The temporary file for logits cannot be read back: check the disk of the folder for temporary files.");
    }
}

}  // namespace expertscope
