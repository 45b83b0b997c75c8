# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo model as a Hugging Face folder: bf16 safetensors with the Qwen3-MoE names, plus the pre-gates.

bf16 values travel as numpy uint16 (the upper halves of float32), since numpy has no bf16.
"""

import json
import struct
from pathlib import Path

import numpy as np

import shape


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """float32 → bf16 bits, to the nearest, ties to even. The values must be finite."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def float32_values(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Writes bf16 tensors (uint16 bits), sorted by name: header length, JSON header padded to 8 bytes, data."""
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for name in sorted(tensors):
            file.write(tensors[name].astype("<u2").tobytes())


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a bf16 safetensors file as float32."""
    data = path.read_bytes()
    (header_length,) = struct.unpack_from("<Q", data)
    start = 8 + header_length
    header = json.loads(data[8:start])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "BF16":
            raise SystemExit(f"{path}: tensor {name} is {entry['dtype']}, but the demo model's tensors are BF16.")
        begin, end = entry["data_offsets"]
        bits = np.frombuffer(data, dtype="<u2", count=(end - begin) // 2, offset=start + begin)
        tensors[name] = float32_values(bits).reshape(entry["shape"])
    return tensors


def model_config() -> dict:
    return {
        "architectures": ["Qwen3MoeForCausalLM"],
        "model_type": "qwen3_moe",
        "vocab_size": shape.VOCABULARY,
        "hidden_size": shape.HIDDEN,
        "intermediate_size": shape.EXPERT_WIDTH * shape.EXPERTS_PER_TOKEN,
        "moe_intermediate_size": shape.EXPERT_WIDTH,
        "num_hidden_layers": shape.LAYERS,
        "num_attention_heads": shape.QUERY_HEADS,
        "num_key_value_heads": shape.KEY_VALUE_HEADS,
        "head_dim": shape.HEAD_WIDTH,
        "num_experts": shape.EXPERTS,
        "num_experts_per_tok": shape.EXPERTS_PER_TOKEN,
        "norm_topk_prob": True,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "hidden_act": "silu",
        "max_position_embeddings": shape.CONTEXT,
        "rms_norm_eps": shape.NORM_EPSILON,
        "rope_theta": shape.ROPE_THETA,
        "rope_scaling": None,
        "attention_bias": False,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "bos_token_id": shape.END_OF_TEXT_ID,
        "eos_token_id": shape.END_OF_TEXT_ID,
        "expertscope_pre_gate": True,
    }


def tokenizer_config() -> dict:
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "model_max_length": shape.CONTEXT,
        "bos_token": shape.END_OF_TEXT,
        "eos_token": shape.END_OF_TEXT,
        "add_bos_token": True,
    }
