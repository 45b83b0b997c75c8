# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests compared with each other, and runs of the same text."""

import math
from collections import defaultdict
from itertools import combinations

import numpy as np
from scipy import stats

from .choices import Run, gini, random_counts
from .shape import EXPERTS, LAYERS, TOP_K


def saturation(run: Run, other: Run) -> dict:
    rows = []
    for layer in range(LAYERS):
        a, b = run.sets(layer), other.sets(layer)
        apart = {t[1]: t[2] for t in reversed(run.trace["tokens"]) if run.id[t[0]] != other.id[t[0]]}
        position = {t[0]: t[2] for t in run.trace["tokens"]}
        both = [t for t in a if t in b and position[t] < apart.get(run.request[t], math.inf)]
        firsts = [run.layers[layer][t][0][0] == other.layers[layer][t][0][0] for t in both]
        rows.append([layer, len(both), np.mean([len(a[t] & b[t]) for t in both]) / TOP_K, np.mean(firsts), TOP_K / EXPERTS, 1 / EXPERTS])
    return {"columns": ["layer", "tokens", "saturation", "first_choice", "random", "random_first_choice"], "rows": rows}


def activation_matrices(run: Run) -> dict:
    matrices = defaultdict(lambda: np.zeros((LAYERS, EXPERTS)))
    for layer in range(LAYERS):
        for token, chosen in run.any_sets(layer).items():
            matrices[run.request[token]][layer, list(chosen)] += 1
    return dict(sorted(matrices.items()))


def activation_ratio(run: Run) -> dict:
    rows, n = [], 1
    while n <= len(run.label):
        ratios = []
        for layer in range(LAYERS):
            sets = defaultdict(list)
            for token, chosen in run.any_sets(layer).items():
                if run.phase[token] == 1:
                    sets[run.request[token]].append(chosen)
            lists = [sets[r] for r in sorted(sets)]
            for i in range(0, len(lists) - n + 1, n):
                ratios += [len(frozenset().union(*step)) / EXPERTS for step in zip(*lists[i:i + n])]
        rows.append([n, len(ratios), np.mean(ratios), 1 - (1 - TOP_K / EXPERTS) ** n])
        n *= 2
    return {"columns": ["batch", "iterations", "activation_ratio", "random_ratio"], "rows": rows}


def request_reuse(run: Run) -> dict:
    matrices = np.array(list(activation_matrices(run).values()))
    rows = []
    rng = np.random.default_rng(5)
    for layer in range(LAYERS):
        each, whole = matrices[:, layer], matrices[:, layer].sum(axis=0)
        tokens = [math.ceil(c.sum() / TOP_K) for c in each]
        chance = np.mean([np.mean([gini(d) for d in random_counts(t, 2000, rng)]) for t in tokens])
        together = np.mean([gini(d) for d in random_counts(sum(tokens), 2000, rng)])
        rows.append([layer, len(each), np.mean([gini(c) for c in each]), gini(whole), np.mean([stats.variation(c) for c in each]),
                     stats.variation(whole), np.mean([(c > 0).sum() for c in each]), int((whole > 0).sum()), chance, together])
    return {"columns": ["layer", "requests", "gini_within", "gini_across", "cv_within", "cv_across", "used_within", "used_across",
                        "random_gini_within", "random_gini_across"], "rows": rows,
            "tolerance": {"random_gini_within": 0.02, "random_gini_across": 0.02}}


def request_groups(run: Run, groups: int) -> dict:
    """With three requests every choice of two medoids can be tried: the medoids are those of the least sum of distances."""
    matrices = activation_matrices(run)
    ids = list(matrices)
    unit = {r: m / np.linalg.norm(m, axis=1, keepdims=True) for r, m in matrices.items()}
    far = {(a, b): float((1 - (unit[a] * unit[b]).sum(axis=1)).mean()) if a != b else 0.0 for a in ids for b in ids}
    medoids = min(combinations(ids, groups), key=lambda ms: sum(min(far[r, m] for m in ms) for r in ids))
    rows, numbers = [], {}
    mean = np.mean([far[a, b] for a, b in combinations(ids, 2)])
    for r in ids:
        near, *others = sorted(medoids, key=lambda m: far[r, m])
        rows.append([r, run.label[r], numbers.setdefault(near, len(numbers)), far[r, near], far[r, others[0]] if others else None, mean])
    # Of a group of two either may be the medoid, so that it and the single distances are not compared.
    return {"columns": ["request", "label", "group", "mean_distance"], "rows": [[r[0], r[1], r[2], r[5]] for r in rows]}
