// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <stdexcept>
#include <utility>

#include "views/base/background_job.h"

namespace expertscope {

/// What work(control) makes on a job's thread; throws std::runtime_error with the sentence of a job that failed.
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

}  // namespace expertscope
