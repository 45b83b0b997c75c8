# SPDX-License-Identifier: GPL-3.0-or-later
"""Experts dealt to the GPUs of a cluster."""

import numpy as np

from .choices import Run
from .load_balance import load
from .pairs_and_layers import transition_pairs
from .shape import EXPERTS, LAYERS


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
