// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/links/links_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "profiler/analysis/run_routing.h"
#include "views/base/number_format.h"

namespace expertscope {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kNever = -1e9;       ///< as a power of two: farther away than any bar's end
constexpr double kWidestLift = 3;     ///< powers of two at the ends of the bar: what is farther away is rare
constexpr double kNarrowestLift = 1;  ///< noise is not to look like structure

double ratio(std::int64_t part, std::int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : kNone;
}

/// Observed ÷ expected of independent choices.
double liftOf(std::int64_t both, std::int64_t all, std::int64_t one, std::int64_t other) {
    if (one <= 0 || other <= 0) return kNone;
    return static_cast<double>(both) * static_cast<double>(all) /
           (static_cast<double>(one) * static_cast<double>(other));
}

QString liftText(double lift) { return std::isnan(lift) ? numberText(lift) : QStringLiteral("×") + numberText(lift); }

double largest(const std::vector<double>& values, bool magnitude) {
    double most = 0;
    for (const double value : values)
        if (std::isfinite(value)) most = std::max(most, magnitude ? std::abs(value) : value);
    return most;
}

}  // namespace

void LinksModel::setRun(std::shared_ptr<const LinksRun> run) {
    m_run = std::move(run);
    m_links = nullptr;
    m_information = nullptr;
    fillMatrices();
    fillLikenesses();
}

void LinksModel::setLayerLinks(std::shared_ptr<const LinksLayer> links) {
    m_links = std::move(links);
    fillMatrices();
}

void LinksModel::setMeasure(Measure measure) {
    m_measure = measure;
    fillMatrices();
}

void LinksModel::setLikeness(Likeness likeness) {
    m_likeness = likeness;
    fillLikenesses();
}

double LinksModel::togetherShare(std::size_t i, std::size_t j) const {
    const CoActivation& counts = m_links->together;
    return i == j ? kNone : ratio(counts.together[i * experts() + j], counts.alone[i]);
}

double LinksModel::togetherLift(std::size_t i, std::size_t j) const {
    const CoActivation& counts = m_links->together;
    return i == j ? kNone : liftOf(counts.together[i * experts() + j], counts.tokens, counts.alone[i], counts.alone[j]);
}

double LinksModel::nextShare(std::size_t i, std::size_t j) const {
    return ratio(m_links->next->counts[i * experts() + j], m_links->next->out[i]);
}

double LinksModel::nextLift(std::size_t i, std::size_t j) const {
    const Transitions& next = *m_links->next;
    return liftOf(next.counts[i * experts() + j], next.total, next.out[i], next.in[j]);
}

template <class Share, class Lift>
MatrixMap LinksModel::expertMatrix(const Share& share, const Lift& lift) const {
    MatrixMap matrix;
    matrix.rows = matrix.columns = static_cast<int>(experts());
    const bool lifts = m_measure == Measure::Lift;
    for (std::size_t i = 0; i < experts(); ++i)
        for (std::size_t j = 0; j < experts(); ++j)
            matrix.values.push_back(lifts ? std::max(std::log2(lift(i, j)), kNever) : share(i, j));
    matrix.isSigned = lifts;
    if (lifts) {
        std::vector<double> finite = matrix.values;
        std::erase_if(finite, [](double value) { return value <= kNever; });
        matrix.high = std::clamp(largest(finite, true), kNarrowestLift, kWidestLift);
        matrix.low = -matrix.high;
    } else {
        const double most = largest(matrix.values, false);
        matrix.high = most > 0 ? most : 1;
        matrix.low = 0;
    }
    matrix.text = [lifts](double value) {
        return lifts ? QString::number(std::exp2(value), 'f', 1) : QString::number(std::lround(100 * value));
    };
    return matrix;
}

