// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>

#include "profiler/interchange/imported_run.h"

namespace expertscope {

/// Tells ImportOptions::progress that a stage begins, and from time to time how many rows were taken in it, at almost
/// no cost a row.
class ImportPulse {
public:
    /// `total`: how many there will be; 0: not known. `options` must outlive it.
    ImportPulse(const ImportOptions& options, ImportProgress::Stage stage, std::int64_t total = 0)
        : m_options(&options), m_stage(stage), m_total(total) {
        tell();
    }

    /// `rows` more were taken. Throws what the listener throws to end the import.
    void beat(std::int64_t rows = 1) {
        m_rows += rows;
        m_since += rows;
        if (m_since < kRowsBetweenLooks) return;
        m_since = 0;
        const auto now = std::chrono::steady_clock::now();
        if (now - m_told < kBetween) return;
        m_told = now;
        tell();
    }
    std::int64_t rows() const { return m_rows; }

private:
    static constexpr std::int64_t kRowsBetweenLooks = 1024;
    static constexpr std::chrono::milliseconds kBetween{50};

    void tell() const {
        if (!m_options->progress) return;
        const double share = m_total > 0 ? static_cast<double>(m_rows) / static_cast<double>(m_total) : -1;
        m_options->progress({m_stage, m_rows, share});
    }

    const ImportOptions* m_options;
    ImportProgress::Stage m_stage;
    std::int64_t m_total;
    std::int64_t m_rows = 0, m_since = 0;
    std::chrono::steady_clock::time_point m_told{};
};

}  // namespace expertscope
