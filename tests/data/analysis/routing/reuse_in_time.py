# SPDX-License-Identifier: GPL-3.0-or-later
"""When experts are chosen again, and what a cache makes of it."""

import math
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
from scipy import stats

from .choices import Run, random_counts
from .shape import EXPERTS, LAYERS, TOP_K


def overlap(run: Run, longest: int) -> dict:
    rows = []
    for layer in range(LAYERS):
        s = run.sets(layer)
        p = sum(np.bincount(list(v), minlength=EXPERTS) for v in s.values()) / len(s)
        lag = 1
        while lag <= longest:
            pairs = [(a, s[t - lag]) for t, a in s.items() if t - lag in s and run.request[t] == run.request[t - lag]]
            rows.append([layer, lag, len(pairs), np.mean([len(a & b) for a, b in pairs]) / TOP_K if pairs else None, TOP_K / EXPERTS,
                         (p**2).sum() / TOP_K])
            lag *= 2
    return {"columns": ["layer", "lag", "pairs", "overlap", "random", "popularity_only"], "rows": rows}


def repetition(run: Run) -> dict:
    rows = []
    none = math.comb(EXPERTS - TOP_K, TOP_K) / math.comb(EXPERTS, TOP_K)
    for layer in range(LAYERS):
        s, choices = run.sets(layer), run.layers[layer]
        firsts = [choices[t][0][0] == choices[t + 1][0][0] for t in sorted(choices)
                  if t + 1 in choices and run.request[t] == run.request[t + 1] and 0 in choices[t] and 0 in choices[t + 1]]
        anys = [bool(s[t] & s[t + 1]) for t in s if t + 1 in s and run.request[t] == run.request[t + 1]]
        rows.append([layer, len(anys), np.mean(firsts), np.mean(anys), 1 / EXPERTS, 1 - none])
    return {"columns": ["layer", "pairs", "first_choice", "any_choice", "random_first_choice", "random_any_choice"], "rows": rows}


def distances_of(run: Run, layer: int) -> tuple[list, Counter]:
    uses = defaultdict(list)
    for token, chosen in run.any_sets(layer).items():
        for e in chosen:
            uses[e].append(token)
    return [b - a for times in uses.values() for a, b in pairwise(times)], Counter({e: len(t) for e, t in uses.items()})


def reuse(run: Run) -> dict:
    rows = []
    geometric = stats.geom(TOP_K / EXPERTS)
    for layer in range(LAYERS):
        d, uses = distances_of(run, layer)
        p50, p90 = np.percentile(d, [50, 90], method="inverted_cdf")
        rows.append([layer, len(d), p50, p90, np.mean(d), max(d), sum(u == 1 for u in uses.values()), EXPERTS - len(uses),
                     geometric.ppf(0.5), geometric.ppf(0.9), geometric.mean()])
    return {"columns": ["layer", "distances", "p50", "p90", "mean", "longest", "used_once", "never_used", "random_p50", "random_p90",
                        "random_mean"], "rows": rows}


def reuse_histogram(run: Run, layers: list) -> dict:
    d = [x for layer in layers for x in distances_of(run, layer)[0]]
    geometric = stats.geom(TOP_K / EXPERTS)
    rows, low = [], 1
    while low <= max(d):
        count = sum(low <= x < 2 * low for x in d)
        rows.append([low, 2 * low - 1, count, count / len(d), geometric.pmf(np.arange(low, 2 * low)).sum()])
        low *= 2
    return {"columns": ["from", "to", "count", "share", "random_share"], "rows": rows}


def by_request(run: Run, layer: int) -> list:
    """The tokens' expert lists of each request, in order."""
    groups = defaultdict(list)
    for token, chosen in run.any_sets(layer).items():
        groups[run.request[token]].append(chosen)
    return list(groups.values())


