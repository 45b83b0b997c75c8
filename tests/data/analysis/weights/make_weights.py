#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes checkpoint/ and dense/, two tiny models with structure in their weights (experts of one ancestor, one that stands out, neurons
in another order, shared experts of another width), and expected.json: what the analyses of weights are, computed with numpy and
scipy by formulas written out here and not by the program. Run it in its folder; needs numpy and scipy.

expected.json: {"plain" or "dense": {NAME WITH PARAMETERS: {"columns": […], "rows": [[…]], "tolerance": {COLUMN: absolute}}}}. "dense" is
with dense/ as the dense model. The program sums in float32, so that columns of reals agree to about 1e-6."""

import json
import struct
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import optimize, stats

LAYERS, EXPERTS, TOP_K, HIDDEN, WIDTH, SHARED_WIDTH = 4, 9, 2, 20, 12, 30
MATRICES = ("up", "gate", "down")
RNG = np.random.default_rng(20240618)


# ---- the checkpoints


def bf16(values: np.ndarray) -> np.ndarray:
    """Rounded to bfloat16, as float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    return (rounded & 0xFFFF0000).astype(np.uint32).view(np.float32)


def make_expert(ancestor: dict, likeness: float, width: int = WIDTH) -> dict:
    """Neurons [width, HIDDEN] by matrix: the ancestor's, and noise."""
    noise = {m: RNG.standard_normal((width, HIDDEN)) * 0.1 for m in MATRICES}
    if likeness == 0:
        return noise
    return {m: likeness * ancestor[m] + np.sqrt(1 - likeness**2) * noise[m] for m in MATRICES}


def make_layer(layer: int) -> dict:
    """The last layer's experts have nothing in common; in the others expert 3 stands out and expert 5 has its neurons in another
    order. Routers lean towards the mean neuron of the expert's gate matrix."""
    likeness = [0.9, 0.8, 0.6, 0.0][layer]
    ancestor = {m: RNG.standard_normal((WIDTH, HIDDEN)) * 0.1 + 0.02 for m in MATRICES}
    experts = [make_expert(ancestor, 0.0 if e == 3 else likeness) for e in range(EXPERTS)]
    order = RNG.permutation(WIDTH)
    experts[5] = {m: experts[5][m][order] for m in MATRICES}
    router = np.stack([e["gate"].mean(axis=0) for e in experts]) * 3 + RNG.standard_normal((EXPERTS, HIDDEN)) * 0.05
    shared = make_expert(ancestor, 0.0, SHARED_WIDTH)
    dense = make_expert(ancestor, 0.7)
    return {
        "experts": [{m: bf16(e[m]) for m in MATRICES} for e in experts],
        "router": bf16(router),
        "shared": {m: bf16(shared[m]) for m in MATRICES} if layer != 1 else None,
        "dense": {m: dense[m].astype(np.float32) for m in MATRICES},
    }


def write_safetensors(path: Path, tensors: dict) -> None:
    """{name: (array, "BF16" or "F32")}, sorted by name."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name in sorted(tensors):
        values, dtype = tensors[name]
        values = np.ascontiguousarray(values, np.float32)
        raw = (values.view(np.uint32) >> 16).astype("<u2").tobytes() if dtype == "BF16" else values.astype("<f4").tobytes()
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def add_neurons(tensors: dict, prefix: str, neurons: dict, dtype: str) -> None:
    for m in MATRICES:
        tensors[f"{prefix}.{m}_proj.weight"] = (neurons[m].T if m == "down" else neurons[m], dtype)


def write_checkpoints(model: list) -> None:
    tensors = {"model.embed_tokens.weight": (np.ones((16, HIDDEN)), "BF16"), "model.norm.weight": (np.ones(HIDDEN), "BF16")}
    dense = {}
    for i, layer in enumerate(model):
        at = f"model.layers.{i}"
        for name, shape in {
            "input_layernorm": (HIDDEN,),
            "post_attention_layernorm": (HIDDEN,),
            "self_attn.q_norm": (8,),
            "self_attn.k_norm": (8,),
            "self_attn.q_proj": (8, HIDDEN),
            "self_attn.k_proj": (8, HIDDEN),
            "self_attn.v_proj": (8, HIDDEN),
            "self_attn.o_proj": (HIDDEN, 8),
        }.items():
            tensors[f"{at}.{name}.weight"] = (np.ones(shape), "BF16")
        tensors[f"{at}.mlp.gate.weight"] = (layer["router"], "BF16")
        for e, expert in enumerate(layer["experts"]):
            add_neurons(tensors, f"{at}.mlp.experts.{e}", expert, "BF16")
        if layer["shared"]:
            add_neurons(tensors, f"{at}.mlp.shared_experts", layer["shared"], "BF16")
        add_neurons(dense, f"{at}.mlp", layer["dense"], "F32")
    config = {
        "architectures": ["Qwen3MoeForCausalLM"],
        "model_type": "qwen3_moe",
        "vocab_size": 16,
        "hidden_size": HIDDEN,
        "intermediate_size": WIDTH,
        "moe_intermediate_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "num_experts": EXPERTS,
        "num_experts_per_tok": TOP_K,
        "norm_topk_prob": True,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "hidden_act": "silu",
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "tie_word_embeddings": True,
    }
    for folder in ("checkpoint", "dense"):
        Path(folder).mkdir(exist_ok=True)
    Path("checkpoint/config.json").write_text(json.dumps(config, indent=1) + "\n")
    write_safetensors(Path("checkpoint/model.safetensors"), tensors)
    write_safetensors(Path("dense/model.safetensors"), dense)


# ---- the analyses


def units_of(layer: dict, dense: bool) -> list:
    """(name, neurons [n, HIDDEN] by matrix) in the program's order."""
    units = [(e, neurons) for e, neurons in enumerate(layer["experts"])]
    if layer["shared"]:
        units.append(("SE", layer["shared"]))
    if dense:
        units.append(("F", layer["dense"]))
    return [(name, {m: neurons[m].astype(np.float64) for m in MATRICES}) for name, neurons in units]


