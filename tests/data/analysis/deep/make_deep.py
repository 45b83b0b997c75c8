#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes capture.json, made-up outputs of every expert of three layers with something to find in them (an expert of
zeros, one of outliers, choices that were dropped), and expected.json: what the analyses of a deep capture are of them,
computed with numpy and scipy by formulas written out here and not by the program. Run it in its folder; needs numpy and
scipy.

expected.json: {NAME WITH PARAMETERS: {"columns": […], "rows": [[…]], "tolerance": {COLUMN: absolute}}}. The program
takes products in float32."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import stats

EXPERTS, HIDDEN, NEURONS, TOKENS, TOP_K, MODEL_LAYERS = 6, 10, 7, 9, 2, 5
LAYERS = (0, 1, 4)
EXAMPLES, MATRICES, ACTIVE = 4, 3, 0.001
RNG = np.random.default_rng(2406)


def make_layer(layer: int) -> dict:
    outputs = RNG.standard_normal((TOKENS, EXPERTS, HIDDEN)) * RNG.uniform(0.5, 3, (TOKENS, EXPERTS, 1))
    outputs += RNG.standard_normal((TOKENS, 1, HIDDEN))  # something in common
    logits = RNG.standard_normal((TOKENS, EXPERTS)) * 2 + layer
    if layer == 1:
        outputs[2, 4] = 0
        outputs[:, 5, 3] *= 40  # greatest by far
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    weights = np.full((TOKENS, EXPERTS), np.nan)
    for t in range(TOKENS):
        best = np.argsort(-logits[t])[:TOP_K]
        if layer == 4 and t == 3:
            best = best[:1]  # one was dropped
        weights[t, best] = scores[t, best] / scores[t, best].sum()
    activations = RNG.standard_normal((TOKENS, EXPERTS, NEURONS)) * RNG.uniform(0, 1, (1, EXPERTS, 1))
    activations[RNG.uniform(size=activations.shape) < 0.2] = 0.0005
    activations[:, 2, 1] = 0
    return {
        "layer": layer,
        "index": np.arange(20, 20 + TOKENS),
        "logits": logits.astype(np.float32),
        "weights": weights.astype(np.float32),
        "outputs": outputs.astype(np.float32),
        "activations": activations.astype(np.float32),
        "hidden_max": float(RNG.uniform(5, 50)),
    }


def listed(array) -> list:
    """Nested lists of numbers, NaN as None."""
    if np.ndim(array):
        return [listed(part) for part in array]
    value = array.item() if isinstance(array, np.generic) else array
    return None if isinstance(value, float) and np.isnan(value) else value


class Layer:
    """A layer's arrays in float64 and what every table needs of them."""

    def __init__(self, made: dict):
        self.number = made["layer"]
        self.index = made["index"]
        self.logits = made["logits"].astype(float)
        self.weights = made["weights"].astype(float)
        self.outputs = made["outputs"].astype(float)
        self.signed_activations = made["activations"].astype(float)
        self.activations = np.abs(self.signed_activations)
        self.hidden_max = made["hidden_max"]
        self.chosen = ~np.isnan(self.weights)
        self.norms = np.linalg.norm(self.outputs, axis=2)
        self.scores = np.exp(self.logits) / np.exp(self.logits).sum(axis=1, keepdims=True)
        self.cosines = np.full((TOKENS, EXPERTS, EXPERTS), np.nan)
        for t in range(TOKENS):
            for a, b in np.ndindex(EXPERTS, EXPERTS):
                if self.norms[t, a] > 0 and self.norms[t, b] > 0:
                    self.cosines[t, a, b] = self.outputs[t, a] @ self.outputs[t, b] / (self.norms[t, a] * self.norms[t, b])
        self.cosines = np.clip(self.cosines, -1, 1)
        self.angular = 1 - np.arccos(self.cosines) / np.pi

    def counts(self) -> np.ndarray:
        counts = np.zeros((EXPERTS, EXPERTS))
        for t in range(TOKENS):
            for a, b in zip(stats.rankdata(self.scores[t], "ordinal"), stats.rankdata(self.norms[t], "ordinal")):
                counts[a - 1, b - 1] += 1
        return counts


def mean(values) -> float:
    values = np.asarray(values, float)
    return float(values.mean()) if values.size else float("nan")


