# SPDX-License-Identifier: GPL-3.0-or-later
"""How good predictions were."""

import math
from collections import defaultdict

import numpy as np

from .choices import Run
from .shape import EXPERTS, LAYERS


def prediction_quality(run: Run) -> dict:
    """Every control by its plain meaning: all subsets for chance, all pairs of tokens for shuffling."""
    guesses: dict = defaultdict(lambda: defaultdict(set))
    for step, token, source, target, expert, _, _, kind in run.trace["predictions"]:
        guesses[kind, source, target][(step, token)].add(expert)
    steps = [defaultdict(set) for _ in range(LAYERS)]
    request_of_step = {}
    for layer in range(LAYERS):
        for token, chosen in run.any_sets(layer).items():
            steps[layer][run.step[token]] |= chosen
            request_of_step[run.step[token]] = run.request[token]
    tables = {}
    for (kind, source, target), made in guesses.items():
        ahead, pairs = target - source, []
        for (step, token), expected in made.items():
            if kind == 3:
                meant = step if target > source else step + 1
                used = steps[target].get(meant)
                if request_of_step.get(meant) != run.request[token]:
                    used = None
            else:
                used = run.any_sets(target).get(token)
            if used:
                pairs.append((frozenset(expected), frozenset(used)))
        tables[kind, ahead if ahead > 0 or kind != 3 else ahead + LAYERS, target] = pairs
    names = {0: "pre-gate", 1: "next-gate", 2: "own-gate", 3: "policy"}
    rows = []
    for kind, ahead in sorted({(k, a) for k, a, _ in tables}):
        sums = np.zeros(9)
        for target in sorted(t for k, a, t in tables if (k, a) == (kind, ahead)):
            pairs = tables[kind, ahead, target]
            n = len(pairs)
            each = np.array([
                n, sum(len(p) for p, _ in pairs), sum(len(a) for _, a in pairs), sum(len(p & a) for p, a in pairs),
                sum(p == a for p, a in pairs), sum(len(p) * len(a) / EXPERTS for p, a in pairs),
                sum(1 / math.comb(EXPERTS, len(a)) for p, a in pairs if len(p) == len(a)),
                sum(len(p & a) for p, _ in pairs for _, a in pairs) / n, sum(p == a for p, _ in pairs for _, a in pairs) / n])
            sums += each
            rows.append([names[kind], ahead, target, *quality_scores(each)])
        rows.append([names[kind], ahead, "all", *quality_scores(sums)])
    return {"columns": ["predictor", "ahead", "layer", "predictions", "expected", "used", "found", "recall", "precision", "exact_rate",
                        "random_recall", "random_precision", "random_exact_rate", "shuffled_recall", "shuffled_precision",
                        "shuffled_exact_rate"], "rows": rows}


def quality_scores(sums: np.ndarray) -> list:
    n, expected, used, found, exact, random_found, random_exact, shuffled_found, shuffled_exact = sums
    return [n, expected, used, found, found / used, found / expected, exact / n, random_found / used, random_found / expected, random_exact / n,
            shuffled_found / used, shuffled_found / expected, shuffled_exact / n]
