// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// {"counted": "…", "columns": […], "rows": [[…]]}; a real that is not finite is null.
nlohmann::ordered_json tableJson(const AnalysisTable& table);

/// Whom a kept table is about. A run's table is worth keeping once the run has ended.
std::string subjectOf(RunId run);
/// A model, by ModelFacts::fingerprint.
std::string subjectOf(const ModelFacts& model);

/// Keeps what `text` ("balance:phase=decode") gave in the session, for who asks next. Throws FailedError where the
/// session cannot be written.
void keepTable(const std::filesystem::path& session, const std::string& subject, const AnalysisInfo& info,
               const std::string& text, const AnalysisTable& table);
/// What was kept by this version of the analysis; its null cells hold nothing. Throws BadInputError where the file is
/// no session.
std::optional<AnalysisTable> keptTable(const std::filesystem::path& session, const std::string& subject,
                                       const AnalysisInfo& info, const std::string& text);

/// The kept table; else what `make` gives, kept for who asks next. A session that cannot be written is no failure: its
/// tables are made again each time.
AnalysisTable keptOrMade(const std::filesystem::path& session, const std::string& subject, const AnalysisInfo& info,
                         const std::string& text, const std::function<AnalysisTable()>& make);

}  // namespace expertscope