def norm_score_row(layers: list) -> list:
    rho, overlap = [], []
    for layer in layers:
        for t in range(TOKENS):
            rho.append(stats.spearmanr(layer.scores[t], layer.norms[t]).statistic)
            best = set(np.argsort(-layer.scores[t])[:TOP_K])
            overlap.append(len(best & set(np.argsort(-layer.norms[t])[:TOP_K])) / TOP_K)
    norms = np.concatenate([layer.norms.ravel() for layer in layers])
    chosen = np.concatenate([layer.chosen.ravel() for layer in layers])
    tokens = TOKENS * len(layers)
    ratio = norms[chosen].mean() / norms[~chosen].mean()
    return [tokens, mean(rho), 0, 1 / np.sqrt(tokens * (EXPERTS - 1)), mean(overlap), TOP_K / EXPERTS, norms.mean(),
            norms[chosen].mean(), norms[~chosen].mean(), ratio]


def norm_score(layers: list) -> dict:
    columns = ["layer", "tokens", "spearman", "random_spearman", "random_spearman_deviation", "top_overlap", "random_overlap",
               "mean_norm", "mean_chosen_norm", "mean_other_norm", "norm_ratio"]
    rows = [[layer.number, *norm_score_row([layer])] for layer in layers]
    return {"columns": columns, "rows": rows + [[None, *norm_score_row(layers)]]}


def norm_ranks(layers: list, pooled: bool) -> dict:
    columns = ["layer", "score_rank", "norm_rank", "count", "random_count"]
    groups = [(None, sum(layer.counts() for layer in layers), TOKENS * len(layers))]
    if not pooled:
        groups = [(layer.number, layer.counts(), TOKENS) for layer in layers]
    rows = [[number, a + 1, b + 1, counts[a, b], tokens / EXPERTS] for number, counts, tokens in groups
            for a, b in np.ndindex(EXPERTS, EXPERTS)]
    return {"columns": columns, "rows": rows}


def expert_norms(layers: list) -> dict:
    columns = ["layer", "expert", "mean_norm", "relative_norm", "mean_chosen_norm", "mean_other_norm", "max_norm", "mean_score",
               "uniform_score"]
    rows = [[layer.number, e, layer.norms[:, e].mean(), layer.norms[:, e].mean() / layer.norms.mean(),
             mean(layer.norms[layer.chosen[:, e], e]), mean(layer.norms[~layer.chosen[:, e], e]), layer.norms[:, e].max(),
             layer.scores[:, e].mean(), 1 / EXPERTS] for layer in layers for e in range(EXPERTS)]
    return {"columns": columns, "rows": rows}


def token_norms(layers: list) -> dict:
    columns = ["layer", "token", "expert", "score", "norm", "weight"]
    rows = [[layer.number, layer.index[t], e, layer.scores[t, e], layer.norms[t, e], layer.weights[t, e]]
            for layer in layers for t in range(EXAMPLES) for e in range(EXPERTS)]
    return {"columns": columns, "rows": rows}


def output_similarity(layers: list) -> dict:
    columns = ["layer"] + [f"{group}_{kind}" for kind in ("cosine", "angular") for group in
                           ("mean", "chosen", "mixed", "unchosen", "random")] + ["least_like", "least_like_angular"]
    rows = []
    for layer in layers:
        row = [layer.number]
        for values, random in ((layer.cosines, 0), (layer.angular, 0.5)):
            groups: list = [[], [], [], []]
            for t in range(TOKENS):
                for a, b in combinations(range(EXPERTS), 2):
                    if np.isnan(values[t, a, b]):
                        continue
                    both = int(layer.chosen[t, a]) + int(layer.chosen[t, b])
                    groups[0].append(values[t, a, b])
                    groups[3 - both].append(values[t, a, b])
            row += [mean(group) for group in groups] + [random]
        pairs = np.nanmean(layer.angular, axis=0)
        likeness = [(pairs[e].sum() - pairs[e, e]) / (EXPERTS - 1) for e in range(EXPERTS)]
        rows.append([*row, int(np.argmin(likeness)), min(likeness)])
    return {"columns": columns, "rows": rows}


def output_similarity_pairs(layers: list) -> dict:
    columns = ["layer", "expert_a", "expert_b", "cosine", "angular", "random_cosine", "random_angular"]
    rows = [[layer.number, a, b, np.nanmean(layer.cosines[:, a, b]), np.nanmean(layer.angular[:, a, b]), 0, 0.5]
            for layer in layers for a, b in combinations(range(EXPERTS), 2)]
    return {"columns": columns, "rows": rows}


def token_similarity(layers: list) -> dict:
    columns = ["layer", "token", "expert_a", "expert_b", "cosine", "chosen", "random_cosine"]
    rows = [[layer.number, layer.index[t], a, b, layer.cosines[t, a, b], int(layer.chosen[t, a]) + int(layer.chosen[t, b]), 0]
            for layer in layers for t in range(MATRICES) for a, b in combinations(range(EXPERTS), 2)]
    return {"columns": columns, "rows": rows}