def as_wide(units: list) -> list:
    return [unit for unit in units if unit[1]["up"].shape[0] == WIDTH]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.ravel(), b.ravel()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def whole(a: dict, b: dict, m: str) -> float:
    return cosine(a[m], b[m])


def averaged(a: dict, b: dict, m: str) -> float:
    return cosine(a[m].mean(axis=0), b[m].mean(axis=0))


def router_cosine(layer: dict, a, b) -> float | None:
    if isinstance(a, str) or isinstance(b, str):
        return None
    rows = layer["router"].astype(np.float64)
    return cosine(rows[a], rows[b])


def weight_similarity(model: list, dense: bool) -> dict:
    rows = []
    for i, layer in enumerate(model):
        for (a, x), (b, y) in combinations(as_wide(units_of(layer, dense)), 2):
            rows.append([i, a, b] + [whole(x, y, m) for m in MATRICES])
    return table(["layer", "expert_a", "expert_b", *MATRICES], rows, 2e-6)


def neuron_similarity(model: list, dense: bool) -> dict:
    rows = []
    for i, layer in enumerate(model):
        for (a, x), (b, y) in combinations(units_of(layer, dense), 2):
            rows.append([i, a, b] + [averaged(x, y, m) for m in MATRICES] + [router_cosine(layer, a, b)])
    return table(["layer", "expert_a", "expert_b", *MATRICES, "router"], rows, 2e-6)


def gate_similarity(model: list) -> dict:
    rows = [
        [i, a, b, router_cosine(layer, a, b)] for i, layer in enumerate(model) for a, b in combinations(range(EXPERTS), 2)
    ]
    return table(["layer", "expert_a", "expert_b", "router"], rows, 1e-9)


def weight_importance(model: list) -> dict:
    rows = []
    for i, layer in enumerate(model):
        units = [unit for _, unit in units_of(layer, False)[:EXPERTS]]
        for e, x in enumerate(units):
            alike = [whole(x, y, m) for m in MATRICES for y in units if y is not x]
            singular = [np.linalg.svd(x[m], compute_uv=False) for m in MATRICES]
            ranks = [(s**2).sum() / s[0] ** 2 for s in singular]
            norm = np.sqrt(sum((x[m] ** 2).sum() for m in MATRICES))
            rows.append([i, e, 1 - np.mean(alike), np.linalg.norm(layer["router"][e].astype(np.float64)), norm, np.mean(ranks)])
    return table(["layer", "expert", "distinctness", "router_norm", "weight_norm", "stable_rank"], rows, 1e-4)


def modified_scores(values: np.ndarray) -> np.ndarray:
    away = values - np.median(values)
    mad = stats.median_abs_deviation(values)
    return 0.6745 * away / mad if mad > 0 else away / (1.253314 * np.abs(away).mean())


