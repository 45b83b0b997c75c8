#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes trace.json, a made-up run that is awkward in every way that recorded runs are, and expected.json: what its analyses
are, computed with numpy and scipy by formulas written out here and not by the program. Run it in its folder; needs numpy and scipy.

expected.json: {NAME WITH PARAMETERS: {"columns": […], "rows": [[…]], "tolerance": {COLUMN: absolute}, "only": {COLUMN: [VALUE, …]}}};
columns and rows that the program has beyond those are not compared. Columns without a tolerance agree to 1e-9."""

import json
import math
from collections import Counter, defaultdict
from itertools import combinations, pairwise

import numpy as np
from scipy import stats

LAYERS, EXPERTS, TOP_K = 4, 12, 3
RNG = np.random.default_rng(20240711)
NAN = float("nan")


def make_trace() -> dict:
    """Three requests of two labels. Choices are sticky in time, depend on the layer before, on the token id and on the label; the
    last layer routes only a prompt's last token; a few choices are dropped, repeated or impossible; some weights are not known."""
    requests, tokens, selections, predictions = [], [], [], []
    step = token = 0
    by_id = RNG.normal(size=(LAYERS, 11, EXPERTS)) * 1.2
    by_label = {"code": RNG.normal(size=(LAYERS, EXPERTS)), "prose": RNG.normal(size=(LAYERS, EXPERTS))}
    popular = np.linspace(1.5, -1.5, EXPERTS)
    for request, (label, prompt, generated) in enumerate([("code", 9, 20), ("prose", 7, 17), ("code", 5, 25)]):
        requests.append({"request": request, "label": label, "first_token": token, "prompt_tokens": prompt, "generated_tokens": generated})
        sticky = np.zeros((LAYERS, EXPERTS))
        ids = RNG.integers(0, 11, prompt + generated)
        first_step = step
        for position in range(prompt + generated):
            in_prompt = position < prompt
            ran_in = first_step if in_prompt else first_step + 1 + position - prompt
            # A generated token is told by the step that produced it, and run by the next one.
            tokens.append([token + position, request, position, int(ids[position]), 0 if in_prompt else 1, ran_in - (not in_prompt)])
        runs = [list(range(prompt))] + [[p] for p in range(prompt, prompt + generated - 1)]
        for positions in runs:
            before = np.zeros((len(positions), EXPERTS))
            for layer in range(LAYERS):
                for row, position in enumerate(positions):
                    if layer == LAYERS - 1 and position < prompt - 1:
                        continue
                    logits = popular[(np.arange(EXPERTS) * 5 + layer) % EXPERTS] + by_id[layer, ids[position]] + by_label[label][layer]
                    logits = logits + sticky[layer] + 1.3 * np.roll(before[row], 2) + RNG.normal(size=EXPERTS)
                    chosen = np.argsort(-logits)[:TOP_K]
                    weights = np.exp(logits[chosen] - logits[chosen[0]])
                    weights = weights / weights.sum()
                    before[row] = 0
                    before[row][chosen] = [1.5, 1.0, 0.5]
                    sticky[layer] = 0
                    sticky[layer][chosen] = 0.9
                    for slot, expert in enumerate(chosen):
                        weight = float(np.float32(weights[slot]))
                        action = 0
                        draw = RNG.random()
                        if draw < 0.02:
                            action, weight = 3, 0.0
                        elif draw < 0.04:
                            weight = None
                        elif draw < 0.05:
                            action = 4
                        selections.append([step, token + position, layer, slot, int(expert), weight, action])
                    add_predictions(predictions, step, token + position, layer, chosen, logits)
                wished = RNG.choice(EXPERTS, 5, replace=False)
                for rank, expert in enumerate(wished):
                    predictions.append([step, token + positions[0], layer, (layer + 1) % LAYERS, int(expert), rank, 0.0, 3])
            step += 1
        token += prompt + generated
    spoil(selections)
    return {"model": {"layers": LAYERS, "experts": EXPERTS, "top_k": TOP_K}, "requests": requests, "tokens": tokens,
            "selections": selections, "predictions": predictions}


