#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes plain/ and heads/, two tiny models whose tokens differ (heads/ splits each into sub-tokens around its experts, as Multi-Head MoE
does), and dense/, FFNs of which some layers have groups of neurons; and expected.json: what the analyses are that run lone tokens through
a model, split a dense model, or look at its sizes, computed with numpy and scipy by formulas written out here and not by the program.
Run it in its folder; needs numpy and scipy. expected.json: as in weights/, by model; "dense" is plain/ with dense/."""

import json
import math
import sys
from pathlib import Path

import numpy as np
from scipy import integrate, special

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "weights"))
from make_weights import MATRICES, bf16, rounded, table, write_safetensors  # noqa: E402

LAYERS, VOCABULARY, HIDDEN, HEADS, KV_HEADS, HEAD_DIM = 3, 24, 24, 4, 2, 6
EXPERTS, TOP_K, WIDTH, EPS = 6, 2, 10, 1e-6
NEURONS = 40
RNG = np.random.default_rng(20241109)


# ---- the models


def draw(*shape: int, scale: float = 0.3) -> np.ndarray:
    return bf16(RNG.standard_normal(shape) * scale)


def make_model(sub_tokens: int) -> dict:
    """Tensors by name, float32 with values of bfloat16."""
    inputs = HIDDEN // sub_tokens
    tensors = {"model.embed_tokens.weight": draw(VOCABULARY, HIDDEN, scale=1.0), "model.norm.weight": draw(HIDDEN)}
    for i in range(LAYERS):
        at = f"model.layers.{i}"
        tensors |= {
            f"{at}.input_layernorm.weight": bf16(1 + 0.2 * RNG.standard_normal(HIDDEN)),
            f"{at}.post_attention_layernorm.weight": bf16(1 + 0.2 * RNG.standard_normal(HIDDEN)),
            f"{at}.self_attn.q_proj.weight": draw(HEADS * HEAD_DIM, HIDDEN),
            f"{at}.self_attn.k_proj.weight": draw(KV_HEADS * HEAD_DIM, HIDDEN),
            f"{at}.self_attn.v_proj.weight": draw(KV_HEADS * HEAD_DIM, HIDDEN),
            f"{at}.self_attn.o_proj.weight": draw(HIDDEN, HEADS * HEAD_DIM),
            f"{at}.self_attn.q_norm.weight": draw(HEAD_DIM),
            f"{at}.self_attn.k_norm.weight": draw(HEAD_DIM),
            f"{at}.mlp.gate.weight": draw(EXPERTS, inputs),
        }
        for e in range(EXPERTS):
            for m in MATRICES:
                shape = (inputs, WIDTH) if m == "down" else (WIDTH, inputs)
                tensors[f"{at}.mlp.experts.{e}.{m}_proj.weight"] = draw(*shape)
        if sub_tokens > 1:
            tensors[f"{at}.mlp.multi_head_layer.weight"] = draw(HIDDEN, HIDDEN)
            tensors[f"{at}.mlp.merge_layer.weight"] = draw(HIDDEN, HIDDEN)
    return tensors


def make_dense() -> list:
    """Layer 0 has no groups; in layers 1 and 2 neurons scatter around 4 centres, more closely in the last, and lie in random order."""
    layers = []
    for likeness in (0.0, 0.6, 0.95):
        group = RNG.permutation(np.arange(NEURONS) % 4)
        centres = {m: RNG.standard_normal((4, HIDDEN)) for m in MATRICES}
        noise = {m: RNG.standard_normal((NEURONS, HIDDEN)) for m in MATRICES}
        mixed = {m: 0.3 * (likeness * centres[m][group] + math.sqrt(1 - likeness**2) * noise[m]) for m in MATRICES}
        layers.append({m: mixed[m].astype(np.float32) for m in MATRICES})
    return layers


def write_model(folder: str, tensors: dict, sub_tokens: int) -> None:
    config = {
        "architectures": ["Qwen3MoeForCausalLM"],
        "model_type": "qwen3_moe",
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "moe_intermediate_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "num_experts": EXPERTS,
        "num_experts_per_tok": TOP_K,
        "norm_topk_prob": True,
        "max_position_embeddings": 64,
        "rms_norm_eps": EPS,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
    }
    if sub_tokens > 1:
        config["num_moe_heads"] = sub_tokens
    Path(folder).mkdir(exist_ok=True)
    Path(folder, "config.json").write_text(json.dumps(config, indent=1) + "\n")
    write_safetensors(Path(folder, "model.safetensors"), {name: (values, "BF16") for name, values in tensors.items()})


# ---- tokens alone


def norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPS) * weight


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def expert_outputs(w: dict, mlp: str, rows: np.ndarray) -> tuple:
    """The experts' weighted sum for each row, and the choices [rows, TOP_K]."""
    logits = rows @ w[f"{mlp}.gate.weight"].T
    ordered = np.sort(logits, axis=1)
    assert (ordered[:, -TOP_K] - ordered[:, -TOP_K - 1]).min() > 1e-3, "a choice that float32 might make otherwise"
    chosen = np.argsort(-logits, axis=1, kind="stable")[:, :TOP_K]
    out = np.zeros_like(rows)
    for r, row in enumerate(rows):
        share = special.softmax(logits[r, chosen[r]])
        for e, s in zip(chosen[r], share, strict=True):
            up, gate, down = (w[f"{mlp}.experts.{e}.{m}_proj.weight"] for m in MATRICES)
            out[r] += s * (down @ (silu(gate @ row) * (up @ row)))
    return out, chosen


