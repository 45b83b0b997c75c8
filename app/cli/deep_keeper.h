// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "engine/base/deep_sink.h"

namespace expertscope {

/// Puts what a deep capture tells during a run into the run's session: the sums so far in place of those before, raw
/// vectors one block after another. What was told is there when the program is killed.
class DeepKeeper : public DeepSink {
public:
    DeepKeeper(std::filesystem::path session, RunId run) : m_session(std::move(session)), m_run(run) {}
    void onDeepVectors(const DeepRawBlock& block) override;
    void onDeepSums(const DeepAggregates& deep) override;

private:
    std::filesystem::path m_session;
    RunId m_run;
};

}  // namespace expertscope
