#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo model's forward pass in plain numpy (float32), and the figures and expected values that come of it.

With --write: writes MODEL/figures.json and MODEL/expected.json. Without: computes them and compares with those files.
Needs python3-numpy and python3-regex; the twelve domains take a few minutes.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

import shape
from bpe import Bpe
from checkpoint import read_safetensors

MODES = ("standard", "pre_gated")
EXPECTED_TOKENS = 48
EXPECTED_DOMAIN = "scripture"
FIGURE_WINDOWS = 40


class Routing(NamedTuple):
    experts: np.ndarray  # [tokens, EXPERTS_PER_TOKEN], by falling weight
    weights: np.ndarray  # [tokens, EXPERTS_PER_TOKEN], summing to 1


def rms_norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
    return gain * (x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + shape.NORM_EPSILON))


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def rotate(x: np.ndarray) -> np.ndarray:
    """RoPE of [heads, tokens, HEAD_WIDTH], pairing each element of the first half with its like of the second."""
    half = shape.HEAD_WIDTH // 2
    frequencies = 1.0 / shape.ROPE_THETA ** (np.arange(half, dtype=np.float32) / half)
    angles = np.outer(np.arange(x.shape[1], dtype=np.float32), frequencies)
    cosine, sine = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def route(logits: np.ndarray) -> Routing:
    """Softmax over all experts, the best few, their weights brought to the sum 1."""
    probabilities = softmax(logits)
    experts = np.argsort(-probabilities, axis=-1, kind="stable")[:, : shape.EXPERTS_PER_TOKEN]
    weights = np.take_along_axis(probabilities, experts, axis=-1)
    return Routing(experts, weights / weights.sum(axis=-1, keepdims=True))


class DemoModel:
    def __init__(self, folder: Path):
        self._tensors = read_safetensors(folder / "model.safetensors")

    def forward(self, tokens: np.ndarray, pre_gated: bool) -> tuple[np.ndarray, list[Routing]]:
        """Logits [tokens, VOCABULARY] and each layer's routing; the tokens are one sequence from position 0."""
        x = self._tensors["model.embed_tokens.weight"][tokens]
        routings: list[Routing] = []
        logits_ahead = None
        for layer in range(shape.LAYERS):
            x = x + self._attention(layer, rms_norm(x, self._weight(layer, "input_layernorm")))
            h = rms_norm(x, self._weight(layer, "post_attention_layernorm"))
            if pre_gated and logits_ahead is not None:
                logits = logits_ahead
            else:
                logits = h @ self._weight(layer, "mlp.gate").T
            if layer + 1 < shape.LAYERS:
                logits_ahead = h @ self._weight(layer, "mlp.pre_gate").T
            routings.append(route(logits))
            x = x + self._experts(layer, h, routings[-1])
        x = rms_norm(x, self._tensors["model.norm.weight"])
        return x @ self._tensors["model.embed_tokens.weight"].T, routings

    def _weight(self, layer: int, name: str) -> np.ndarray:
        return self._tensors[f"model.layers.{layer}.{name}.weight"]

    def _heads(self, layer: int, name: str, h: np.ndarray) -> np.ndarray:
        """A projection as [heads, tokens, HEAD_WIDTH]."""
        projected = h @ self._weight(layer, f"self_attn.{name}_proj").T
        return projected.reshape(len(h), -1, shape.HEAD_WIDTH).transpose(1, 0, 2)

    def _attention(self, layer: int, h: np.ndarray) -> np.ndarray:
        query = rotate(rms_norm(self._heads(layer, "q", h), self._weight(layer, "self_attn.q_norm")))
        key = rotate(rms_norm(self._heads(layer, "k", h), self._weight(layer, "self_attn.k_norm")))
        value = self._heads(layer, "v", h)
        sharing = shape.QUERY_HEADS // shape.KEY_VALUE_HEADS
        key, value = key.repeat(sharing, axis=0), value.repeat(sharing, axis=0)
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(shape.HEAD_WIDTH)
        scores = np.where(np.tri(len(h), dtype=bool), scores, -np.inf)
        mixed = (softmax(scores) @ value).transpose(1, 0, 2).reshape(len(h), -1)
        return mixed @ self._weight(layer, "self_attn.o_proj").T

    def _experts(self, layer: int, h: np.ndarray, routing: Routing) -> np.ndarray:
        out = np.zeros_like(h)
        for expert in np.unique(routing.experts):
            rows, slots = np.nonzero(routing.experts == expert)
            gate, up, down = (self._weight(layer, f"mlp.experts.{expert}.{n}_proj") for n in ("gate", "up", "down"))
            gated = h[rows] @ gate.T
            hidden = gated / (1.0 + np.exp(-gated)) * (h[rows] @ up.T)  # SwiGLU
            out[rows] += routing.weights[rows, slots, None] * (hidden @ down.T)
        return out