void LinksModel::fillMatrices() {
    m_together = m_next = {};
    if (!m_run || !m_links) return;
    if (togetherMissing().isEmpty())
        m_together = expertMatrix([this](std::size_t i, std::size_t j) { return togetherShare(i, j); },
                                  [this](std::size_t i, std::size_t j) { return togetherLift(i, j); });
    if (nextMissing().isEmpty())
        m_next = expertMatrix([this](std::size_t i, std::size_t j) { return nextShare(i, j); },
                              [this](std::size_t i, std::size_t j) { return nextLift(i, j); });
}

double LinksModel::likenessOf(const LayerSimilarity& pair) const {
    switch (m_likeness) {
        case Likeness::AboveRandom:
            return pair.cosine - pair.randomCosine;
        case Likeness::Cosine:
            return pair.cosine;
        case Likeness::RankCorrelation:
            return pair.spearman;
    }
    return kNone;
}

void LinksModel::fillLikenesses() {
    m_likenesses = {};
    if (!m_run || !likenessMissing().isEmpty()) return;
    MatrixMap& matrix = m_likenesses;
    matrix.rows = matrix.columns = m_run->model().layers;
    const auto layers = static_cast<std::size_t>(matrix.rows);
    matrix.values.assign(layers * layers, kNone);
    for (const LayerSimilarity& pair : m_run->similarities) {
        const std::size_t a = pair.layer.index(), b = pair.other.index();
        matrix.values[a * layers + b] = matrix.values[b * layers + a] = likenessOf(pair);
    }
    matrix.isSigned = m_likeness != Likeness::Cosine;
    if (matrix.isSigned) {
        const double most = largest(matrix.values, true);
        matrix.high = most > 0 ? most : 1;
        matrix.low = -matrix.high;
    } else {
        matrix.low = 0, matrix.high = 1;
    }
    matrix.text = hundredthsText;
}

QString LinksModel::togetherHeading() const {
    if (!m_links) return QStringLiteral("Experts chosen together");
    return QStringLiteral("Experts of layer %1 chosen together · %2 tokens · if random %3")
        .arg(m_links->layer)
        .arg(countText(m_links->together.tokens),
             m_measure == Measure::Share ? percentText(randomShare()) : liftText(randomLift()));
}

QString LinksModel::nextHeading() const {
    if (!m_links || !m_links->next) return QStringLiteral("From a layer to the next");
    return QStringLiteral("From layer %1 to layer %2 · %3 transitions (%4) · if random %5")
        .arg(m_links->layer)
        .arg(m_links->layer + 1)
        .arg(countText(m_links->next->total), transitionPairsName(m_links->pairs),
             m_measure == Measure::Share ? percentText(randomProbability()) : liftText(1));
}

QString LinksModel::likenessHeading() const {
    switch (m_likeness) {
        case Likeness::AboveRandom:
            return QStringLiteral("Likeness of the layers' loads · cosine above that of experts numbered at random");
        case Likeness::Cosine:
            return QStringLiteral("Likeness of the layers' loads · cosine");
        case Likeness::RankCorrelation:
            return QStringLiteral("Likeness of the layers' loads · Spearman's rank correlation, if random 0");
    }
    return {};
}

QString LinksModel::togetherMissing() const {
    if (!m_links) return {};
    if (m_run->model().topK < 2) return QStringLiteral("This model chooses one expert a token");
    if (m_links->together.tokens == 0) return QStringLiteral("Layer %1 routed no token").arg(m_links->layer);
    return {};
}

QString LinksModel::nextMissing() const {
    if (!m_links) return {};
    if (!m_links->next) return QStringLiteral("Layer %1 is the last").arg(m_links->layer);
    if (m_links->next->total == 0)
        return QStringLiteral("No token was routed by layers %1 and %2").arg(m_links->layer).arg(m_links->layer + 1);
    return {};
}

QString LinksModel::likenessMissing() const {
    if (!m_run) return {};
    const bool any = std::ranges::any_of(m_run->similarities,
                                         [](const LayerSimilarity& pair) { return std::isfinite(pair.cosine); });
    return any ? QString() : QStringLiteral("Fewer than two layers routed tokens");
}

