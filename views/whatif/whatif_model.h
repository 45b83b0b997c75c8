// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "profiler/replay/replay.h"
#include "views/base/draw_list.h"
#include "views/base/table_model.h"

namespace expertscope {

class Theme;

/// A line of the what-if charts: an eviction rule or a policy, replayed at every budget of the grid.
struct WhatIfSeries {
    QString name;
    std::string policy, eviction;
    bool speed = false;  ///< a policy on the chart of speeds; else an eviction rule on that of hit rates
    bool operator==(const WhatIfSeries&) const = default;
};

/// Hit rate and predicted speed against budget, for one recorded run: what is known at once from the LRU curve, and
/// what replays have brought so far. Budgets are shares of all expert bytes, 0…1.
class WhatIfModel {
public:
    /// Budgets at which series are replayed.
    static const std::vector<double>& grid();

    void setBench(std::shared_ptr<const ReplayBench> bench);
    bool hasRun() const { return m_bench != nullptr; }
    std::shared_ptr<const ReplayBench> benchPointer() const { return m_bench; }
    /// Whether the run recorded the times that speeds need.
    bool knowsTimes() const { return m_bench && m_bench->times().has_value(); }

    /// What the sliders say; absent link: the run's own. Another link forgets the speeds that were replayed, and finds
    /// those of the bounds anew at once.
    void setBudget(double share) { m_budget = share; }
    double budget() const { return m_budget; }
    void setLink(std::optional<LinkSpec> link);
    const std::optional<LinkSpec>& link() const { return m_link; }
    void setSeries(std::vector<WhatIfSeries> series);
    const std::vector<WhatIfSeries>& series() const { return m_series; }

    using Open = std::pair<WhatIfSeries, int>;  ///< series, index into grid()
    /// What still has to be replayed, the most wanted first.
    std::vector<Open> open() const;
    /// Speeds at the budget nearest to the slider of which nothing is known yet, where a replay of the whole run would
    /// take long: to be asked for roughly (roughCaseOf) before anything else.
    std::vector<Open> urgent() const;
    ReplayCase caseOf(const WhatIfSeries& series, int at) const;
    ReplayCase roughCaseOf(const WhatIfSeries& series, int at) const;
    /// The case of a policy at the budget of the slider.
    ReplayCase caseHere(const std::string& policy) const;
    /// A rough result stays until a whole one comes. One over another link than the slider's is not taken.
    void take(const WhatIfSeries& series, int at, const ReplayResult& result);
    void takeBound(int at, const ReplayBound& bound);
    bool hasBounds() const { return m_bounds.size() == grid().size(); }
    /// Indices into grid() of the bounds that are not known yet, the nearest to the slider first.
    std::vector<int> openBounds() const;

    /// Hit rate of a global LRU cache at a budget, from the curve: O(log n).
    double lruHitRate(double share) const;
    /// ReplayBench::onDemandTokensPerSecond over the link that is set.
    double onDemandSpeed(double share) const;
    /// The share below which LRU hits (almost) nothing: one token's demand.
    double cliff() const;
    /// The run's own budget and what was there when it was needed, as measured; what prefetches still had under way
    /// does not count, since that is no merit of the cache.
    std::optional<QPointF> measuredHits() const;
    std::optional<QPointF> measuredSpeed() const;

    /// Key axis: budget in % of all expert bytes. Value axis: hits in %.
    DrawList hitChart(const Viewport& viewport, const Theme& theme) const;
    /// Value axis: tok/s.
    DrawList speedChart(const Viewport& viewport, const Theme& theme) const;
    double fastest() const;
    /// Whether the recording lacks what the policy asks for, so that no speed of it is drawn.
    bool lacks(const WhatIfSeries& series) const;
    QColor color(int series, const Theme& theme) const;
    /// What the sliders ask, answered from the curve: one paragraph.
    QString answer() const;
    QStringList columns() const;
    std::vector<std::vector<TableCell>> rows() const;

private:
    std::int64_t bytesAt(double share) const;
    std::vector<int> byNearness() const;
    int nearest() const { return byNearness().front(); }
    bool known(const WhatIfSeries& series, int at) const;
    QString replayedHere() const;
    using Key = std::pair<std::string, int>;  ///< series and index into grid()
    static std::string keyOf(const WhatIfSeries& series) { return series.policy + "/" + series.eviction; }

    std::shared_ptr<const ReplayBench> m_bench;
    double m_budget = 0.25;
    std::optional<LinkSpec> m_link;
    std::vector<WhatIfSeries> m_series;
    std::map<Key, ReplayResult> m_results;
    std::map<int, ReplayBound> m_bounds;
};

}  // namespace expertscope
