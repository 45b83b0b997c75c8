// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <vector>

#include "profiler/analysis/run_figures.h"
#include "views/base/draw_list.h"
#include "views/base/table_model.h"
#include "views/base/theme.h"

namespace expertscope {

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
    /// Takes the figures of a run, or newer ones of a run that it has.
    void take(RunFigures figures);
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

}  // namespace expertscope
