// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/whatif/whatif_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "views/base/draw_marks.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr int kCurvePoints = 200;
/// A replay of so many accesses takes some tens of milliseconds; a policy that looks far ahead is given no more time.
constexpr std::int64_t kRoughAccesses = 60'000;
constexpr std::chrono::milliseconds kPatience(40);

constexpr double kMark = 6;       // pixels, of a replay's mark
constexpr double kMeasured = 13;  // likewise, of the run's own

}  // namespace

const std::vector<double>& WhatIfModel::grid() {
    static const std::vector<double> shares{0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0};
    return shares;
}

void WhatIfModel::setBench(std::shared_ptr<const ReplayBench> bench) {
    m_bench = std::move(bench);
    m_results.clear();
    m_bounds.clear();
    m_link.reset();
    if (!m_bench) return;
    const ModelFacts& model = m_bench->trace().model();
    const Bytes own = m_bench->entry().description.budget;
    if (own.count() > 0 && own < model.totalExpertBytes)
        m_budget = static_cast<double>(own.count()) / static_cast<double>(model.totalExpertBytes.count());
}

void WhatIfModel::setLink(std::optional<LinkSpec> link) {
    m_link = std::move(link);
    std::erase_if(m_results, [&](const auto& entry) {
        return std::ranges::any_of(
            m_series, [&](const WhatIfSeries& series) { return series.speed && keyOf(series) == entry.first.first; });
    });
    for (auto& [at, bound] : m_bounds) {
        bound.link = m_link ? m_link->text : std::string();
        bound.rooflineTokensPerSecond = m_bench->roofline(bound, m_link);
    }
}

void WhatIfModel::setSeries(std::vector<WhatIfSeries> series) { m_series = std::move(series); }

bool WhatIfModel::known(const WhatIfSeries& series, int at) const {
    const auto found = m_results.find({keyOf(series), at});
    return found != m_results.end() && !found->second.rough;
}

std::vector<WhatIfModel::Open> WhatIfModel::urgent() const {
    std::vector<Open> urgent;
    if (!knowsTimes() || m_bench->lruCurve().accesses() <= 2 * kRoughAccesses) return urgent;
    for (const WhatIfSeries& series : m_series)
        if (series.speed && !m_results.contains({keyOf(series), nearest()})) urgent.emplace_back(series, nearest());
    return urgent;
}

/// Indices into grid(), the nearest to the slider first: that is where decisions are made.
std::vector<int> WhatIfModel::byNearness() const {
    std::vector<int> order(grid().size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {},
                             [&](int at) { return std::abs(grid()[static_cast<std::size_t>(at)] - m_budget); });
    return order;
}

std::vector<int> WhatIfModel::openBounds() const {
    std::vector<int> open = byNearness();
    std::erase_if(open, [&](int at) { return m_bounds.contains(at); });
    return open;
}

std::vector<WhatIfModel::Open> WhatIfModel::open() const {
    std::vector<Open> open;
    if (!m_bench) return open;
    for (const int at : byNearness())
        for (const WhatIfSeries& series : m_series)
            if (!known(series, at) && (!series.speed || knowsTimes())) open.emplace_back(series, at);
    return open;
}

ReplayCase WhatIfModel::caseOf(const WhatIfSeries& series, int at) const {
    return {.policy = series.policy,
            .eviction = series.eviction,
            .budget = Bytes(bytesAt(grid()[static_cast<std::size_t>(at)])),
            .link = m_link,
            .timed = series.speed};
}

ReplayCase WhatIfModel::roughCaseOf(const WhatIfSeries& series, int at) const {
    ReplayCase what = caseOf(series, at);
    what.atMost = kRoughAccesses;
    what.patience = kPatience;
    return what;
}

ReplayCase WhatIfModel::caseHere(const std::string& policy) const {
    return {.policy = policy, .eviction = "lru", .budget = Bytes(bytesAt(m_budget)), .link = m_link};
}

