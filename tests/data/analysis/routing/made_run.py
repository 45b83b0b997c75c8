# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up run that is awkward in every way that recorded runs are."""

import numpy as np

from .shape import EXPERTS, LAYERS, TOP_K

RNG = np.random.default_rng(20240711)


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
