# SPDX-License-Identifier: GPL-3.0-or-later
"""Which experts are chosen together, one after the other, and in which layers alike."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
from scipy import stats

from .choices import Run
from .shape import EXPERTS, LAYERS, TOP_K


def co_activation(run: Run, top: int, least: int, adjacent: bool) -> dict:
    rows = []
    k, n_other = TOP_K, EXPERTS - 1
    others = 2 * (k - 1) / k if adjacent else k - 1
    for layer in range(LAYERS):
        alone, together, tokens = Counter(), Counter(), 0
        for row in run.layers[layer].values():
            tokens += bool(row)
            alone.update(e for e, _ in row.values())
            for (s, (a, _)), (t, (b, _)) in combinations(sorted(row.items()), 2):
                if not adjacent or t == s + 1:
                    together[a, b] += 1
                    together[b, a] += 1
        pairs = [(-n / alone[a], -n, a, b) for (a, b), n in together.items() if alone[a] >= least]
        for share, n, a, b in sorted(pairs)[:top or None]:
            rows.append([layer, a, b, -n, alone[a], -share, -n * tokens / (alone[a] * alone[b]), others / n_other, others / n_other * EXPERTS / k])
    return {"columns": ["layer", "expert", "other", "together", "expert_tokens", "share", "lift", "random_share", "random_lift"], "rows": rows}


def transition_pairs(run: Run, source: int, target: int, pairs: str) -> list:
    """[(choice, next choice), …] of each token that both layers routed; source = target: of each token and the next."""
    result = []
    for token, row in sorted(run.layers[source].items()):
        following = token + (source == target)
        if following not in run.layers[target] or run.request.get(following) != run.request[token]:
            continue
        a, b = row, run.layers[target][following]
        if pairs == "all":
            result.append([(e, f) for e, _ in a.values() for f, _ in b.values()])
        else:
            result.append([(a[s][0], b[s][0]) for s in range(1 if pairs == "first" else TOP_K) if s in a and s in b])
    return result


def transitions(run: Run, ahead: int, pairs: str, top: int) -> dict:
    rows = []
    for source in range(LAYERS - ahead):
        counts = Counter(x for made in transition_pairs(run, source, source + ahead, pairs) for x in made)
        out, into = Counter(), Counter()
        for (i, j), n in counts.items():
            out[i] += n
            into[j] += n
        total = sum(counts.values())
        for (i, j), n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top or None]:
            rows.append([source, source + ahead, i, j, n, n / out[i], n * total / (out[i] * into[j]), 1 / EXPERTS])
    return {"columns": ["layer", "next_layer", "expert", "next_expert", "count", "probability", "lift", "random_probability"], "rows": rows}


def information(pairs: list) -> list:
    """mutual information, the same corrected, both entropies, normalised, share of the top fifth of successors"""
    table = np.zeros((EXPERTS, EXPERTS))
    for i, j in pairs:
        table[i, j] += 1
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    seen = table[rows > 0][:, columns > 0]
    bits = stats.chi2_contingency(seen, lambda_="log-likelihood", correction=False)[0] / (2 * table.sum() * math.log(2))
    corrected = max(0, bits - ((seen > 0).sum() - seen.shape[0] - seen.shape[1] + 1) / (2 * table.sum() * math.log(2)))
    entropies = [stats.entropy(x, base=2) for x in (rows, columns)]
    top = np.sort(table, axis=1)[:, -math.ceil(EXPERTS / 5):].sum() / table.sum()
    return [bits, corrected, *entropies, corrected / entropies[1], top]


def transition_information(run: Run, ahead: int, pairs: str) -> dict:
    result = []
    rng = np.random.default_rng(3)
    for source in range(LAYERS - ahead):
        made = [m for m in transition_pairs(run, source, source + ahead, pairs)]
        flat = [x for m in made for x in m]
        first, second = zip(*flat)
        shuffled = np.mean([information(list(zip(first, rng.permutation(second)))) for _ in range(400)], axis=0)
        result.append([source, source + ahead, sum(bool(m) for m in made), *information(flat), shuffled[0], shuffled[1], shuffled[5]])
    # Four permutations against 400.
    return {"columns": ["layer", "next_layer", "tokens", "mi_bits", "mi_corrected_bits", "entropy_bits", "next_entropy_bits", "mi_normalised",
                        "top_successors", "shuffled_mi_bits", "shuffled_mi_corrected_bits", "shuffled_top_successors"], "rows": result,
            "tolerance": {"shuffled_mi_bits": 0.15, "shuffled_mi_corrected_bits": 0.1, "shuffled_top_successors": 0.08}}


def layer_similarity(run: Run) -> dict:
    rows = []
    for a, b in combinations(range(LAYERS), 2):
        x, y = run.counts(a), run.counts(b)
        unit = np.linalg.norm(x) * np.linalg.norm(y)
        rows.append([a, b, b - a, x @ y / unit, stats.spearmanr(x, y)[0], x.sum() * y.sum() / (EXPERTS * unit)])
    return {"columns": ["layer", "other_layer", "distance", "cosine", "spearman", "random_cosine"], "rows": rows}


def layer_distance(run: Run) -> dict:
    pairs = np.array(layer_similarity(run)["rows"])
    rows = [[d, int((pairs[:, 2] == d).sum()), *pairs[pairs[:, 2] == d][:, 3:].mean(axis=0)] for d in range(1, LAYERS)]
    return {"columns": ["distance", "pairs", "cosine", "spearman", "random_cosine"], "rows": rows}