def add_predictions(predictions: list, step: int, token: int, layer: int, chosen: np.ndarray, logits: np.ndarray) -> None:
    """own-gate of the layer; next-gate 1 and 2 ahead, less sure with distance; pre-gate 1 ahead with its last choice missing now and
    then. Guesses come from this layer's choice, rolled as the next layer's depend on it."""
    for kind, ahead, noise in ((2, 0, 0.0), (1, 1, 1.0), (1, 2, 2.5), (0, 1, 0.4)):
        if layer + ahead >= LAYERS:
            continue
        guess = np.roll(logits, 2 * ahead) + noise * RNG.normal(size=EXPERTS)
        width = TOP_K - 1 if kind == 0 and RNG.random() < 0.3 else TOP_K
        for rank, expert in enumerate(np.argsort(-guess)[:width]):
            predictions.append([step, token, layer, layer + ahead, int(expert), rank, 0.1, kind])


def spoil(selections: list) -> None:
    """What damaged or careless recordings hold besides."""
    selections.append([0, 0, LAYERS, 0, 1, 0.5, 0])
    selections.append([0, 1, 0, 0, EXPERTS, 0.5, 0])
    selections.append([0, 2, 1, TOP_K, 3, 0.5, 0])
    selections.append(list(selections[40]))


def other_trace(trace: dict) -> dict:
    """A second run of the texts, as vector_fixture.cpp makes it too: every third token chose other experts, and the second request went
    on otherwise from its tenth token."""
    tokens = [[t[0], t[1], t[2], t[3] + (t[1] == 1 and t[2] >= 10), *t[4:]] for t in trace["tokens"]]
    selections = [[*s[:4], (s[4] + 1) % EXPERTS if s[1] % 3 == 0 and s[4] < EXPERTS else s[4], *s[5:]] for s in trace["selections"]]
    return {**trace, "tokens": tokens, "selections": selections}


class Run:
    """The choices that count: by layer, {token: {slot: (expert, weight)}}."""

    def __init__(self, trace: dict, phase: int | None = None):
        self.trace = trace
        self.phase = {t[0]: t[4] for t in trace["tokens"]}
        self.request = {t[0]: t[1] for t in trace["tokens"]}
        self.id = {t[0]: t[3] for t in trace["tokens"]}
        self.label = {r["request"]: r["label"] for r in trace["requests"]}
        self.step: dict = {}
        self.layers: list[dict] = [defaultdict(dict) for _ in range(LAYERS)]
        for step, token, layer, slot, expert, weight, action in trace["selections"]:
            if layer >= LAYERS or expert >= EXPERTS or slot >= TOP_K:
                continue
            if phase is not None and self.phase[token] != phase:
                continue
            self.step[token] = step
            row = self.layers[layer][token]
            if action == 3 or slot in row or expert in [e for e, _ in row.values()]:
                continue
            row[slot] = (expert, NAN if weight is None else weight)

    def sets(self, layer: int) -> dict:
        """token → experts, of tokens with all their choices."""
        return {t: frozenset(e for e, _ in row.values()) for t, row in sorted(self.layers[layer].items()) if len(row) == TOP_K}

    def any_sets(self, layer: int) -> dict:
        return {t: frozenset(e for e, _ in row.values()) for t, row in sorted(self.layers[layer].items())}

    def counts(self, layer: int) -> np.ndarray:
        c = np.zeros(EXPERTS)
        for row in self.layers[layer].values():
            for expert, _ in row.values():
                c[expert] += 1
        return c

    def mass(self, layer: int) -> np.ndarray:
        m = np.zeros(EXPERTS)
        for row in self.layers[layer].values():
            for expert, weight in row.values():
                if not math.isnan(weight):
                    m[expert] += weight
        return m