def layer_diversity(model: list, dense: bool) -> dict:
    rows = []
    for i, layer in enumerate(model):
        units = units_of(layer, dense)
        measures = [(f"matrix_{m}", lambda a, b, m=m: whole(a[1], b[1], m), as_wide(units)) for m in MATRICES]
        measures += [(f"neuron_{m}", lambda a, b, m=m: averaged(a[1], b[1], m), units) for m in MATRICES]
        measures.append(("router", lambda a, b, r=layer: router_cosine(r, a[0], b[0]), units[:EXPERTS]))
        for name, measure, of in measures:
            experts, others = of[:EXPERTS], of[EXPERTS:]
            pairs = [measure(a, b) for a, b in combinations(experts, 2)]
            to_others = np.array([np.mean([measure(a, b) for b in experts if b is not a]) for a in experts])
            outliers = [str(e) for e in range(EXPERTS) if modified_scores(to_others)[e] <= -3.5]
            to = {n: np.mean([measure(a, (n, u)) for a in experts]) for n, u in others} if name != "router" else {}
            rows.append([i, name, len(pairs), np.mean(pairs), min(pairs), max(pairs), 1 - np.mean(pairs)]
                        + [to.get("SE"), to.get("F"), " ".join(outliers)])  # fmt: skip
    for first in range(7):
        scores = modified_scores(np.array([row[3] for row in rows[first::7]]))
        for row, score in zip(rows[first::7], scores, strict=True):
            row.append(score)
    columns = ["layer", "measure", "pairs", "mean_similarity", "min_similarity", "max_similarity", "diversity"]
    made = table([*columns, "to_se", "to_dense", "outliers", "layer_score"], rows, 2e-6)
    made["tolerance"]["layer_score"] = 1e-3
    return made


def weight_norms(model: list, dense: bool) -> dict:
    rows = []
    for i, layer in enumerate(model):
        for name, unit in units_of(layer, dense):
            router = None if isinstance(name, str) else np.linalg.norm(layer["router"][name].astype(np.float64))
            rows.append([i, name, unit["up"].shape[0]] + [np.linalg.norm(unit[m]) for m in MATRICES] + [router])
    return table(["layer", "expert", "neurons", "up_norm", "gate_norm", "down_norm", "router_norm"], rows, 5e-6)


def stable_rank(model: list, dense: bool) -> dict:
    rows = []
    for i, layer in enumerate(model):
        for name, unit in units_of(layer, dense):
            norms = [np.linalg.norm(unit[m], 2) for m in MATRICES]
            ranks = [np.linalg.norm(unit[m]) ** 2 / norm**2 for m, norm in zip(MATRICES, norms, strict=True)]
            rows.append([i, name] + ranks + norms)
    columns = ["layer", "expert", "up_rank", "gate_rank", "down_rank", "up_spectral", "gate_spectral", "down_spectral"]
    return table(columns, rows, 2e-5)


def gate_regression(model: list) -> dict:
    rows = []
    for i, layer in enumerate(model):
        pairs = list(combinations(units_of(layer, False)[:EXPERTS], 2))
        y = [router_cosine(layer, a, b) for (a, _), (b, _) in pairs]
        for m in MATRICES:
            fit = stats.linregress([averaged(a, b, m) for (_, a), (_, b) in pairs], y)
            rows.append([i, m, len(pairs), fit.rvalue, fit.rvalue**2, fit.slope, fit.intercept])
    for n, m in enumerate(MATRICES):
        of = rows[n : 3 * LAYERS : 3]
        rows.append([None, m, sum(r[2] for r in of), np.mean([r[3] for r in of]), np.mean([r[4] for r in of]), None, None])
    return table(["layer", "matrix", "pairs", "r", "r2", "slope", "intercept"], rows, 2e-5)


def z_scores(points: np.ndarray) -> np.ndarray:
    return (points - points.mean(axis=0)) / points.std(axis=0, ddof=1)


def expert_pca(model: list, dense: bool) -> dict:
    rows = []
    for i, layer in enumerate(model):
        units = as_wide(units_of(layer, dense))
        for m in MATRICES:
            left, singular, _ = np.linalg.svd(z_scores(np.stack([u[m].ravel() for _, u in units])), full_matrices=False)
            points = left[:, :2] * singular[:2]
            points *= np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
            shares = singular**2 / (singular**2).sum()
            far = modified_scores(np.linalg.norm(points - np.median(points, axis=0), axis=1)) >= 3.5
            for (name, _), point, out in zip(units, points, far, strict=True):
                rows.append([i, m, name, *point, shares[0], shares[1], int(out)])
    return table(["layer", "matrix", "expert", "pc1", "pc2", "pc1_share", "pc2_share", "outlier"], rows, 2e-4)