def working_set(run: Run) -> dict:
    groups = [g for layer in range(LAYERS) for g in by_request(run, layer)]
    rows, n = [], 1
    while any(len(g) >= n for g in groups):
        sizes = [len(frozenset().union(*g[:n])) for g in groups if len(g) >= n]
        rows.append([n, len(sizes), np.mean(sizes), max(sizes), np.mean(sizes) / EXPERTS, 1 - (1 - TOP_K / EXPERTS) ** n])
        n *= 2
    return {"columns": ["tokens", "windows", "distinct", "most", "share", "random_share"], "rows": rows}


def needed(counts: np.ndarray, percent: int) -> int:
    taken = np.cumsum(np.sort(counts)[::-1])
    return int(np.argmax(100 * taken >= percent * counts.sum())) + 1


def coverage(run: Run, longest: int) -> dict:
    percents = [50, 80, 90, 95, 99]
    rng = np.random.default_rng(2)
    rows, n = [], 1
    while n <= longest:
        blocks = []
        for layer in range(LAYERS):
            for g in by_request(run, layer):
                for i in range(0, len(g) - n + 1, n):
                    blocks.append(np.bincount([e for chosen in g[i:i + n] for e in chosen], minlength=EXPERTS))
        if not blocks:
            break
        distinct = [int((b > 0).sum()) for b in blocks]
        drawn = random_counts(n, 3000, rng)
        rows.append([n, len(blocks), np.mean(distinct), *np.percentile(distinct, percents, method="inverted_cdf"),
                     *[np.mean([needed(b, p) if b.sum() else 0 for b in blocks]) for p in percents],
                     EXPERTS * (1 - (1 - TOP_K / EXPERTS) ** n), *[np.mean([needed(b, p) for b in drawn]) for p in percents]])
        n *= 2
    columns = ["block_tokens", "blocks", "mean_distinct", *[f"distinct_{p}" for p in percents], *[f"needed_{p}" for p in percents],
               "random_distinct", *[f"random_needed_{p}" for p in percents]]
    return {"columns": columns, "rows": rows, "tolerance": {f"random_needed_{p}": 0.25 for p in percents}}


def lru_hits(groups: list, size: int) -> list:
    """[(lookups, hits, decode), …] of each layer step: a cache simulated for one size. `recent` is ordered by last use."""
    recent: list = []
    result = []
    for decode, uses in groups:
        hits = sum(x in recent for x in set(uses))
        for x in uses:
            if x in recent:
                recent.remove(x)
            recent.append(x)
        recent = recent[max(0, len(recent) - size):]
        result.append((len(set(uses)), hits, decode))
    return result


def lru_curve(run: Run, points: int) -> dict:
    steps = defaultdict(list)
    for layer in range(LAYERS):
        for token, row in sorted(run.layers[layer].items()):
            steps[run.step[token], layer].append((run.phase[token], [(layer, row[s][0]) for s in sorted(row)]))
    groups = [(made[0][0] == 1, [x for _, uses in made for x in uses]) for _, made in sorted(steps.items())]
    rng = np.random.default_rng(6)

    def uniform() -> list:
        return [(d, [(uses[0][0] if uses else 0, e) for _ in range(max(1, round(len(uses) / TOP_K))) for e in rng.choice(EXPERTS, TOP_K, replace=False)])
                for d, uses in groups]

    drawn = [uniform() for _ in range(12)]
    rows = []
    for size in sorted({math.ceil(LAYERS * EXPERTS * p / points) for p in range(1, points + 1)}):
        n = np.array(lru_hits(groups, size))
        chance = np.mean([np.array(lru_hits(g, size))[:, 1].sum() / np.array(lru_hits(g, size))[:, 0].sum() for g in drawn])
        decode = n[n[:, 2] == 1]
        rows.append([size, size / (LAYERS * EXPERTS), n[:, 1].sum() / n[:, 0].sum(), decode[:, 1].sum() / decode[:, 0].sum(), chance])
    return {"columns": ["experts", "part_of_all", "hit_rate", "decode_hit_rate", "uniform_hit_rate"], "rows": rows,
            "tolerance": {"uniform_hit_rate": 0.06}}
