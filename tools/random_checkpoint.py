#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a Qwen3-MoE checkpoint of any size with random weights, for measuring offloading on models that do not fit.

Its text means nothing and it has no tokenizer (run it with --prompt-ids); its sizes, its files and what its experts cost are
those of a real one. Routing is as skewed as asked: each layer's router rows are scaled so that some experts are wanted more.
"""

import argparse
import json
import math
import random
import struct
from pathlib import Path

BF16 = 2
ONE = b"\x80\x3f"
PIECE = 1 << 24


def bfloat16(value: float) -> bytes:
    return struct.pack("<f", value)[2:]


def noise(count: int, rms: float, source: random.Random) -> bytes:
    """Random values of both signs around `rms`, by their bits: of each the low byte (the last exponent bit and the mantissa)
    is random, the high byte (sign and exponent) one of those of rms / 4 … 4 · rms."""
    high = bfloat16(rms)[1]
    table = bytes((high - 1 + (byte & 1)) | (byte & 0x80) for byte in range(256))
    pair = bytearray(2 * count)
    pair[0::2] = source.randbytes(count)
    pair[1::2] = source.randbytes(count).translate(table)
    return bytes(pair)


def shapes(c: dict) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape, in the order of the file."""
    hidden, head = c["hidden_size"], c["head_dim"]
    tensors = {"model.embed_tokens.weight": (c["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        tensors |= {
            at + "input_layernorm.weight": (hidden,),
            at + "post_attention_layernorm.weight": (hidden,),
            at + "self_attn.q_proj.weight": (c["num_attention_heads"] * head, hidden),
            at + "self_attn.k_proj.weight": (c["num_key_value_heads"] * head, hidden),
            at + "self_attn.v_proj.weight": (c["num_key_value_heads"] * head, hidden),
            at + "self_attn.o_proj.weight": (hidden, c["num_attention_heads"] * head),
            at + "self_attn.q_norm.weight": (head,),
            at + "self_attn.k_norm.weight": (head,),
            at + "mlp.gate.weight": (c["num_experts"], hidden),
        }
        for expert in range(c["num_experts"]):
            mlp = f"{at}mlp.experts.{expert}."
            tensors |= {
                mlp + "gate_proj.weight": (c["moe_intermediate_size"], hidden),
                mlp + "up_proj.weight": (c["moe_intermediate_size"], hidden),
                mlp + "down_proj.weight": (hidden, c["moe_intermediate_size"]),
            }
    return tensors


def write_values(file, name: str, shape: tuple[int, ...], skew: float, source: random.Random) -> None:
    count = math.prod(shape)
    if name.endswith("norm.weight"):
        file.write(ONE * count)
    elif name.endswith("mlp.gate.weight"):
        ranks = list(range(1, shape[0] + 1))
        source.shuffle(ranks)
        for rank in ranks:
            scale = 4 * rank**-skew / math.sqrt(shape[1])
            file.write(b"".join(bfloat16(source.gauss(0, scale)) for _ in range(shape[1])))
    else:
        for at in range(0, count, PIECE):
            file.write(noise(min(PIECE, count - at), 1 / math.sqrt(shape[-1]), source))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the checkpoint goes; made when missing")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--experts", type=int, default=64)
    parser.add_argument("--top-k", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--width", type=int, default=512, help="of an expert")
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--skew", type=float, default=0.3, help="0: every expert is wanted alike")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    config = {
        "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "vocab_size": a.vocabulary,
        "hidden_size": a.hidden, "num_hidden_layers": a.layers, "num_attention_heads": max(1, a.hidden // 64),
        "num_key_value_heads": max(1, a.hidden // 128), "head_dim": 64, "num_experts": a.experts,
        "num_experts_per_tok": a.top_k, "moe_intermediate_size": a.width, "intermediate_size": a.width,
        "norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": [], "rms_norm_eps": 1e-6,
        "rope_theta": 1e6, "max_position_embeddings": 4096, "tie_word_embeddings": True, "hidden_act": "silu",
        "torch_dtype": "bfloat16",
    }
    a.folder.mkdir(parents=True, exist_ok=True)
    (a.folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    tensors = shapes(config)
    header, offset = {}, 0
    for name, shape in tensors.items():
        size = math.prod(shape) * BF16
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    source = random.Random(a.seed)
    with open(a.folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors.items():
            write_values(file, name, shape, a.skew, source)
    print(f"{a.folder}: {offset / 1e9:.2f} GB, {a.layers} layers × {a.experts} experts, top-{a.top_k}")


if __name__ == "__main__":
    main()
