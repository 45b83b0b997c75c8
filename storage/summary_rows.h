// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

#include "storage/sqlite_db.h"
#include "storage/summaries.h"

namespace expertscope {

/// Keeps the summaries of a run that ends. Throws SqliteError.
void writeSummaries(Database& database, std::int64_t run, const SpanWindow& spans, const SelectionWindow& selections);

// What SessionReader's functions of these names give. A run without a summary (it goes on, it crashed, or an older
// program recorded it) is read from its chunks. Throw SqliteError and DamagedChunk.
SpanWindow readSpanWindow(Database& database, std::int64_t run, Nanoseconds from, Nanoseconds to, int pixels);
TransferWindow readTransferWindow(Database& database, std::int64_t run, Nanoseconds from, Nanoseconds to, int pixels);
SelectionWindow readSelectionWindow(Database& database, std::int64_t run, TokenIndex from, TokenIndex to, int pixels);

}  // namespace expertscope
