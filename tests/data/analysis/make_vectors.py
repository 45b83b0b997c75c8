#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes trace.json, a made-up run that is awkward in every way that recorded runs are, and expected.json: what its analyses
are, computed with numpy and scipy by formulas written out here and not by the program. Run it in its folder; needs numpy and scipy.

expected.json: {NAME WITH PARAMETERS: {"columns": […], "rows": [[…]], "tolerance": {COLUMN: absolute}, "only": {COLUMN: [VALUE, …]}}};
columns and rows that the program has beyond those are not compared. Columns without a tolerance agree to 1e-9."""

import json
import math

import numpy as np

from routing.choices import Run
from routing.expert_placement import check_eplb, placement, placement_map
from routing.load_balance import balance, load
from routing.made_run import make_trace, other_trace
from routing.meaning import chosen_experts, committee, specialisation, vocabulary, vocabulary_tokens
from routing.pairs_and_layers import co_activation, layer_distance, layer_similarity, transition_information, transitions
from routing.prediction import prediction_quality
from routing.reuse_in_time import coverage, lru_curve, overlap, repetition, reuse, reuse_histogram, working_set
from routing.shape import LAYERS
from routing.whole_requests import activation_ratio, request_groups, request_reuse, saturation


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
