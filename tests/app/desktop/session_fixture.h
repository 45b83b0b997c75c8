// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QTemporaryDir>
#include <functional>

#include "engine/base/run_facts.h"

namespace expertscope::test {

/// A model of 2 layers × 4 experts, top 1, of 1 MiB each.
ModelFacts smallModel();

/// Writes a session with one complete run under `policy`. Two requests ("cpp", "poem") of one prompt token and two
/// generated ones each: tokens 0–5, steps 0–3. A request's first step runs its prompt and produces one token in 4 ms, 1
/// ms of it waiting; its second step produces one token in 2 ms without waiting. Token t chooses expert t % 4 with
/// weight 1 in both layers; a token that a first step ran or produced misses, the others hit.
void writeSession(const QString& file, const std::string& policy = "on-demand");

/// Writes a session with one run that goes on under `policy`, of as many spans and selections each: more than are read
/// at once.
void writeLongSession(const QString& file, int records, const std::string& policy = "on-demand");

/// Lets events happen until `done` or for `milliseconds`; gives whether it is done.
bool waitUntil(const std::function<bool()>& done, int milliseconds = 10'000);

}  // namespace expertscope::test