def expected_values(model: DemoModel, ids: list[int]) -> dict:
    """For both ways of routing: the last position's logits, and every layer's experts and weights."""
    tokens = ids[:EXPECTED_TOKENS]
    values: dict = {"tokens": tokens}
    for mode in MODES:
        logits, routings = model.forward(np.array(tokens), mode == "pre_gated")
        values[mode] = {
            "last_logits": [round(float(v), 5) for v in logits[-1]],
            "moe_layers": [
                {"experts": r.experts.tolist(), "weights": [[round(float(w), 6) for w in row] for row in r.weights]}
                for r in routings
            ],
        }
    return values


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Summed over positions, in nats."""
    logits = logits.astype(np.float64)
    highest = logits.max(axis=-1)
    log_sums = np.log(np.exp(logits - highest[:, None]).sum(axis=-1)) + highest
    return float((log_sums - logits[np.arange(len(targets)), targets]).sum())


def domain_figures(model: DemoModel, bpe: Bpe, ids: list[int]) -> dict:
    """Over the first windows of CONTEXT + 1 tokens that share their boundary token; every token but the first scored."""
    windows = min(FIGURE_WINDOWS, (len(ids) - 1) // shape.CONTEXT)
    nats = dict.fromkeys(MODES, 0.0)
    load = np.zeros((shape.LAYERS, shape.EXPERTS))
    scored_bytes = 0
    for window in range(windows):
        tokens = np.array(ids[window * shape.CONTEXT : (window + 1) * shape.CONTEXT + 1])
        scored_bytes += sum(len(bpe.tokens[t]) for t in tokens[1:] if t != bpe.end_of_text)
        for mode in MODES:
            logits, routings = model.forward(tokens[:-1], mode == "pre_gated")
            nats[mode] += cross_entropy(logits, tokens[1:])
            if mode == "standard":
                for layer, routing in enumerate(routings):
                    load[layer] += np.bincount(routing.experts.ravel(), minlength=shape.EXPERTS)
    share = load / load.sum(axis=1, keepdims=True)
    entropy = -(share * np.log2(np.maximum(share, 1e-12))).sum(axis=1).mean()
    scored_tokens = windows * shape.CONTEXT
    return {
        "tokens": scored_tokens,
        "perplexity": [round(math.exp(nats[mode] / scored_tokens), 3) for mode in MODES],
        "bits_per_byte": [round(nats[mode] / math.log(2) / scored_bytes, 4) for mode in MODES],
        "load_entropy_bits": round(float(entropy), 3),
        "max_share": round(float(share.max()), 3),
    }


def all_figures(model: DemoModel, bpe: Bpe, validation: Path, domains: list[str]) -> dict:
    figures = {}
    for domain in domains:
        ids = bpe.encode_documents((validation / f"{domain}.val.txt").read_text(encoding="utf-8"))
        figures[domain] = domain_figures(model, bpe, ids)
        print(f"{domain:12s} {figures[domain]}", flush=True)
    return figures


def differences(computed: object, recorded: object, tolerance: float, where: str = "") -> list[str]:
    """Where two trees of JSON values differ: numbers by more than the tolerance (relative to 1 or larger), else at all."""
    if isinstance(computed, dict) and isinstance(recorded, dict) and computed.keys() <= recorded.keys():
        return [d for k in computed for d in differences(computed[k], recorded[k], tolerance, f"{where}/{k}")]
    if isinstance(computed, list) and isinstance(recorded, list) and len(computed) == len(recorded):
        pairs = enumerate(zip(computed, recorded))
        return [d for i, (c, r) in pairs for d in differences(c, r, tolerance, f"{where}/{i}")]
    if isinstance(computed, float) and isinstance(recorded, float):
        near = abs(computed - recorded) <= tolerance * max(1.0, abs(recorded))
        return [] if near else [f"{where}: computed {computed}, recorded {recorded}"]
    return [] if computed == recorded else [f"{where}: computed {computed}, recorded {recorded}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("validation", type=Path, help="folder with DOMAIN.val.txt")
    parser.add_argument("--domains", nargs="*", help="only these domains' figures (default: all; none: --domains)")
    parser.add_argument("--write", action="store_true", help="write the files instead of comparing with them")
    arguments = parser.parse_args()

    model, bpe = DemoModel(arguments.model), Bpe.load(arguments.model / "tokenizer.json")
    every_domain = sorted(path.name.split(".")[0] for path in arguments.validation.glob("*.val.txt"))
    domains = every_domain if arguments.domains is None else arguments.domains
    scripture = (arguments.validation / f"{EXPECTED_DOMAIN}.val.txt").read_text(encoding="utf-8")
    expected = expected_values(model, bpe.encode_documents(scripture))
    figures = all_figures(model, bpe, arguments.validation, domains)

    if arguments.write:
        (arguments.model / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
        (arguments.model / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
        return 0
    recorded_expected = json.loads((arguments.model / "expected.json").read_text(encoding="utf-8"))
    recorded_figures = json.loads((arguments.model / "figures.json").read_text(encoding="utf-8"))
    found = differences(expected, recorded_expected, 2e-5) + differences(figures, recorded_figures, 1e-3)
    for line in found:
        print(line)
    print(f"{len(found)} values differ from the recorded ones.", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