def lone_tokens(tensors: dict, ids: list, sub_tokens: int) -> list:
    """By layer: what the router sees [rows, inputs] and the choices [rows, TOP_K], a row for each (sub-)token."""
    w = {name: values.astype(np.float64) for name, values in tensors.items()}
    x = w["model.embed_tokens.weight"][ids]
    layers = []
    for i in range(LAYERS):
        at = f"model.layers.{i}"
        values = norm(x, w[f"{at}.input_layernorm.weight"]) @ w[f"{at}.self_attn.v_proj.weight"].T
        values = values.reshape(len(ids), KV_HEADS, HEAD_DIM).repeat(HEADS // KV_HEADS, axis=1)
        x = x + values.reshape(len(ids), -1) @ w[f"{at}.self_attn.o_proj.weight"].T
        rows = norm(x, w[f"{at}.post_attention_layernorm.weight"])
        if sub_tokens > 1:
            rows = rows @ w[f"{at}.mlp.multi_head_layer.weight"].T
        rows = rows.reshape(len(ids) * sub_tokens, -1)
        out, chosen = expert_outputs(w, f"{at}.mlp", rows)
        out = out.reshape(len(ids), HIDDEN)
        x = x + (out @ w[f"{at}.mlp.merge_layer.weight"].T if sub_tokens > 1 else out)
        layers.append((rows, chosen))
    return layers


def random_largest_cosine(n: int, d: int) -> float:
    def below(t: float) -> float:
        return 0.5 * (1 + math.copysign(special.betainc(0.5, (d - 1) / 2, t * t), t))

    return integrate.quad(lambda t: 1 - below(t) ** n, -1, 1, epsabs=1e-10, limit=200)[0] - 1


def minimum_capacity(tensors: dict, sub_tokens: int, ids: list) -> dict:
    d, rows = HIDDEN // sub_tokens, []
    for i, (inputs, _) in enumerate(lone_tokens(tensors, ids, sub_tokens)):
        gate = tensors[f"model.layers.{i}.mlp.gate.weight"].astype(np.float64)
        norms = np.linalg.norm(gate, axis=1)
        cosines = (inputs @ gate.T / norms / np.linalg.norm(inputs, axis=1)[:, None]).max(axis=1)
        between = np.abs((gate / norms[:, None]) @ (gate / norms[:, None]).T)[np.triu_indices(EXPERTS, 1)]
        delta = cosines.mean()
        p = special.betainc((d - 1) / 2, 0.5, 1 - delta**2)
        x = delta**2 * d / (2 - delta**2)
        rows.append([i, len(cosines), delta, cosines.max(), random_largest_cosine(EXPERTS, d), np.degrees(np.arccos(cosines)).mean(),
                     between.mean(), norms.std() / norms.mean(), p, 1 / (EXPERTS * p), 1 / (EXPERTS * special.erfc(math.sqrt(x))),
                     math.exp(x) / EXPERTS, math.log10(1 / (EXPERTS * p))])  # fmt: skip
    columns = ["layer", "tokens", "mean_delta", "max_delta", "random_delta", "mean_angle", "gate_cosine", "gate_norm_cv", "p_delta"]
    made = table([*columns, "min_capacity", "min_capacity_erfc", "min_capacity_exp", "log10_min_capacity"], rows, 1e-5)
    made["tolerance"] |= {"mean_angle": 1e-3, "min_capacity": 1e-3, "min_capacity_erfc": 1e-2, "min_capacity_exp": 1e-3}
    return made


def random_measures(sub_tokens: int, rng: np.random.Generator) -> tuple:
    """Mean over draws of (most − mean)/mean and of 2^entropy, where so many sub-tokens choose TOP_K of EXPERTS."""
    most, effective = [], []
    for _ in range(4000):
        chosen = np.argsort(rng.random((sub_tokens, EXPERTS)), axis=1)[:, :TOP_K]
        counts = np.bincount(chosen.ravel(), minlength=EXPERTS)
        p = counts / counts.sum()
        most.append(counts.max() / counts.mean() - 1)
        effective.append(np.exp(special.entr(p).sum()))
    return float(np.mean(most)), float(np.mean(effective))


def sub_token_tables(tensors: dict, sub_tokens: int, ids: list) -> tuple:
    rng = np.random.default_rng(3)
    routing, load = [], []
    for i, (_, chosen) in enumerate(lone_tokens(tensors, ids, sub_tokens)):
        by_token = chosen.reshape(len(ids), sub_tokens, TOP_K)
        for head in [*range(sub_tokens), "all"]:
            mine = by_token if head == "all" else by_token[:, [head]]
            counts = np.bincount(mine.ravel(), minlength=EXPERTS)
            number, p = mine.shape[0] * mine.shape[1], counts / counts.sum()
            reached = np.array([[e in token for e in range(EXPERTS)] for token in mine])
            at_random = 1 - (1 - TOP_K / EXPERTS) ** mine.shape[1]
            random_vio, random_effective = random_measures(number, rng)
            routing.append([i, str(head), number, int((counts > 0).sum()), counts.max() / counts.mean() - 1, random_vio,
                            np.exp(special.entr(p).sum()), random_effective, counts.std() / counts.mean(), p.max(),
                            reached.sum(axis=1).mean(), EXPERTS * at_random])  # fmt: skip
            for e in range(EXPERTS):
                load.append([i, str(head), e, int(counts[e]), counts[e] / number, reached[:, e].mean(), at_random])
    for row in [*routing, *load]:
        row[1] = row[1] if row[1] == "all" else int(row[1])
    columns = ["layer", "head", "sub_tokens", "experts_used", "max_vio", "random_max_vio", "effective_experts"]
    made = table([*columns, "random_effective_experts", "cv", "max_share", "experts_per_token", "random_experts_per_token"], routing, 1e-9)
    made["tolerance"] |= {"random_max_vio": 0.12, "random_effective_experts": 0.12}  # 64 draws against 4000
    columns = ["layer", "head", "expert", "sub_tokens", "sub_token_share", "token_share", "random_token_share"]
    return made, table(columns, load, 1e-9)


# ---- splitting a dense model


class SplitMix:
    """SplitMix64, as the program draws."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def next(self) -> int:
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def below(self, bound: int) -> int:
        return ((self.next() >> 32) * bound) >> 32

    def uniform(self) -> float:
        return ((self.next() >> 11) + 1) / 2**53

    def normal(self) -> float:
        length = self.uniform()
        return math.sqrt(-2 * math.log(length)) * math.cos(2 * math.pi * self.uniform())


def random_split(experts: int, seed: int) -> np.ndarray:
    draws, order = SplitMix(seed), list(range(NEURONS))
    for i in range(NEURONS, 1, -1):
        j = draws.below(i)
        order[i - 1], order[j] = order[j], order[i - 1]
    split = np.empty(NEURONS, int)
    split[order] = np.repeat(np.arange(experts), room(experts))
    return split


def room(experts: int) -> list:
    return [NEURONS * (e + 1) // experts - NEURONS * e // experts for e in range(experts)]


def within(points: np.ndarray, split: np.ndarray) -> float:
    return sum(((points[split == e] - points[split == e].mean(axis=0)) ** 2).sum() for e in set(split))


def clustered_split(points: np.ndarray, split: np.ndarray, experts: int, rounds: int) -> np.ndarray:
    for _ in range(rounds):
        means = np.stack([points[split == e].mean(axis=0) for e in range(experts)])
        distance = ((points[:, None] - means[None]) ** 2).sum(axis=2)
        gain = distance - distance.mean(axis=1, keepdims=True)
        left, following = room(experts), np.full(NEURONS, -1)
        for n, e in zip(*np.unravel_index(np.argsort(gain, axis=None, kind="stable"), gain.shape), strict=True):
            if following[n] < 0 and left[e] > 0:
                following[n] = e
                left[e] -= 1
        if within(points, following) >= within(points, split):
            break
        split = following
    return split


def output_error(ffn: dict, split: np.ndarray, experts: int, keep: int, inputs: int, seed: int) -> float:
    draws = SplitMix(seed)
    x = np.array([draws.normal() for _ in range(inputs * HIDDEN)]).reshape(inputs, HIDDEN)
    activations = silu(x @ ffn["gate"].T) * (x @ ffn["up"].T)
    parts = np.stack([activations[:, split == e] @ ffn["down"][split == e] for e in range(experts)], axis=1)
    order = np.argsort(-np.linalg.norm(parts, axis=2), axis=1)
    lost = np.stack([p[o[keep:]].sum(axis=0) for p, o in zip(parts, order, strict=True)])
    return float((lost**2).sum() / (parts.sum(axis=1) ** 2).sum())


def dense_split(dense: list, experts: int, keep: int, inputs: int, by: str, seed: int) -> dict:
    rows = []
    for i, layer in enumerate(dense):
        ffn = {m: values.astype(np.float64) for m, values in layer.items()}
        points = ffn[by]
        first = random_split(experts, seed)
        whole = ((points - points.mean(axis=0)) ** 2).sum()
        for name, split in {"random": first, "clustered": clustered_split(points, first, experts, 20)}.items():
            error = output_error(ffn, split, experts, keep, inputs, seed)
            rows.append([i, name, NEURONS, experts, keep, within(points, split) / whole, error])
    return table(["layer", "split", "neurons", "experts", "kept", "weight_error", "output_error"], rows, 5e-6)


# ---- sizes and cost


def expert_count_cost(memory: float, gpus: int) -> dict:
    """The law of S-BASE routing; a model of this size would serve from one or a few GPUs of so few bytes."""
    a, b, c, d, start, most = -0.082, -0.108, 0.009, 1.104, 1.847, 314.478
    bandwidth, flops, context = 1555e9, 312e12, 2048

    def x_of(expansion: float) -> float:
        return math.log10(1 / (1 / (expansion - 1 + 1 / (1 / start - 1 / most)) + 1 / most))

    def log_loss(n: float, expansion: float) -> float:
        return a * math.log10(n) + b * x_of(expansion) + c * math.log10(n) * x_of(expansion) + d

    def size_for(loss: float, expansion: float) -> float:
        return 10 ** ((loss - d - b * x_of(expansion)) / (a + c * x_of(expansion)))

    attention = HIDDEN * HEAD_DIM * (2 * HEADS + 2 * KV_HEADS)
    ffn = TOP_K * 3 * HIDDEN * WIDTH
    active = LAYERS * (attention + ffn)
    share = ffn / (attention + ffn)
    cache = 2 * KV_HEADS * HEAD_DIM * LAYERS * 2

    def serve(n: float, expansion: float) -> list:
        total = n * (1 + (expansion - 1) * share)
        kv = cache * (n / active) ** (2 / 3) * context
        ways = []
        for g in (2**i for i in range(20)):
            if g > gpus:
                break
            batch = math.floor((g * memory - 2 * total) / kv)
            if batch < 1:
                continue
            used = TOP_K * expansion * (1 - (1 - 1 / expansion) ** batch)
            read = 2 * n * (1 - share) + 2 * n * share * used / TOP_K + batch * kv / 2
            time = max(read / (g * bandwidth), 2 * n * batch / (g * flops))
            ways.append((g * time / batch * 1e6, g, float(batch), batch / time))
        if not ways:
            return [None, None, None, None]
        cost, g, batch, rate = min(ways)
        return [g, batch, rate, cost]

    rows, own = [], EXPERTS / TOP_K
    for expansion in sorted({own, *(2**i for i in range(10))}):
        loss = log_loss(active, expansion)
        same = size_for(log_loss(active, own), expansion)
        rows.append([TOP_K * expansion, expansion, int(expansion == own), active * (1 + (expansion - 1) * share), 10**loss,
                     size_for(loss, 1), *serve(active, expansion), same, same * (1 + (expansion - 1) * share), same / active,
                     serve(same, expansion)[3]])  # fmt: skip
    columns = ["experts", "expansion", "own", "total_parameters", "loss", "dense_of_same_loss", "gpus", "batch", "tokens_per_second"]
    columns += ["gpu_seconds", "same_loss_parameters", "same_loss_total", "same_loss_training", "same_loss_gpu_seconds"]
    return {"columns": columns, "rows": rows}


def main() -> None:
    plain, heads, dense = make_model(1), make_model(4), make_dense()
    write_model("plain", plain, 1)
    write_model("heads", heads, 4)
    Path("dense").mkdir(exist_ok=True)
    write_safetensors(Path("dense/model.safetensors"), {
        f"model.layers.{i}.mlp.{m}_proj.weight": (layer[m].T if m == "down" else layer[m], "F32")
        for i, layer in enumerate(dense) for m in MATRICES})  # fmt: skip
    every, some = list(range(VOCABULARY)), [i * VOCABULARY // 10 for i in range(10)]
    routing, load = sub_token_tables(heads, 4, every)
    expected = {
        "plain": {
            "minimum-capacity": minimum_capacity(plain, 1, every),
            "minimum-capacity:tokens=10": minimum_capacity(plain, 1, some),
            "expert-count-cost:memory=0.001:gpus=4": expert_count_cost(1e6, 4),
        },
        "heads": {
            "minimum-capacity": minimum_capacity(heads, 4, every),
            "sub-token-routing": routing,
            "sub-token-load": load,
            "sub-token-load:tokens=10": sub_token_tables(heads, 4, some)[1],
        },
        "dense": {
            "dense-split:experts=4:keep=1": dense_split(dense, 4, 1, 64, "up", 1),
            "dense-split:experts=7:keep=3:by=gate:inputs=20:seed=5": dense_split(dense, 7, 3, 20, "gate", 5),
        },
    }
    text = json.dumps(rounded(expected), separators=(",", ":")).replace("],[", "],\n[").replace('"rows":', '\n"rows":')
    Path("expected.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
