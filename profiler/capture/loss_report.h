// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/records.h"
#include "profiler/capture/loss_counter.h"

namespace expertscope {

/// Gathers the losses of one kind of record into diagnostics: losses that follow each other within half a second are
/// told as one interval, so that an overload of a minute is one row and not a thousand.
class LossReport {
public:
    /// `plural` names the records: "spans".
    explicit LossReport(std::string plural) : m_plural(std::move(plural)) {}

    void add(const Loss& loss);
    /// The interval's diagnostic once it is over at `now`; always with `evenIfOpen`.
    std::optional<DiagnosticRecord> finished(Nanoseconds now, bool evenIfOpen);
    std::int64_t total() const { return m_total; }

private:
    std::string m_plural;
    std::optional<Loss> m_open;
    std::int64_t m_total = 0;
};

}  // namespace expertscope