def random_counts(tokens: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """[draws, EXPERTS] loads of uniform choices of TOP_K different experts a token."""
    ranks = np.argsort(rng.random((draws, tokens, EXPERTS)), axis=2)[:, :, :TOP_K]
    return np.stack([np.bincount(r.ravel(), minlength=EXPERTS) for r in ranks]).astype(float)


def gini(c: np.ndarray) -> float:
    """By its definition: the mean difference of two over twice the mean."""
    return np.abs(c[:, None] - c[None, :]).mean() / (2 * c.mean())


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


def packed(loads: list, packs: int) -> list:
    """Items of each pack: heaviest first into the lightest pack with room."""
    room = len(loads) // packs
    if room == 1:
        return [[i] for i in range(packs)]
    result: list = [[] for _ in range(packs)]
    for item in sorted(range(len(loads)), key=lambda i: -loads[i]):
        min((p for p in result if len(p) < room), key=lambda p: sum(loads[i] for i in p)).append(item)
    return result


def eplb(loads: np.ndarray, replicas: int, groups: int, nodes: int, gpus: int) -> list:
    if groups % nodes:
        groups = nodes = 1
    size, slots = len(loads) // groups, []
    for node in packed([loads[g * size:(g + 1) * size].sum() for g in range(groups)], nodes):
        experts = [g * size + i for g in node for i in range(size)]
        held = list(experts)
        while len(held) < replicas // nodes:
            held.append(max(experts, key=lambda e: loads[e] / held.count(e)))
        for gpu in packed([loads[e] / held.count(e) for e in held], gpus // nodes):
            slots += [held[s] for s in gpu]
    return slots


def check_eplb() -> None:
    """The example that is published with the balancer."""
    loads = [[90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86], [20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27]]
    published = [[5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1], [7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1]]
    assert [eplb(np.array(w, float), 16, 4, 2, 8) for w in loads] == published


def placement_slots(run: Run, replicas: int, groups: int, nodes: int, gpus: int) -> dict:
    return {"contiguous": [list(range(EXPERTS))] * LAYERS, "eplb": [eplb(run.counts(l), replicas, groups, nodes, gpus) for l in range(LAYERS)]}


def placement(run: Run, replicas: int, groups: int, nodes: int, gpus: int) -> dict:
    """Expected traffic by going through every replica that each choice may go to."""
    rows = []
    for name, layers in placement_slots(run, replicas, groups, nodes, gpus).items():
        homes = [{e: [s // (len(slots) // gpus) for s in range(len(slots)) if slots[s] == e] for e in range(EXPERTS)} for slots in layers]
        for layer in range(LAYERS):
            load = np.zeros(gpus)
            for e, n in enumerate(run.counts(layer)):
                for g in homes[layer][e]:
                    load[g] += n / len(homes[layer][e])
            spread = {}
            for per, places in ((1, gpus), (gpus // nodes, nodes)):
                each = []
                for chosen in run.any_sets(layer).values():
                    if chosen:
                        away = np.ones(places)
                        for e in chosen:
                            away *= 1 - np.bincount(np.array(homes[layer][e]) // per, minlength=places) / len(homes[layer][e])
                        each.append((1 - away).sum())
                spread[per] = np.mean(each)
            hops = [None] * 3
            if layer:
                made = [(a, b) for m in transition_pairs(run, layer - 1, layer, "first") for a, b in m]
                ways = [[(g == h, g // (gpus // nodes) == h // (gpus // nodes)) for g in homes[layer - 1][a] for h in homes[layer][b]] for a, b in made]
                same_gpu, same_node = np.mean([np.mean(w, axis=0) for w in ways], axis=0)
                hops = [same_gpu, same_node - same_gpu, 1 - same_node]
            rows.append([name, layer, load.max() / load.mean() - 1, load.mean() / load.max(), spread[1], spread[gpus // nodes], *hops])
    return {"columns": ["placement", "layer", "gpu_imbalance", "balancedness", "gpus_per_token", "nodes_per_token", "same_gpu", "same_node_only",
                        "cross_node"], "rows": rows, "only": {"placement": ["contiguous", "eplb"]}}


def placement_map(run: Run, replicas: int, groups: int, nodes: int, gpus: int) -> dict:
    rows = []
    for name, layers in placement_slots(run, replicas, groups, nodes, gpus).items():
        for layer, slots in enumerate(layers):
            per = len(slots) // gpus
            rows += [[name, layer, s, s // per, s // per // (gpus // nodes), e] for s, e in enumerate(slots)]
    return {"columns": ["placement", "layer", "slot", "gpu", "node", "expert"], "rows": rows, "only": {"placement": ["contiguous", "eplb"]}}


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


def main() -> None:
    check_eplb()
    trace = make_trace()
    every, decode = Run(trace), Run(trace, phase=1)
    expected = {
        "balance:batch=8": balance(every, 1.25, 8),
        "balance:batch=8:capacity=1:phase=decode": balance(decode, 1.0, 8),
        "load": load(every),
        "repetition": repetition(every),
        "overlap:longest=16": overlap(every, 16),
        "overlap:longest=8:phase=decode": overlap(decode, 8),
        "reuse": reuse(every),
        "reuse-histogram": reuse_histogram(every, list(range(LAYERS))),
        "reuse-histogram:layer=2:phase=decode": reuse_histogram(decode, [2]),
        "working-set": working_set(every),
        "coverage:longest=16": coverage(every, 16),
        "lru-curve:points=16": lru_curve(every, 16),
        "prediction-quality": prediction_quality(every),
        "co-activation:top=9:least=5": co_activation(every, 9, 5, False),
        "co-activation:top=0:least=1:pairs=adjacent:phase=decode": co_activation(decode, 0, 1, True),
        "transitions:top=0": transitions(every, 1, "first", 0),
        "transitions:ahead=2:pairs=all:top=10": transitions(every, 2, "all", 10),
        "transitions:across=tokens:pairs=rank:top=7": transitions(every, 0, "rank", 7),
        "transition-information": transition_information(every, 1, "first"),
        "transition-information:across=tokens": transition_information(every, 0, "first"),
        "layer-similarity": layer_similarity(every),
        "layer-distance": layer_distance(every),
        "specialisation": specialisation(every),
        "committee:presence=0.5": committee(every, 0.5),
        "committee:presence=1:phase=decode": committee(decode, 1.0),
        "vocabulary:least=3": vocabulary(every, 3),
        "vocabulary-tokens:least=2:top=3": vocabulary_tokens(every, "input", 2, 3),
        "vocabulary-tokens:least=2:top=2:of=predicted": vocabulary_tokens(every, "predicted", 2, 2),
        "chosen-experts:first=3:tokens=30": chosen_experts(every, 3, 30),
        "saturation": saturation(every, Run(other_trace(trace))),
        "activation-ratio": activation_ratio(every),
        "request-reuse": request_reuse(every),
        "request-groups:groups=2": request_groups(every, 2),
        "placement:gpus=4:nodes=2:replicas=16:groups=2": placement(every, 16, 2, 2, 4),
        "placement-map:gpus=4:nodes=2:replicas=16:groups=2": placement_map(every, 16, 2, 2, 4),
        "placement-map:gpus=6:nodes=2:replicas=18:groups=3": placement_map(every, 18, 3, 2, 6),
    }

    def plain(value):
        if isinstance(value, (np.integer, np.floating)):
            value = value.item()
        return None if isinstance(value, float) and not math.isfinite(value) else value

    for table in expected.values():
        table["rows"] = [[plain(v) for v in row] for row in table["rows"]]
    with open("trace.json", "w") as out:
        json.dump(trace, out, separators=(",", ":"))
    with open("expected.json", "w") as out:
        json.dump(expected, out, separators=(",", ":"))


if __name__ == "__main__":
    main()
