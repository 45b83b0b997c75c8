# SPDX-License-Identifier: GPL-3.0-or-later
"""How evenly experts are loaded."""

import math
from collections import Counter

import numpy as np
from scipy import stats

from .choices import Run, gini, random_counts
from .shape import EXPERTS, LAYERS


def balance(run: Run, capacity: float, batch: int) -> dict:
    columns = ["layer", "tokens", "assignments", "max_vio", "batch_max_vio", "cv", "entropy_bits", "entropy_norm", "effective_experts",
               "gini", "max_share", "hottest", "used_experts", "dead_experts", "starved_experts", "drop_rate", "switch_loss",
               "random_max_vio", "random_cv", "random_entropy_bits", "random_gini", "random_drop_rate"]
    rows = []
    rng = np.random.default_rng(1)
    for layer in range(LAYERS):
        c, m = run.counts(layer), run.mass(layer)
        p, mean = c / c.sum(), c.mean()
        entropy = stats.entropy(p, base=2)
        batches = []
        tokens = sorted(run.layers[layer])
        for i in range(0, len(tokens) - batch + 1, batch):
            b = Counter(e for t in tokens[i:i + batch] for e, _ in run.layers[layer][t].values())
            batches.append(max(b.values()) / (sum(b.values()) / EXPERTS) - 1)
        drawn = random_counts(len(tokens), 4000, rng)
        drawn_mean = drawn.mean(axis=1)
        over = np.maximum(drawn - capacity * drawn_mean[:, None], 0).sum(axis=1) / drawn.sum(axis=1)
        rows.append([layer, len(tokens), int(c.sum()), c.max() / mean - 1, np.mean(batches) if batches else None, stats.variation(c), entropy,
                     entropy / math.log2(EXPERTS), 2**entropy, gini(c), p.max(), int(c.argmax()), int((c > 0).sum()), int((c == 0).sum()),
                     int((c < 0.1 * mean).sum()), np.maximum(c - capacity * mean, 0).sum() / c.sum(), EXPERTS * (p * m / m.sum()).sum(),
                     (drawn.max(axis=1) / drawn_mean - 1).mean(), (drawn.std(axis=1) / drawn_mean).mean(),
                     np.mean([stats.entropy(d, base=2) for d in drawn]), np.mean([gini(d) for d in drawn]), over.mean()])
    # 64 draws against 4000: three standard errors of what 64 draws can say.
    return {"columns": columns, "rows": rows, "tolerance": {"random_max_vio": 0.08, "random_cv": 0.03, "random_entropy_bits": 0.02,
                                                            "random_gini": 0.015, "random_drop_rate": 0.01}}


def load(run: Run) -> dict:
    rows = []
    for layer in range(LAYERS):
        c, m = run.counts(layer), run.mass(layer)
        for e in range(EXPERTS):
            rows.append([layer, e, int(c[e]), c[e] / c.sum(), c[e] / len(run.layers[layer]), m[e] / m.sum(), c[e] / c.mean(), 1 / EXPERTS])
    return {"columns": ["layer", "expert", "assignments", "share", "token_share", "weight_share", "relative_load", "random_share"], "rows": rows}
