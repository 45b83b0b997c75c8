// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>
#include <stdexcept>

#include "scratch_session.h"
#include "views/base/background_job.h"
#include "views/cache/cache_data.h"

namespace expertscope {

/// What work makes on a job's thread.
template <class Work>
auto madeByJob(Work work) {
    decltype(work(std::declval<const JobControl&>())) result;
    BackgroundJob job;
    QString failure;
    QObject::connect(&job, &BackgroundJob::ended, &job, [&](const QString& reason, bool) { failure = reason; });
    job.start([&](const JobControl& control) {
        auto made = work(control);
        return [&result, made] { result = made; };
    });
    job.wait();
    if (!failure.isEmpty()) throw std::runtime_error(failure.toStdString());
    return result;
}

inline std::shared_ptr<const CacheRun> readCacheRun(const QString& session, RunId run = RunId(1)) {
    return madeByJob([&](const JobControl& control) {
        return readCacheRun(std::filesystem::path(session.toStdString()), run, control);
    });
}

inline std::shared_ptr<const CacheReuse> countReuse(const CacheRun& run, CountedTokens tokens = CountedTokens::All) {
    return madeByJob([&](const JobControl& control) { return countReuse(run, tokens, control); });
}

}  // namespace expertscope
