// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/compare/compare_model.h"

#include <algorithm>
#include <cmath>

#include "engine/base/record_names.h"
#include "views/base/number_format.h"

namespace expertscope {
namespace {

constexpr double kHalfBar = 0.34;
constexpr double kMebi = 1 << 20;

double share(std::int64_t part, std::int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : std::nan("");
}

QString withInterval(const Estimate& estimate) {
    if (estimate.samples == 0) return numberText(std::nan(""));
    if (estimate.samples == 1) return numberText(estimate.value);
    return QStringLiteral("%1 ± %2").arg(numberText(estimate.value), numberText(estimate.high - estimate.value));
}

}  // namespace

void CompareModel::take(RunFigures figures) {
    const auto known = std::ranges::find(m_runs, figures.id, &RunFigures::id);
    if (known != m_runs.end())
        *known = std::move(figures);
    else
        m_runs.push_back(std::move(figures));
    std::ranges::sort(m_runs, {}, &RunFigures::id);
    if (!m_chosen) chooseAtFirst();
}

void CompareModel::clear() {
    m_runs.clear();
    m_a = m_b = -1;
    m_chosen = false;
}

void CompareModel::choose(int a, int b) {
    m_a = a;
    m_b = b;
    m_chosen = true;
}

void CompareModel::chooseAtFirst() {
    m_a = m_b = static_cast<int>(m_runs.size()) - 1;
    for (int run = 0; run < m_b; ++run) {
        m_a = run;
        if (m_runs[static_cast<std::size_t>(run)].description.policy != "resident") break;
    }
}

QString CompareModel::label(int run) const {
    const RunFigures& figures = m_runs[static_cast<std::size_t>(run)];
    return QStringLiteral("#%1 %2").arg(figures.id.value()).arg(QString::fromStdString(runName(figures.description)));
}

QString CompareModel::sentence() const {
    if (m_a < 0) return {};
    if (m_a == m_b)
        return QStringLiteral("One run: profile the same prompts under another policy, or choose another run.");
    const RunFigures& a = m_runs[static_cast<std::size_t>(m_a)];
    const RunFigures& b = m_runs[static_cast<std::size_t>(m_b)];
    QString text = QString::fromStdString(verdict(a, b));
    for (const RunFigures* run : {&a, &b}) {
        if (run->description.exact) continue;
        const QString name = QString::fromStdString(run->description.policy);
        text += std::isnan(run->perplexity)
                    ? QStringLiteral(" %1 is approximate, and what that costs was not measured.").arg(name)
                    : QStringLiteral(" %1 is approximate: perplexity %2 against %3 of the resident model.")
                          .arg(name, numberText(run->perplexity), numberText(run->residentPerplexity));
    }
    if (a.description.link != b.description.link)
        text += QStringLiteral(" Their links differ, so this is no comparison of policies alone.");
    else if (!a.description.link.empty())
        text += QStringLiteral(" Both links are paced (%1).").arg(QString::fromStdString(a.description.link));
    return text;
}

QStringList CompareModel::columns() const {
    return {"run",           "exact",    "link",      "tok/s (95 %)", "TPOT p50 (ms)",   "TPOT p90 (ms)",
            "TPOT p99 (ms)", "hit rate", "in flight", "wait share",   "demand",          "prefetch useful",
            "prefetch late", "wasted",   "cancelled", "peak device",  "top-1 agreement", "perplexity"};
}

std::vector<std::vector<TableCell>> CompareModel::rows() const {
    std::vector<std::vector<TableCell>> rows;
    const auto number = [](double value) { return TableCell(numberText(value), value); };
    const auto percent = [](double value) { return TableCell(percentText(value), value); };
    const auto bytes = [](Bytes value) {
        return TableCell(bytesText(value), QVariant(static_cast<qlonglong>(value.count())));
    };
    for (int i = 0; i < static_cast<int>(m_runs.size()); ++i) {
        const RunFigures& run = m_runs[static_cast<std::size_t>(i)];
        const Estimate speed = run.speed();
        rows.push_back({TableCell(label(i)),
                        TableCell(run.description.exact ? QStringLiteral("exact") : QStringLiteral("approximate")),
                        TableCell(QString::fromStdString(run.description.link)),
                        TableCell(withInterval(speed), speed.value), number(run.tokenQuantile(0.5)),
                        number(run.tokenQuantile(0.9)), number(run.tokenQuantile(0.99)),
                        percent(share(run.hits, run.accesses)), percent(share(run.hitsInFlight, run.accesses)),
                        percent(share(run.time.wait.count(), run.time.total.count())), bytes(run.demand),
                        bytes(run.useful), bytes(run.late), bytes(run.wasted), bytes(run.cancelled),
                        bytes(run.peakDevice), percent(run.topOneAgreement), number(run.perplexity)});
    }
    return rows;
}

std::vector<ComparePart> CompareModel::bytes(int run) const {
    const RunFigures& figures = m_runs[static_cast<std::size_t>(run)];
    const auto of = [](Bytes bytes) { return static_cast<double>(bytes.count()); };
    return {{"demand", of(figures.demand), Meaning::TransferDemand},
            {"prefetch useful", of(figures.useful), Meaning::PrefetchUseful},
            {"late", of(figures.late), Meaning::PrefetchLate},
            {"wasted", of(figures.wasted), Meaning::PrefetchWasted, Pattern::DiagonalHatch},
            {"cancelled", of(figures.cancelled), Meaning::PrefetchCancelled, Pattern::Outline}};
}

std::vector<ComparePart> CompareModel::time(int run) const {
    const TimeSplit& time = m_runs[static_cast<std::size_t>(run)].time;
    return {{"compute", share(time.compute.count(), time.total.count()), Meaning::Compute},
            {"wait", share(time.wait.count(), time.total.count()), Meaning::Wait, Pattern::CrossHatch},
            {"other", share(time.other.count(), time.total.count()), Meaning::PrefetchCancelled}};
}

QColor CompareModel::runColor(int run, const Theme& theme) const {
    return run == m_b ? theme.color(Meaning::RunB) : run == m_a ? theme.color(Meaning::RunA) : theme.mutedText();
}

void CompareModel::stack(int run, const std::vector<ComparePart>& parts, double unit, const Theme& theme,
                         DrawList& list) const {
    double from = 0;
    for (const ComparePart& part : parts) {
        if (!(part.value > 0)) continue;
        const double length = part.value / unit;
        list.rects.push_back(
            {QRectF(from, run - kHalfBar, length, 2 * kHalfBar), theme.color(part.meaning), part.pattern});
        from += length;
    }
}

DrawList CompareModel::panel(Panel panel, const Theme& theme) const {
    DrawList list;
    for (int run = 0; run < static_cast<int>(m_runs.size()); ++run) {
        const RunFigures& figures = m_runs[static_cast<std::size_t>(run)];
        const auto tick = [&](double x, double half) {
            list.lines.push_back({QPointF(x, run - half), QPointF(x, run + half), theme.text()});
        };
        const auto whisker = [&](double from, double to) {
            list.lines.push_back({QPointF(from, run), QPointF(to, run), theme.text()});
            tick(to, kHalfBar / 2);
        };
        switch (panel) {
            case Panel::Speed: {
                const Estimate speed = figures.speed();
                if (speed.samples == 0) break;
                list.rects.push_back({QRectF(0, run - kHalfBar, speed.value, 2 * kHalfBar), runColor(run, theme)});
                if (speed.samples < 2) break;
                whisker(speed.value, speed.high);
                whisker(speed.value, std::max(0.0, speed.low));
                break;
            }
            case Panel::TokenTime: {
                if (figures.tokenMs.empty()) break;
                const double low = figures.tokenQuantile(0.1), high = figures.tokenQuantile(0.9);
                list.rects.push_back({QRectF(low, run - kHalfBar, high - low, 2 * kHalfBar), runColor(run, theme)});
                tick(figures.tokenQuantile(0.5), kHalfBar);
                whisker(high, figures.tokenQuantile(0.99));
                break;
            }
            case Panel::TimeShares:
                stack(run, time(run), 0.01, theme, list);
                break;
            case Panel::IssuedBytes:
                stack(run, bytes(run), kMebi, theme, list);
                break;
        }
    }
    return list;
}

double CompareModel::panelEnd(Panel panel) const {
    double end = 0;
    for (int run = 0; run < static_cast<int>(m_runs.size()); ++run) {
        const RunFigures& figures = m_runs[static_cast<std::size_t>(run)];
        double here = 0;
        if (panel == Panel::Speed) {
            const Estimate speed = figures.speed();
            here = speed.samples > 1 ? speed.high : speed.samples == 1 ? speed.value : 0;
        } else if (panel == Panel::TokenTime) {
            here = figures.tokenMs.empty() ? 0 : figures.tokenQuantile(0.99);
        } else if (panel == Panel::IssuedBytes) {
            for (const ComparePart& part : bytes(run))
                here += part.value / kMebi;
        } else {
            here = 100;
        }
        end = std::max(end, here);
    }
    return end > 0 ? end : 1;
}

DrawList CompareModel::hitRates(const Theme& theme) const {
    DrawList list;
    for (int run = 0; run < static_cast<int>(m_runs.size()); ++run) {
        const std::vector<double>& rates = m_runs[static_cast<std::size_t>(run)].hitRate;
        for (std::size_t layer = 0; layer < rates.size(); ++layer) {
            if (std::isnan(rates[layer])) continue;
            const QPointF here(static_cast<double>(layer), rates[layer] * 100);
            list.rects.push_back({QRectF(here.x() - 0.06, here.y() - 0.8, 0.12, 1.6), runColor(run, theme)});
            if (layer == 0 || std::isnan(rates[layer - 1])) continue;
            list.lines.push_back(
                {QPointF(here.x() - 1, rates[layer - 1] * 100), here, runColor(run, theme), run == m_b && run != m_a});
        }
    }
    return list;
}

}  // namespace expertscope