def activations(layers: list) -> dict:
    columns = ["layer", "active", "chosen_active", "never_active", "mean_activation", "expert_share", "random_expert_share",
               "neuron_share", "random_neuron_share"]
    rows = []
    for layer in layers:
        active, means = layer.activations > ACTIVE, layer.activations.mean(axis=0)
        total = ((means - means.mean()) ** 2).sum()
        experts = NEURONS * ((means.mean(axis=1) - means.mean()) ** 2).sum() / total
        neurons = EXPERTS * ((means.mean(axis=0) - means.mean()) ** 2).sum() / total
        cells = EXPERTS * NEURONS - 1
        rows.append([layer.number, active.mean(), active[layer.chosen].mean(), (~active.any(axis=0)).mean(), means.mean(),
                     experts, (EXPERTS - 1) / cells, neurons, (NEURONS - 1) / cells])
    return {"columns": columns, "rows": rows}


def expert_activations(layers: list) -> dict:
    columns = ["layer", "expert", "active", "chosen_active", "never_active", "always_active", "mean_activation"]
    rows = []
    for layer in layers:
        for e in range(EXPERTS):
            active = layer.activations[:, e] > ACTIVE
            rows.append([layer.number, e, active.mean(), mean(active[layer.chosen[:, e]]), (~active.any(axis=0)).mean(),
                         active.all(axis=0).mean(), layer.activations[:, e].mean()])
    return {"columns": columns, "rows": rows}


def neuron_activations(layers: list) -> dict:
    columns = ["layer", "expert", "neuron", "active", "mean_activation"]
    rows = [[layer.number, e, n, (layer.activations[:, e, n] > ACTIVE).mean(), layer.activations[:, e, n].mean()]
            for layer in layers for e in range(EXPERTS) for n in range(NEURONS)]
    return {"columns": columns, "rows": rows}


def activation_map(layers: list, token: int) -> dict:
    columns = ["layer", "token", "expert", "chosen", "neuron", "activation"]
    rows = [[layer.number, token, e, int(layer.chosen[t, e]), n, layer.signed_activations[t, e, n]] for layer in layers
            for t in np.flatnonzero(layer.index == token) for e in range(EXPERTS) for n in range(NEURONS)]
    return {"columns": columns, "rows": rows}


def importance(layers: list) -> dict:
    columns = ["layer", "expert", "token_share", "random_token_share", "frequency", "weighted_frequency", "soft_count", "ean_sum",
               "ean_mean", "weighted_ean", "reap", "msan", "max_activation", "reap_rank"]
    rows = []
    for layer in layers:
        table = []
        for e in range(EXPERTS):
            x = layer.chosen[:, e]
            g, f = layer.weights[x, e], layer.norms[x, e]
            largest = np.abs(layer.outputs[x, e]).max() if x.any() else 0
            table.append([x.mean(), TOP_K / EXPERTS, x.sum(), g.sum(), layer.scores[:, e].sum(), f.sum(), mean(f), (g * f).sum(),
                          mean(g * f), mean(f**2), largest])
        reap = np.nan_to_num([row[8] for row in table], nan=-np.inf)
        ranks = stats.rankdata(reap, "ordinal")
        rows += [[layer.number, e, *table[e], ranks[e]] for e in range(EXPERTS)]
    return {"columns": columns, "rows": rows}


def super_experts(layers: list) -> dict:
    columns = ["layer", "expert", "output_max", "all_output_max", "relative_to_greatest", "hidden_max", "super_expert"]
    peaks = {}
    for layer in layers:
        for e in range(EXPERTS):
            x = layer.chosen[:, e]
            peaks[layer.number, e] = np.abs(layer.outputs[x, e]).max() if x.any() else 0.0
    values = list(peaks.values())
    limit, greatest = np.percentile(values, 99.5), max(values)
    rows = []
    for layer in layers:
        for e in range(EXPERTS):
            a = peaks[layer.number, e]
            is_super = a > limit and a > greatest / 10 and layer.number < int(0.75 * MODEL_LAYERS)
            rows.append([layer.number, e, a, np.abs(layer.outputs[:, e]).max(), a / greatest, layer.hidden_max, int(is_super)])
    return {"columns": columns, "rows": rows}


