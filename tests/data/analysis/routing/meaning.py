# SPDX-License-Identifier: GPL-3.0-or-later
"""What experts are chosen for: labels of prompts and token ids."""

import math
from collections import Counter, defaultdict

import numpy as np

from .choices import Run
from .shape import EXPERTS, LAYERS, NAN, TOP_K


def by_label(run: Run, layer: int) -> dict:
    """label → the rows of its tokens."""
    groups = defaultdict(list)
    for token, row in sorted(run.layers[layer].items()):
        groups[run.label[run.request[token]]].append(row)
    return groups


def specialisation(run: Run) -> dict:
    rows = []
    for layer in range(LAYERS):
        groups = by_label(run, layer)
        counts = {d: np.bincount([e for row in g for e, _ in row.values()], minlength=EXPERTS) for d, g in groups.items()}
        everything, tokens = sum(counts.values()), sum(map(len, groups.values()))
        for d in ("code", "prose"):
            for e in range(EXPERTS):
                rows.append([layer, d, e, len(groups[d]), counts[d][e], counts[d][e] / len(groups[d]), counts[d][e] / counts[d].sum(),
                             counts[d][e] / counts[d].mean(), everything[e] / tokens, TOP_K / EXPERTS])
    return {"columns": ["layer", "label", "expert", "label_tokens", "count", "token_share", "share", "relative_load", "all_labels_token_share",
                        "random_token_share"], "rows": rows}


def committee(run: Run, presence: float) -> dict:
    rows = []
    for layer in range(LAYERS):
        masses = []
        for g in by_label(run, layer).values():
            mass = np.zeros(EXPERTS)
            for row in g:
                for e, w in row.values():
                    mass[e] += 0 if math.isnan(w) else w
            masses.append(mass / len(g))
        ranks = np.full((len(masses), EXPERTS), TOP_K + 1)
        for d, mass in enumerate(masses):
            ranks[d, np.argsort(-mass, kind="stable")[:TOP_K]] = np.arange(1, TOP_K + 1)
        mean, variance = ranks.mean(axis=0), ranks.var(axis=0)
        standing = [e for e in range(EXPERTS) if (ranks[:, e] <= TOP_K).mean() >= presence]
        members = [e for e in standing if not any(mean[o] <= mean[e] and variance[o] <= variance[e] and (mean[o], variance[o]) != (mean[e], variance[e])
                                                  for o in standing)]
        cover = sum(m[members].sum() for m in masses) / sum(m.sum() for m in masses)
        n = len(members)
        rows.append([layer, " ".join(map(str, members)), n, mean[members].mean() if n else None, variance[members].mean() if n else None, cover,
                     n / EXPERTS, (cover / n) / ((1 - cover) / (EXPERTS - n)) if n else None])
    return {"columns": ["layer", "committee", "size", "mean_rank", "rank_variance", "coverage", "random_coverage", "ratio"], "rows": rows}


def ids_of(run: Run, layer: int, role: str) -> dict:
    """token → id, of the layer's tokens that have one in this role."""
    ids = {}
    for token in sorted(run.layers[layer]):
        if role == "input":
            ids[token] = run.id[token]
        elif run.request.get(token + 1) == run.request[token] and run.phase[token + 1] == (role == "predicted"):
            ids[token] = run.id[token + 1]
    return ids


def mean_max_share(run: Run, layer: int, ids: dict, least: int) -> tuple[int, int, float]:
    tokens = defaultdict(list)
    for token, id_ in ids.items():
        tokens[id_].append(token)
    kept = {i: t for i, t in tokens.items() if len(t) >= least}
    shares = [max(Counter(e for x in t for e, _ in run.layers[layer][x].values()).values()) / len(t) for t in kept.values()]
    return len(kept), sum(map(len, kept.values())), float(np.mean(shares)) if shares else NAN


def vocabulary(run: Run, least: int) -> dict:
    rows = []
    rng = np.random.default_rng(4)
    for layer in range(LAYERS):
        for role in ("input", "predicted", "next"):
            ids = ids_of(run, layer, role)
            dealt = [mean_max_share(run, layer, dict(zip(ids, rng.permutation(list(ids.values())))), least)[2] for _ in range(60)]
            rows.append([layer, role, *mean_max_share(run, layer, ids, least), np.mean(dealt) if dealt else NAN, TOP_K / EXPERTS])
    return {"columns": ["layer", "of", "ids", "tokens", "mean_max_share", "shuffled_mean_max_share", "random_share"], "rows": rows,
            "tolerance": {"shuffled_mean_max_share": 0.08}}


def vocabulary_tokens(run: Run, role: str, least: int, top: int) -> dict:
    rows = []
    for layer in range(LAYERS):
        ids = ids_of(run, layer, role)
        tokens = Counter(ids.values())
        pairs = Counter((e, i) for t, i in ids.items() for e, _ in run.layers[layer][t].values() if tokens[i] >= least)
        for expert in range(EXPERTS):
            best = sorted((-n / tokens[i], -n, i) for (e, i), n in pairs.items() if e == expert)
            rows += [[layer, expert, i, f"t{i}", -n, tokens[i], -share, TOP_K / EXPERTS] for share, n, i in best[:top]]
    return {"columns": ["layer", "expert", "id", "text", "count", "id_tokens", "share", "random_share"], "rows": rows}


def chosen_experts(run: Run, first: int, tokens: int) -> dict:
    rows = []
    for layer in range(LAYERS):
        held: dict = {}
        for t in sorted(run.layers[layer]):
            row = run.layers[layer][t]
            follows = t - 1 in run.layers[layer] and run.request[t] == run.request[t - 1]
            held = {e: (held.get(e, 0) if follows else 0) + 1 for e, _ in row.values()}
            if first <= t < first + tokens:
                rows += [[layer, t, f"t{run.id[t]}", slot, e, w, held[e], EXPERTS / (EXPERTS - TOP_K)]
                         for slot, (e, w) in sorted(row.items())]
    return {"columns": ["layer", "token", "text", "slot", "expert", "weight", "in_a_row", "random_in_a_row"], "rows": rows}
