// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Records with every field set to something of its own, and their text for comparison (bit exact, NaN equal to NaN).

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/base/run_facts.h"
#include "storage/session_reader.h"

namespace expertscope {

/// A fresh folder that goes with its owner.
class TemporaryFolder {
public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const { return m_path; }
    std::filesystem::path operator/(const char* name) const { return m_path / name; }

private:
    std::filesystem::path m_path;
};

RunDescription sampleDescription(int seed = 1);
RunSummary sampleSummary(int seed = 1);
RequestRecord sampleRequest(int index);
LaneInfo sampleLane(int index);
DiagnosticRecord sampleDiagnostic(int index);
/// `count` records of each kind (tokens: a thirtieth); values over the whole range of each field, -1 and NaN among
/// them.
RecordBatch sampleRecords(std::size_t count, std::uint32_t seed = 1);

std::string text(const ModelFacts&);
std::string text(const RunDescription&);
std::string text(const RunSummary&);
std::string text(const RequestRecord&);
std::string text(const LaneInfo&);
std::string text(const DiagnosticRecord&);
std::string text(const SpanRecord&);
std::string text(const SelectionRecord&);
std::string text(const PredictionRecord&);
std::string text(const ResidencyRecord&);
std::string text(const TransferRecord&);
std::string text(const TokenRecord&);

template <class Record>
std::vector<std::string> texts(const std::vector<Record>& records) {
    std::vector<std::string> out;
    for (const Record& record : records) {
        out.push_back(text(record));
    }
    return out;
}

/// Appends the records of `more` to `batch`.
void addTo(RecordBatch& batch, const RecordBatch& more);

}  // namespace expertscope
