// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "storage/session_reader.h"

namespace expertscope {

/// Where a token belongs; of each token, for exporters.
struct TokenPlace {
    std::int32_t request = -1;
    std::int32_t position = -1;
    std::int32_t id = -1;
    std::int32_t step = -1;
    Phase phase = Phase::Prefill;
};

/// Goes through a run's records batch by batch, in the order of the file, so that memory is that of one batch.
void eachBatch(const SessionReader& reader, RunId run, const std::function<void(const RecordBatch&)>& take);
/// The places of a run's tokens by their index.
std::vector<TokenPlace> tokenPlaces(const SessionReader& reader, RunId run);
/// Every selection of a run in order of recording, with its token's place. Throws BadInputError where one is of a token
/// that `places` lacks.
void eachSelection(const SessionReader& reader, RunId run, const std::vector<TokenPlace>& places,
                   const std::function<void(const SelectionRecord&, const TokenPlace&)>& take);
/// The run asked for; nothing asked: the session's only one. Throws UsageError where there are several.
RunId chosenRun(const SessionReader& reader, std::optional<RunId> run);

}  // namespace expertscope