void WhatIfModel::take(const WhatIfSeries& series, int at, const ReplayResult& result) {
    const auto link = [](const std::optional<LinkSpec>& spec) { return spec ? spec->text : std::string(); };
    if (series.speed && link(result.what.link) != link(m_link)) return;
    if (result.rough && known(series, at)) return;
    m_results[{keyOf(series), at}] = result;
}

void WhatIfModel::takeBound(int at, const ReplayBound& bound) {
    m_bounds[at] = bound;
    m_bounds[at].rooflineTokensPerSecond = m_bench->roofline(bound, m_link);
}

std::int64_t WhatIfModel::bytesAt(double share) const {
    const ModelFacts& model = m_bench->trace().model();
    const double whole = static_cast<double>(model.totalExpertBytes.count());
    return std::max(model.expertBytes.count(), static_cast<std::int64_t>(std::llround(share * whole)));
}

double WhatIfModel::lruHitRate(double share) const {
    const LruCurve& curve = m_bench->lruCurve();
    if (curve.accesses() == 0) return kNone;
    return static_cast<double>(curve.at(bytesAt(share)).hits) / static_cast<double>(curve.accesses());
}

double WhatIfModel::onDemandSpeed(double share) const {
    if (!knowsTimes()) return kNone;
    return m_bench->onDemandTokensPerSecond(Bytes(bytesAt(share)), m_link);
}

double WhatIfModel::cliff() const {
    const auto whole = static_cast<double>(m_bench->trace().model().totalExpertBytes.count());
    return static_cast<double>(tokenDemandBytes(m_bench->trace())) / whole;
}

std::optional<QPointF> WhatIfModel::measuredHits() const {
    const auto& summary = m_bench->entry().summary;
    if (!summary || summary->accesses == 0) return std::nullopt;
    const auto whole = static_cast<double>(m_bench->trace().model().totalExpertBytes.count());
    return QPointF(100 * static_cast<double>(m_bench->entry().description.budget.count()) / whole,
                   100 * static_cast<double>(summary->hits) / static_cast<double>(summary->accesses));
}

std::optional<QPointF> WhatIfModel::measuredSpeed() const {
    const auto hits = measuredHits();
    if (!hits || !(m_bench->entry().summary->decodeTokensPerSecond > 0)) return std::nullopt;
    return QPointF(hits->x(), m_bench->entry().summary->decodeTokensPerSecond);
}

QColor WhatIfModel::color(int series, const Theme& theme) const { return theme.expert(series + 1); }

DrawList WhatIfModel::hitChart(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    if (!m_bench) return list;
    const auto line = [&](const QPointF& from, const QPointF& to, QColor color, bool dashed = false) {
        list.lines.push_back({from, to, color, dashed});
    };
    for (int i = 0; i < kCurvePoints; ++i) {
        const double from = static_cast<double>(i) / kCurvePoints, to = (i + 1.0) / kCurvePoints;
        line({100 * from, 100 * lruHitRate(from)}, {100 * to, 100 * lruHitRate(to)}, theme.color(Meaning::RunA));
    }
    for (auto bound = m_bounds.begin(); bound != m_bounds.end(); ++bound) {
        const auto next = std::next(bound);
        if (next == m_bounds.end()) break;
        const auto x = [&](int at) { return 100 * grid()[static_cast<std::size_t>(at)]; };
        line({x(bound->first), 100 * bound->second.beladyHitRate}, {x(next->first), 100 * next->second.beladyHitRate},
             theme.text(), true);
    }
    for (int s = 0; s < static_cast<int>(m_series.size()); ++s) {
        if (m_series[static_cast<std::size_t>(s)].speed) continue;
        std::optional<QPointF> last;
        for (int at = 0; at < static_cast<int>(grid().size()); ++at) {
            const auto found = m_results.find({keyOf(m_series[static_cast<std::size_t>(s)]), at});
            if (found == m_results.end()) continue;
            const QPointF here(100 * grid()[static_cast<std::size_t>(at)], 100 * found->second.hitRate());
            list.rects.push_back({pixelBox(here, kMark, viewport), color(s, theme)});
            if (last) line(*last, here, color(s, theme));
            last = here;
        }
    }
    const double cliffAt = 100 * cliff();
    line({cliffAt, 0}, {cliffAt, 100}, theme.color(Meaning::Wait), true);
    list.texts.push_back({{cliffAt + 0.8, 97}, "one token's demand", theme.mutedText()});
    line({100 * m_budget, 0}, {100 * m_budget, 100}, theme.highlight());
    if (const auto measured = measuredHits()) {
        list.rects.push_back({pixelBox(*measured, kMeasured, viewport), theme.text(), Pattern::Outline});
        list.texts.push_back({*measured + QPointF(1.6, -3), "measured", theme.text()});
    }
    return list;
}

