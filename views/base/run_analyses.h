// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

class EmptyState;
class JobControl;
class RunTrace;

/// The run that a view can count: one that has ended (one that grows would be another question at every token) and
/// holds choices of experts. Shows `empty` where there is none and tells why ("`what` are counted when it has ended"),
/// else hides it. `run` may be null.
std::optional<RunId> runToCount(EmptyState& empty, const RunTrace* run, const QString& what);

/// Reads a run's records from its file, a piece at a time, and tells the job how far it is between two of them.
void readRecords(const SessionReader& reader, const RunEntry& run, const JobControl& control,
                 const std::function<void(const RecordBatch&)>& use);

/// The analyses of one run's routing by their texts ("overlap:phase=decode"), as a view's worker thread asks for them:
/// taken from what the session keeps, else made, and kept for who asks next once the run has ended.
class RunAnalyses {
public:
    RunAnalyses(std::filesystem::path session, RunEntry run, std::shared_ptr<const RunRouting> routing);

    const RunEntry& run() const { return m_run; }
    const RunRouting& routing() const { return *m_routing; }
    /// Throws UsageError for a text that names no analysis or no parameters of it.
    AnalysisTable table(const std::string& text) const;

private:
    std::filesystem::path m_session;
    RunEntry m_run;
    std::shared_ptr<const RunRouting> m_routing;
};

/// Cells of an analysis' table by the names of its columns, which a program may ask for.
class AnalysisColumns {
public:
    explicit AnalysisColumns(const AnalysisTable& table) : m_table(table) {}

    std::size_t rows() const { return m_table.rows.size(); }
    /// NaN where the cell holds nothing.
    double real(std::size_t row, std::string_view column) const;
    /// 0 where the cell holds nothing.
    std::int64_t whole(std::size_t row, std::string_view column) const;
    /// A word, or a whole number written as one; empty where the cell holds neither.
    QString word(std::size_t row, std::string_view column) const;

private:
    const AnalysisCell& cell(std::size_t row, std::string_view column) const;
    const AnalysisTable& m_table;
};

}  // namespace expertscope
