# SPDX-License-Identifier: GPL-3.0-or-later
"""What every reference counts: the choices of a run, and what chance alone would make of their loads."""

import math
from collections import defaultdict

import numpy as np

from .shape import EXPERTS, LAYERS, NAN, TOP_K


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