DrawList WhatIfModel::speedChart(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    if (!knowsTimes()) return list;
    const double tall = fastest();
    const auto line = [&](const QPointF& from, const QPointF& to, QColor color, bool dashed = false) {
        if (std::isfinite(from.y()) && std::isfinite(to.y())) list.lines.push_back({from, to, color, dashed});
    };
    for (int i = 0; i < kCurvePoints; ++i) {
        const double from = static_cast<double>(i) / kCurvePoints, to = (i + 1.0) / kCurvePoints;
        line({100 * from, onDemandSpeed(from)}, {100 * to, onDemandSpeed(to)}, theme.color(Meaning::RunA));
    }
    for (auto bound = m_bounds.begin(); bound != m_bounds.end(); ++bound) {
        const auto next = std::next(bound);
        if (next == m_bounds.end()) break;
        const auto x = [&](int at) { return 100 * grid()[static_cast<std::size_t>(at)]; };
        line({x(bound->first), bound->second.rooflineTokensPerSecond},
             {x(next->first), next->second.rooflineTokensPerSecond}, theme.text(), true);
    }
    for (int s = 0; s < static_cast<int>(m_series.size()); ++s) {
        if (!m_series[static_cast<std::size_t>(s)].speed) continue;
        std::optional<QPointF> last;
        for (int at = 0; at < static_cast<int>(grid().size()); ++at) {
            const auto found = m_results.find({keyOf(m_series[static_cast<std::size_t>(s)]), at});
            // What lacks its predictions would be drawn as if it never prefetched.
            if (found == m_results.end() || !found->second.missing.empty()) continue;
            const QPointF here(100 * grid()[static_cast<std::size_t>(at)], found->second.decodeTokensPerSecond);
            const Pattern pattern = found->second.rough ? Pattern::Outline : Pattern::Solid;
            list.rects.push_back({pixelBox(here, kMark, viewport), color(s, theme), pattern});
            if (last) line(*last, here, color(s, theme));
            last = here;
        }
    }
    line({100 * m_budget, 0}, {100 * m_budget, tall}, theme.highlight());
    const std::string own = m_bench->entry().description.link;
    const bool sameLink = !m_link || m_link->text == own;
    if (const auto measured = measuredSpeed(); measured && sameLink) {
        list.rects.push_back({pixelBox(*measured, kMeasured, viewport), theme.text(), Pattern::Outline});
        list.texts.push_back({*measured + QPointF(1.6, tall * 0.03), "measured", theme.text()});
    }
    return list;
}

bool WhatIfModel::lacks(const WhatIfSeries& series) const {
    return std::ranges::any_of(m_results, [&](const auto& entry) {
        return entry.first.first == keyOf(series) && !entry.second.missing.empty();
    });
}

double WhatIfModel::fastest() const {
    double most = 1;
    for (const auto& [at, bound] : m_bounds)
        if (std::isfinite(bound.rooflineTokensPerSecond)) most = std::max(most, bound.rooflineTokensPerSecond);
    if (m_bench && m_bench->entry().summary) most = std::max(most, m_bench->entry().summary->decodeTokensPerSecond);
    return most;
}