QString LinksModel::informationMissing() const {
    if (!m_information) return {};
    const bool any = std::ranges::any_of(m_information->rows,
                                         [](const LinksInformation::Row& row) { return std::isfinite(row.bits); });
    return any ? QString() : QStringLiteral("No token was routed by two layers in a row");
}

QString LinksModel::describeTogether(MatrixMap::Cell cell) const {
    const auto i = static_cast<std::size_t>(cell.row), j = static_cast<std::size_t>(cell.column);
    const CoActivation& counts = m_links->together;
    if (i == j)
        return QStringLiteral("Layer %1 · expert %2: %3 of %4 tokens")
            .arg(m_links->layer)
            .arg(i)
            .arg(countText(counts.alone[i]), countText(counts.tokens));
    return QStringLiteral(
               "Layer %1 · experts %2 and %3: %4 tokens chose both\n%5 of the %6 that chose expert %2 (if "
               "random %7)\nlift %8 (if random %9)")
        .arg(QString::number(m_links->layer), QString::number(i), QString::number(j),
             countText(counts.together[i * experts() + j]), percentText(togetherShare(i, j)),
             countText(counts.alone[i]), percentText(randomShare()), liftText(togetherLift(i, j)),
             liftText(randomLift()));
}

QString LinksModel::describeNext(MatrixMap::Cell cell) const {
    const auto i = static_cast<std::size_t>(cell.row), j = static_cast<std::size_t>(cell.column);
    const Transitions& next = *m_links->next;
    return QStringLiteral(
               "Expert %1 of layer %2, then expert %3 of layer %4: %5 times\n%6 of the %7 after expert %1 "
               "(if random %8)\nlift %9 (if random ×1)")
        .arg(QString::number(i), QString::number(next.from), QString::number(j), QString::number(next.to),
             countText(next.counts[i * experts() + j]), percentText(nextShare(i, j)), countText(next.out[i]),
             percentText(randomProbability()), liftText(nextLift(i, j)));
}

QString LinksModel::describeLikeness(MatrixMap::Cell cell) const {
    if (cell.row == cell.column) return QStringLiteral("Layer %1 and itself").arg(cell.row);
    const int a = std::min(cell.row, cell.column), b = std::max(cell.row, cell.column);
    const auto found = std::ranges::find_if(m_run->similarities, [&](const LayerSimilarity& pair) {
        return pair.layer.value() == a && pair.other.value() == b;
    });
    if (found == m_run->similarities.end()) return {};
    return QStringLiteral(
               "Loads of layers %1 and %2: cosine %3 (if numbered at random %4), rank correlation %5 (if "
               "random 0)")
        .arg(a)
        .arg(b)
        .arg(numberText(found->cosine), numberText(found->randomCosine), numberText(found->spearman));
}

QString LinksModel::measureText(double value) const {
    return m_measure == Measure::Share ? percentText(value) : liftText(std::exp2(value));
}

QString LinksModel::measureCaption() const {
    return m_measure == Measure::Share ? QStringLiteral("of the row's expert") : QStringLiteral("lift");
}

QString LinksModel::likenessCaption() const {
    switch (m_likeness) {
        case Likeness::AboveRandom:
            return QStringLiteral("cosine − if random");
        case Likeness::Cosine:
            return QStringLiteral("cosine");
        case Likeness::RankCorrelation:
            return QStringLiteral("rank correlation");
    }
    return {};
}

double LinksModel::randomShare() const {
    const double all = m_run->model().experts, k = m_run->model().topK;
    return all > 1 ? (k - 1) / (all - 1) : kNone;
}

double LinksModel::randomLift() const {
    return randomShare() * m_run->model().experts / std::max(1, m_run->model().topK);
}

double LinksModel::randomProbability() const { return 1.0 / std::max(1, m_run->model().experts); }

QString LinksModel::counted() const { return m_run ? QStringLiteral("Counted: ") + m_run->counted : QString(); }

}  // namespace expertscope
