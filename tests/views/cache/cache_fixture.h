// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>

#include "made_by_job.h"
#include "scratch_session.h"
#include "views/cache/cache_data.h"

namespace expertscope {

inline std::shared_ptr<const CacheRun> readCacheRun(const QString& session, RunId run = RunId(1)) {
    return madeByJob([&](const JobControl& control) {
        return readCacheRun(std::filesystem::path(session.toStdString()), run, control);
    });
}

inline std::shared_ptr<const CacheReuse> countReuse(const CacheRun& run, CountedTokens tokens = CountedTokens::All) {
    return madeByJob([&](const JobControl& control) { return countReuse(run, tokens, control); });
}

}  // namespace expertscope
