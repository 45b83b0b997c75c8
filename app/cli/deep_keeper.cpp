// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/deep_keeper.h"

#include "profiler/analysis/deep/deep_session.h"
#include "storage/deep_vectors.h"

namespace expertscope {

void DeepKeeper::onDeepVectors(const DeepRawBlock& block) { keepDeepVectors(m_session, m_run, block); }

void DeepKeeper::onDeepSums(const DeepAggregates& deep) { keepDeepCapture(m_session, m_run, deep); }

}  // namespace expertscope
