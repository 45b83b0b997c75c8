// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace expertscope {

/// The result of an analysis as a session keeps it: a table, its parts as text.
struct StoredAnalysis {
    std::string counted;  ///< a sentence: what was counted
    std::string columns;  ///< JSON array of names
    std::string rows;     ///< JSON array of arrays
    bool operator==(const StoredAnalysis&) const = default;
};

/// What a result is found by.
struct AnalysisKey {
    std::string subject;       ///< "run:3" or "model:FINGERPRINT"
    std::string name;          ///< with parameters, as it was asked for: "balance:phase=decode"
    std::int64_t version = 1;  ///< of the analysis; a result of another one is not found
};

/// Keeps a result in the session (table `analysis`), in place of an older one, in one short transaction that waits up
/// to 10 s for a recorder's. Throws FailedError where the session cannot be written, BadInputError where the file is
/// none.
void keepAnalysis(const std::filesystem::path& session, const AnalysisKey& key, const StoredAnalysis& result);
/// Throws BadInputError where the file is no session.
std::optional<StoredAnalysis> keptAnalysis(const std::filesystem::path& session, const AnalysisKey& key);

}  // namespace expertscope
