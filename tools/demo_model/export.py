#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a trained state as a model folder: bf16 safetensors, config.json and the tokenizer.

Afterwards "reference.py MODEL VALIDATION --write" adds figures.json and expected.json. Needs python3-torch.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch

from checkpoint import bfloat16_bits, model_config, tokenizer_config, write_safetensors
from train import DemoModel, tensor_names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path, help="state.pt that train.py wrote")
    parser.add_argument("tokens", type=Path, help="folder that bpe.py wrote, for its tokenizer.json")
    parser.add_argument("out", type=Path, help="folder of the model")
    arguments = parser.parse_args()

    model = DemoModel()
    model.load_state_dict(torch.load(arguments.state)["model"])
    tensors = {name: bfloat16_bits(tensor.detach().numpy()) for name, tensor in tensor_names(model).items()}

    arguments.out.mkdir(parents=True, exist_ok=True)
    write_safetensors(arguments.out / "model.safetensors", tensors)
    (arguments.out / "config.json").write_text(json.dumps(model_config(), indent=1), encoding="utf-8")
    (arguments.out / "tokenizer_config.json").write_text(json.dumps(tokenizer_config(), indent=1), encoding="utf-8")
    shutil.copyfile(arguments.tokens / "tokenizer.json", arguments.out / "tokenizer.json")


if __name__ == "__main__":
    main()