QString WhatIfModel::answer() const {
    if (!m_bench) return {};
    const ModelFacts& model = m_bench->trace().model();
    const Bytes budget(bytesAt(m_budget));
    const std::int64_t experts = budget.count() / model.expertBytes.count();
    QString text =
        QStringLiteral("At %1 (%2, %3 of %4 experts) a global LRU cache hits %5 of the accesses")
            .arg(percentText(m_budget), bytesText(budget), countText(experts),
                 countText(static_cast<std::int64_t>(model.layers) * model.experts), percentText(lruHitRate(m_budget)));
    if (m_budget < cliff())
        text += QStringLiteral(", for it is less than one token's demand (%1)").arg(percentText(cliff()));
    const auto nearest = std::ranges::min_element(m_bounds, {}, [&](const auto& bound) {
        return std::abs(grid()[static_cast<std::size_t>(bound.first)] - m_budget);
    });
    if (nearest != m_bounds.end())
        text += QStringLiteral("; the best that any policy could do near it is %1")
                    .arg(percentText(nearest->second.beladyHitRate));
    if (const double speed = onDemandSpeed(m_budget); std::isfinite(speed))
        text +=
            QStringLiteral(". Fetched on demand that makes %1, and at most %2 with perfect prefetching")
                .arg(numberText(speed, "tok/s"),
                     numberText(nearest != m_bounds.end() ? nearest->second.rooflineTokensPerSecond : kNone, "tok/s"));
    else if (!knowsTimes())
        text += QStringLiteral(". The run recorded no times, so speeds cannot be predicted");
    return text + QStringLiteral(".") + replayedHere();
}

/// What is known so far of the policies at the budget of the grid that is nearest to the slider.
QString WhatIfModel::replayedHere() const {
    QStringList speeds;
    for (const WhatIfSeries& series : m_series) {
        const auto found = m_results.find({keyOf(series), nearest()});
        if (!series.speed || found == m_results.end() || !found->second.missing.empty()) continue;
        const double speed = found->second.decodeTokensPerSecond;
        if (!std::isfinite(speed)) continue;
        speeds << QStringLiteral("%1 %2%3").arg(series.name, found->second.rough ? QStringLiteral("about ") : QString(),
                                                numberText(speed, "tok/s"));
    }
    if (speeds.isEmpty()) return {};
    return QStringLiteral(" Replayed at %1: %2.")
        .arg(percentText(grid()[static_cast<std::size_t>(nearest())]), speeds.join(QStringLiteral(", ")));
}

QStringList WhatIfModel::columns() const {
    return {"policy", "eviction", "budget", "share", "hit rate", "moved", "wasted", "tok/s", "wait (ms)", "missing"};
}

std::vector<std::vector<TableCell>> WhatIfModel::rows() const {
    std::vector<std::vector<TableCell>> rows;
    for (const auto& [key, result] : m_results) {
        const double share = grid()[static_cast<std::size_t>(key.second)];
        QStringList missing;
        for (const std::string& what : result.missing)
            missing << QString::fromStdString(what);
        const auto bytes = [](std::int64_t value) {
            return TableCell(bytesText(Bytes(value)), QVariant(static_cast<qlonglong>(value)));
        };
        rows.push_back(
            {TableCell(QString::fromStdString(result.what.policy)),
             TableCell(QString::fromStdString(result.what.eviction)), bytes(result.what.budget.count()),
             TableCell(percentText(share), share), TableCell(percentText(result.hitRate()), result.hitRate()),
             bytes(result.bytesMoved), bytes(result.wastedBytes),
             TableCell((result.rough ? QStringLiteral("≈ ") : QString()) + numberText(result.decodeTokensPerSecond),
                       result.decodeTokensPerSecond),
             TableCell(numberText(result.waitMs), result.waitMs), TableCell(missing.join(", "))});
    }
    return rows;
}

}  // namespace expertscope