def neuron_components(units: list, m: str) -> tuple:
    """Coordinates [neurons, 3], their shares of the variance, and each neuron's distance from the centre in deviations."""
    z = z_scores(np.concatenate([u[m] for _, u in units]))
    values, vectors = np.linalg.eigh(z.T @ z)
    vectors = vectors[:, ::-1][:, :3]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), [0, 1, 2]])
    points = z @ vectors
    distance = np.sqrt(((points[:, :2] / points[:, :2].std(axis=0, ddof=1)) ** 2).sum(axis=1))
    return points, values[::-1][:3] / values.sum(), distance


def neuron_pca(model: list, dense: bool) -> tuple:
    by_unit, by_point = [], []
    for i, layer in enumerate(model):
        units = units_of(layer, dense)
        for m in MATRICES:
            points, shares, distance = neuron_components(units, m)
            first = 0
            for name, unit in units:
                mine = slice(first, first + unit[m].shape[0])
                first = mine.stop
                by_unit.append([i, m, name, mine.stop - mine.start, *shares, *points[mine, :2].mean(axis=0)]
                               + [distance[mine].mean(), int((distance[mine] > 3).sum())])  # fmt: skip
                for n in range(mine.start, mine.stop):
                    by_point.append([i, m, name, n - mine.start, *points[n], distance[n], int(distance[n] > 3)])
    columns = ["layer", "matrix", "expert", "neurons", "pc1_share", "pc2_share", "pc3_share", "pc1_mean", "pc2_mean"]
    summary = table([*columns, "mean_distance", "outliers"], by_unit, 5e-5)
    columns = ["layer", "matrix", "expert", "neuron", "pc1", "pc2", "pc3", "distance", "outlier"]
    at = LAYERS - 2
    return summary, table(columns, [row for row in by_point if row[0] == at], 5e-5)


def neuron_matching(model: list) -> dict:
    rows = []
    for i, layer in enumerate(model):
        for (a, x), (b, y) in combinations(units_of(layer, False)[:EXPERTS], 2):
            for m in MATRICES:
                unit = [w[m] / np.linalg.norm(w[m], axis=1, keepdims=True) for w in (x, y)]
                _, order = optimize.linear_sum_assignment(unit[0] @ unit[1].T, maximize=True)
                before, after = cosine(x[m], y[m]), cosine(x[m], y[m][order])
                tau = stats.kendalltau(order, np.arange(WIDTH)).statistic
                rows.append([i, m, a, b, WIDTH, before, after, (after - before) / abs(before), tau])
    for n, m in enumerate(MATRICES):
        before, after, tau = (float(np.mean([r[c] for r in rows[n : 3 * LAYERS * 36 : 3]])) for c in (5, 6, 8))
        rows.append([None, m, None, None, WIDTH, before, after, (after - before) / abs(before), tau])
    columns = ["layer", "matrix", "expert_a", "expert_b", "neurons", "before", "after", "growth", "kendall_tau"]
    made = table(columns, rows, 2e-6)
    made["tolerance"]["growth"] = 0.05  # of a `before` near zero
    made["tolerance"]["kendall_tau"] = 1e-9
    return made


def table(columns: list, rows: list, tolerance: float) -> dict:
    reals = {c for row in rows for c, value in zip(columns, row, strict=True) if isinstance(value, float)}
    plain = [[v.item() if isinstance(v, np.generic) else v for v in row] for row in rows]
    return {"columns": columns, "rows": plain, "tolerance": {c: tolerance for c in columns if c in reals}}


def rounded(value):
    """Ten digits are more than are compared."""
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, list):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return value


def main() -> None:
    model = [make_layer(layer) for layer in range(LAYERS)]
    write_checkpoints(model)
    expected = {}
    for kind, dense in {"plain": False, "dense": True}.items():
        neurons, points = neuron_pca(model, dense)
        expected[kind] = {
            "weight-similarity": weight_similarity(model, dense),
            "neuron-similarity": neuron_similarity(model, dense),
            "layer-diversity": layer_diversity(model, dense),
            "weight-norms": weight_norms(model, dense),
            "stable-rank": stable_rank(model, dense),
            "expert-pca": expert_pca(model, dense),
            "neuron-pca": neurons,
            f"neuron-pca-points:layer={LAYERS - 2}": points,
        }
    expected["plain"]["weight-importance"] = weight_importance(model)
    expected["plain"]["gate-similarity"] = gate_similarity(model)
    expected["plain"]["gate-regression"] = gate_regression(model)
    expected["plain"]["neuron-matching:pairs=100"] = neuron_matching(model)
    text = json.dumps(rounded(expected), separators=(",", ":")).replace('],[', '],\n[').replace('"rows":', '\n"rows":')
    Path("expected.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
