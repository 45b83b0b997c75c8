// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <map>
#include <optional>
#include <vector>

#include "profiler/analysis/run_figures.h"
#include "views/base/draw_list.h"
#include "views/base/table_model.h"
#include "views/base/theme.h"

namespace expertscope {

class RunTrace;
class Theme;

/// One of the parts that a run's bar is stacked of.
struct ComparePart {
    QString name;
    double value = 0;
    Meaning meaning;
    Pattern pattern = Pattern::Solid;
};

/// The runs of a session side by side. Two of them, A and B, are compared in a sentence and on one time axis.
class CompareModel {
public:
    /// Takes the figures of a run, or newer ones of a run that it has. O(records).
    void take(const RunTrace& trace);
    void clear();

    const std::vector<RunFigures>& runs() const { return m_runs; }
    bool empty() const { return m_runs.empty(); }
    /// Indices into runs(). At first A is the first run that is not resident, B the last.
    int a() const { return m_a; }
    int b() const { return m_b; }
    void choose(int a, int b);

    /// "#2 pre-gated · lru · 6.75 MiB".
    QString label(int run) const;
    /// The comparison of A and B in a sentence with its uncertainty, and what is approximate or paced about it.
    QString sentence() const;
    QStringList columns() const;
    std::vector<std::vector<TableCell>> rows() const;
    /// Bytes issued by what became of them.
    std::vector<ComparePart> bytes(int run) const;
    /// The compute thread's time as shares of the whole.
    std::vector<ComparePart> time(int run) const;

    /// The pictures, a run a row: row i is centred at i on the value axis, which runs downwards.
    enum class Panel { Speed, TokenTime, TimeShares, IssuedBytes };
    /// Speed: bar to the mean, whiskers over its 95 % interval (tok/s). TokenTime: box from p10 to p90, line at the
    /// median, whisker to p99 (ms). TimeShares: percent. IssuedBytes: MiB.
    DrawList panel(Panel panel, const Theme& theme) const;
    /// Where the panel's key axis ends.
    double panelEnd(Panel panel) const;
    /// Hit rate over layers: A solid, B dashed, the other runs thin.
    DrawList hitRates(const Theme& theme) const;

private:
    QColor runColor(int run, const Theme& theme) const;
    void stack(int run, const std::vector<ComparePart>& parts, double unit, const Theme& theme, DrawList& list) const;
    void chooseAtFirst();

    std::vector<RunFigures> m_runs;
    int m_a = -1, m_b = -1;
    bool m_chosen = false;
};

/// A's and B's lanes (compute, wait, transfers) below one another, both from the start of the decoding of the request
/// that is looked at: what one run has done by the time that the other has done it too. Lanes are as tall as they are
/// busy, by pixel. Time in milliseconds since the request's first token.
class MatchedTimeline {
public:
    static constexpr int kLanes = 3;
    void setTraces(const RunTrace* a, const RunTrace* b);
    /// Which request of both runs.
    void setRequest(RequestIndex request);
    RequestIndex request() const { return m_request; }
    /// Requests that both runs have decoded.
    int requests() const;
    /// The longer decoding of the two, in milliseconds; 0 without any.
    double length() const;
    /// Decoding of one run (0 = A, 1 = B), in milliseconds.
    double length(int run) const;
    /// Lanes of A at 0…3 from the top, those of B at 4…7: the value axis runs downwards.
    DrawList draw(const Viewport& viewport, const Theme& theme) const;
    static QString laneName(int row);

private:
    struct Decoding {
        Nanoseconds from, to;
    };
    std::optional<Decoding> decoding(const RunTrace* trace) const;

    const RunTrace* m_traces[2] = {nullptr, nullptr};
    RequestIndex m_request{0};
};

}  // namespace expertscope