def unselected(layers: list) -> dict:
    columns = ["layer", "tokens", "score_mass", "random_score_mass", "norm_ratio", "norm_share", "cosine", "random_cosine",
               "whole_cosine", "across", "growth"]
    rows = []
    for layer in layers:
        terms = []
        for t in range(TOKENS):
            parts = layer.scores[t][:, None] * layer.outputs[t]
            c, u = parts[layer.chosen[t]].sum(axis=0), parts[~layer.chosen[t]].sum(axis=0)
            nc, nu, whole = np.linalg.norm(c), np.linalg.norm(u), np.linalg.norm(c + u)
            along = (u @ c) / nc**2 * c
            terms.append([layer.scores[t][~layer.chosen[t]].sum(), nu / nc, nu / (nc + nu), u @ c / (nu * nc),
                          c @ (c + u) / (nc * whole), np.linalg.norm(u - along) / nu, whole / nc])
        mass, ratio, share, cosine, turn, across, growth = np.mean(terms, axis=0)
        rows.append([layer.number, TOKENS, mass, 1 - TOP_K / EXPERTS, ratio, share, cosine, 0, turn, across, growth])
    return {"columns": columns, "rows": rows}


def router_scores(layers: list) -> dict:
    columns = ["layer", "tokens", "z_loss", "uniform_z_loss", "mean_log_sum", "entropy_bits", "uniform_entropy_bits",
               "mean_top_score", "uniform_score"]
    rows = []
    for layer in layers:
        sums = np.log(np.exp(layer.logits).sum(axis=1))
        entropy = -(layer.scores * np.log2(layer.scores)).sum(axis=1)
        rows.append([layer.number, TOKENS, (sums**2).mean(), np.log(EXPERTS) ** 2, sums.mean(), entropy.mean(), np.log2(EXPERTS),
                     layer.scores.max(axis=1).mean(), 1 / EXPERTS])
    return {"columns": columns, "rows": rows}


def with_tolerance(table: dict) -> dict:
    """Counts are exact; for the rest float32 products, a few millionths of the column's greatest value."""
    table["rows"] = listed(np.array(table["rows"], dtype=object).tolist())
    tolerance = {}
    for c, column in enumerate(table["columns"]):
        values = [row[c] for row in table["rows"] if isinstance(row[c], float)]
        if values:
            tolerance[column] = 4e-6 * max(1.0, max(abs(value) for value in values))
    return {**table, "tolerance": tolerance}


def capture_json(made: list) -> dict:
    layers = []
    for layer in made:
        sizes = np.abs(layer["activations"].astype(float))
        active, chosen = sizes > ACTIVE, ~np.isnan(layer["weights"])
        layers.append({
            "layer": layer["layer"],
            "index": listed(layer["index"]),
            "logits": listed(layer["logits"].ravel()),
            "weights": listed(layer["weights"].ravel()),
            "outputs": listed(layer["outputs"].ravel()),
            "activations": listed(layer["activations"].ravel()),
            "neuron_active": listed(active.sum(axis=0).ravel()),
            "neuron_sum": listed(sizes.sum(axis=0).ravel()),
            "chosen_active": [int(active[chosen[:, e], e].sum()) for e in range(EXPERTS)],
            "hidden_max": layer["hidden_max"],
        })
    return {"experts": EXPERTS, "hidden": HIDDEN, "neurons": NEURONS, "top_k": TOP_K, "model_layers": MODEL_LAYERS,
            "examples": EXAMPLES, "layers": layers}


def main() -> None:
    made = [make_layer(layer) for layer in LAYERS]
    layers = [Layer(layer) for layer in made]
    expected = {
        "norm-score": norm_score(layers),
        "norm-ranks": norm_ranks(layers, pooled=True),
        "norm-ranks:of=layers": norm_ranks(layers, pooled=False),
        "expert-norms": expert_norms(layers),
        "token-norms": token_norms(layers),
        "output-similarity": output_similarity(layers),
        "output-similarity-pairs": output_similarity_pairs(layers),
        "token-similarity": token_similarity(layers),
        "activations": activations(layers),
        "expert-activations": expert_activations(layers),
        "neuron-activations": neuron_activations(layers),
        "activation-map": activation_map(layers, 20),
        "activation-map:layer=1:token=26": activation_map(layers[1:2], 26),
        "importance": importance(layers),
        "importance:layer=4": importance(layers[2:]),
        "super-experts": super_experts(layers),
        "unselected": unselected(layers),
        "router-scores": router_scores(layers),
    }
    Path("capture.json").write_text(json.dumps(capture_json(made)) + "\n")
    Path("expected.json").write_text(json.dumps({name: with_tolerance(t) for name, t in expected.items()}, indent=None) + "\n")


if __name__ == "__main__":
    main()
