#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the samples of other tools' formats that the tests of profiler/interchange read, from the formats' public documents.

Needs NumPy and nothing of ExpertScope or PyTorch. Most samples hold one routing: six tokens, three layers, two of eight experts;
experts(t, l) and weights(t, l) below say which, and the tests say it again in C++.
"""

import base64
import collections
import gzip
import io
import json
import pickle
import sqlite3
import struct
import sys
import types
import zipfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
TOKENS, LAYERS, K, EXPERTS = 6, 3, 2, 8


def experts(token: int, layer: int) -> list[int]:
    first = (token * 3 + layer * 5) % EXPERTS
    return [first, (first + 1 + token % 3) % EXPERTS]


def weights(token: int, layer: int) -> list[float]:
    top = 0.5 + 0.0625 * ((token + layer) % 7)
    return [top, 1 - top]


IDS = np.array([[experts(t, l) for l in range(LAYERS)] for t in range(TOKENS)])
WEIGHTS = np.array([[weights(t, l) for l in range(LAYERS)] for t in range(TOKENS)], dtype=np.float32)


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def write_json(name: str, value: object) -> None:
    (HERE / name).write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def write_jsonl(name: str, values: list[object]) -> None:
    (HERE / name).write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def arrays() -> None:
    np.save(HERE / "routes_int16.npy", IDS.astype(np.int16))
    np.save(HERE / "routes_big_endian.npy", IDS.astype(">i4"))
    np.save(HERE / "routes_top1.npy", IDS[:, :, 0].astype(np.uint8))
    np.save(HERE / "fortran.npy", np.asfortranarray(IDS))
    np.save(HERE / "floats.npy", WEIGHTS)
    phase = np.array([0, 0, 0, 1, 1, 1], dtype=np.uint8)
    np.savez_compressed(HERE / "routes.npz", routed_experts=IDS.astype(np.uint8), weights=WEIGHTS, phase=phase)
    np.savez(HERE / "routes_half.npz", experts=IDS.astype(np.int64), weights=WEIGHTS.astype(np.float16))
    np.savez(HERE / "no_routes.npz", something=np.arange(3))
    (HERE / "routes.npy.gz").write_bytes(gzip.compress(npy(IDS.astype(np.int32)), mtime=0))


def responses() -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
    write_json("vllm_completion.json", {
        "id": "cmpl-1", "object": "text_completion", "model": "org/Some-MoE", "usage": usage,
        "choices": [{"index": 0, "text": "x", "finish_reason": "length", "routed_experts": text64(npy(IDS.astype(np.uint8)))}],
    })
    # vLLM 0.21: nested lists, the prompt apart, -1 where a position came from the prefix cache; then two completions of one prompt.
    cached = IDS.copy()
    cached[0] = -1
    write_jsonl("vllm_lists.jsonl", [
        {"model": "m", "usage": {"prompt_tokens": 4, "completion_tokens": 2}, "prompt_routed_experts": cached[:4].tolist(),
         "choices": [{"index": 0, "routed_experts": IDS[4:].tolist()}]},
        {"model": "m", "prompt_routed_experts": IDS[:2].tolist(), "prompt_token_ids": [11, 12],
         "choices": [{"index": 0, "routed_experts": IDS[2:4].tolist(), "token_ids": [13, 14]},
                     {"index": 1, "routed_experts": IDS[4:].tolist()}]},
        {"model": "m", "choices": [{"index": 0, "routed_experts": None}]},
    ])
    # SGLang counts all layers of the model; a dense one is all zeros.
    dense = np.concatenate([np.zeros((TOKENS, 1, K), dtype=np.int32), IDS.astype(np.int32)], axis=1)
    raw = text64(dense.astype("<i4").tobytes())
    write_json("sglang_generate.json", [{"text": "x", "meta_info": {"id": "1", "prompt_tokens": 4, "completion_tokens": 3,
                                                                    "routed_experts": raw}}])
    late = text64(dense[2:].astype("<i4").tobytes())
    write_json("sglang_chat.json", {"model": "org/Some-MoE", "usage": usage, "choices": [
        {"index": 0, "message": {"content": "x"}, "sgl_ext": {"routed_experts": late, "routed_experts_start_len": 2}}]})
    # Newer servers tell the first completion's beside the choices.
    write_json("sglang_beside.json", {"model": "org/Some-MoE", "usage": usage, "sglext": {"routed_experts": raw},
                                      "choices": [{"index": 0, "text": "x"}]})


def streams() -> None:
    """Answers as servers stream them: server-sent events, the routing with the last chunks."""
    def write_events(name: str, chunks: list[object]) -> None:
        events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
        (HERE / name).write_text(events + "data: [DONE]\n\n", encoding="utf-8")

    usage = {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
    # vLLM's /inference/v1/generate: token ids as they come, the array with the chunk that ends the choice.
    array = text64(npy(IDS.astype(np.int32)))
    write_events("vllm_stream.txt", [
        *({"request_id": "generate-tokens-1", "usage": None,
           "choices": [{"index": 0, "logprobs": None, "finish_reason": "length" if last else None, "token_ids": [14 + i],
                        "routed_experts": array if last else None}]} for i, last in enumerate((False, False, True))),
        {"request_id": "generate-tokens-1", "choices": [], "usage": usage}])
    dense = np.concatenate([np.zeros((TOKENS, 1, K), dtype=np.int32), IDS.astype(np.int32)], axis=1)
    raw = text64(dense.astype("<i4").tobytes())
    # SGLang's chat: the array in a chunk without choices, then the counts.
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "org/Some-MoE"}
    write_events("sglang_stream_chat.txt", [
        *({**chunk, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None, "matched_stop": None}]}
          for text in ("", "a", "b")),
        {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "length", "matched_stop": None}]},
        {**chunk, "choices": [], "sglext": {"routed_experts": raw, "cached_tokens_details": None}},
        {**chunk, "choices": [], "usage": usage}])
    # SGLang's /generate: every chunk tells all that is known so far; two completions side by side.
    write_events("sglang_stream_generate.txt", [
        {"text": "x" * n, "index": index, "meta_info": {"id": f"r{index}", "prompt_tokens": 4, "completion_tokens": n,
                                                        **({"routed_experts": raw} if n == 3 else {})}}
        for n in (1, 2, 3) for index in (0, 1)])


def megatron() -> None:
    def line(step: int, layer: int, ids: np.ndarray, **more: object) -> dict[str, object]:
        return {"step": step, "stage": "pre_dispatch", "block": "decoder", "layer": layer, "rank": 0, "num_tokens": len(ids),
                "topk": K, "top_indices": ids.tolist(), **more}

    steps = [(0, IDS[:4]), (1, IDS[4:5]), (2, IDS[5:])]
    lines = [line(step, layer, ids[:, layer]) for step, ids in steps for layer in range(LAYERS)]
    lines.insert(3, line(0, 0, IDS[:1, 0], block="mtp", mtp_idx=0))
    write_jsonl("router_trace_rank0.jsonl", lines)
    # Training: two micro-batches of one iteration.
    write_jsonl("megatron_training.jsonl", [line(7, layer, ids[:, layer]) for ids in (IDS[:3], IDS[3:]) for layer in range(LAYERS)])


COUNTS = [[(layer + 1) * 100 + expert for expert in range(4)] for layer in range(2)]


def gguf(tensors: dict[str, np.ndarray], kind: str = "imatrix") -> bytes:
    def text(value: str) -> bytes:
        data = value.encode()
        return struct.pack("<Q", len(data)) + data

    values = [
        text("general.type") + struct.pack("<I", 8) + text(kind),
        text("imatrix.chunk_count") + struct.pack("<II", 4, 3),
        text("imatrix.datasets") + struct.pack("<IIQ", 9, 8, 1) + text("wiki.test.raw"),
        text("an.array") + struct.pack("<IIQ", 9, 5, 2) + struct.pack("<ii", -1, 2),
        text("a.float") + struct.pack("<If", 6, 0.5),
    ]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values)) + b"".join(values)
    data = b""
    for name, array in tensors.items():
        shape = array.shape[::-1]
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", 0, len(data))
        data += array.astype("<f4").tobytes()
        data += bytes(-len(data) % 32)
    return head + bytes(-len(head) % 32) + data


def imatrix() -> None:
    tensors: dict[str, np.ndarray] = {"blk.0.attn_q.weight.counts": np.array([[300.0]])}
    for layer, counts in enumerate(COUNTS):
        for part in ("gate", "up", "down"):
            tensors[f"blk.{layer}.ffn_{part}_exps.weight.in_sum2"] = np.ones((4, 3))
            tensors[f"blk.{layer}.ffn_{part}_exps.weight.counts"] = np.array(counts, dtype=np.float32).reshape(4, 1)
    (HERE / "imatrix.gguf").write_bytes(gguf(tensors))
    (HERE / "imatrix_dense.gguf").write_bytes(gguf({"blk.0.attn_q.weight.counts": np.array([[300.0]])}))


# What torch.save writes, without torch: names of classes and functions, and storages told by their number.
def fake(module: str, name: str, kind: str) -> object:
    owner = sys.modules.setdefault(module, types.ModuleType(module))
    if kind == "class":
        made: object = type(name, (), {"__module__": module})
    else:
        def made(*_: object) -> None:
            raise AssertionError("never called")
        made.__module__, made.__qualname__, made.__name__ = module, name, name
    setattr(owner, name, made)
    return made


sys.modules.setdefault("torch", types.ModuleType("torch"))
REBUILD = fake("torch._utils", "_rebuild_tensor_v2", "function")
STORAGES = {np.dtype(dtype): fake("torch", name, "class") for dtype, name in
            (("i4", "IntStorage"), ("i8", "LongStorage"), ("f4", "FloatStorage"), ("?", "BoolStorage"))}


class Storage:
    def __init__(self, array: np.ndarray) -> None:
        self.array = np.ascontiguousarray(array)


class Tensor:
    """A view of a storage: offset and strides in values."""

    def __init__(self, storage: Storage, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> None:
        self.parts = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce_ex__(self, _: int) -> tuple[object, tuple[object, ...]]:
        return REBUILD, self.parts


def tensor(array: np.ndarray) -> Tensor:
    array = np.ascontiguousarray(array)
    return Tensor(Storage(array), array.shape, tuple(s // array.itemsize for s in array.strides))


class TorchPickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO, *more: object) -> None:
        super().__init__(out, protocol=2)
        self.storages: list[Storage] = []
        self.more = more

    def persistent_id(self, obj: object) -> object:
        if not isinstance(obj, Storage):
            return None
        if obj not in self.storages:
            self.storages.append(obj)
        return ("storage", STORAGES[obj.array.dtype], str(self.storages.index(obj)), "cpu", obj.array.size, *self.more)


def torch_save(name: str, value: object, compress: int = zipfile.ZIP_STORED) -> None:
    out = io.BytesIO()
    pickler = TorchPickler(out)
    pickler.dump(value)
    archive_pickle(name, out.getvalue(), pickler.storages, compress)


def torch_save_sequence(name: str, value: object) -> None:
    """As torch.save wrote before its files were ZIPs, and does with _use_new_zipfile_serialization=False."""
    out = io.BytesIO()
    pickler = TorchPickler(out, None)
    pickler.dump(value)
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(part, protocol=2) for part in (0x1950A86A20F9469CFC6C, 1001, machine))
    numbers = pickle.dumps([str(number) for number in range(len(pickler.storages))], protocol=2)
    data = b"".join(struct.pack("<q", storage.array.size) + storage.array.tobytes() for storage in pickler.storages)
    (HERE / name).write_bytes(head + out.getvalue() + numbers + data)


def archive_pickle(name: str, data: bytes, storages: list[Storage], compress: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(HERE / name, "w", compress) as archive:
        def put(entry: str, content: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(f"archive/{entry}"), content, compress)

        put("data.pkl", data)
        put("byteorder", b"little")
        for number, storage in enumerate(storages):
            put(f"data/{number}", storage.array.tobytes())
        put("version", b"3\n")


def sglang_dumps() -> None:
    count = np.zeros((2, LAYERS, EXPERTS), dtype=np.int32)
    for token in range(TOKENS):
        for layer in range(LAYERS):
            for expert in experts(token, layer):
                count[0 if token < 4 else 1, layer, expert] += 1
    torch_save("sglang_stat.pt", {"rank": 0, "logical_count": tensor(count), "average_utilization_rate_over_window": None})

    # Two replicas of expert 0: physical 8 is logical 0 again. Each pass is padded with -1 to eight choices.
    to_logical = np.array([list(range(EXPERTS)) + [0]] * LAYERS, dtype=np.int64)
    ids = np.full((LAYERS, TOKENS, 8), -1, dtype=np.int32)
    ids[:, :, :K] = IDS.transpose(1, 0, 2)
    ids[0, 0][ids[0, 0] == 0] = 8
    # All passes are views of one storage, as slices of a buffer are.
    storage = Storage(ids)

    def record(number: int, first: int, last: int, mode: int) -> dict[str, object]:
        view = Tensor(storage, (LAYERS, last - first, 8), (TOKENS * 8, 8, 1), first * 8)
        return {"forward_pass_id": number, "rank": 0, "gatherer_key": "primary", "input_ids": [100 + t for t in range(first, last)],
                "positions": list(range(first, last)), "extend_seq_lens": [last - first] if mode == 1 else None,
                "forward_mode": mode, "topk_ids_of_layer": view, "misc_objects": [{"layer_id": 0, "num_tokens_per_rank": [1]}],
                "global_physical_count": tensor(np.ones((LAYERS, EXPERTS + 1), dtype=np.int32))}

    dump = {"records": [record(5, 0, 4, 1), record(6, 4, 5, 2), record(7, 5, 6, 2)],
            "last_physical_to_logical_map": tensor(to_logical)}
    torch_save("sglang_per_token.pt", dump)
    torch_save("sglang_per_token_deflated.pt", dump, zipfile.ZIP_DEFLATED)
    torch_save_sequence("sglang_per_token_sequence.pt", dump)
    # Two prompts of a token each, then two passes that decode a token of either.
    torch_save("sglang_batched.pt", {"records": [record(5, 0, 2, 1), record(6, 2, 4, 2), record(7, 4, 6, 2)],
                                     "last_physical_to_logical_map": tensor(to_logical)})
    torch_save("sglang_nothing.pt", {"records": [], "last_physical_to_logical_map": tensor(to_logical)})
    per_pass = {"records": [{"forward_pass_id": n, "rank": 0, "gatherer_key": "primary",
                             "global_physical_count": tensor(np.full((LAYERS, EXPERTS + 1), n, dtype=np.int32))} for n in (1, 2)],
                "last_physical_to_logical_map": tensor(to_logical)}
    torch_save("sglang_per_pass.pt", per_pass)

    # Pickles that would run something, if anything ran: a call by reduce, one by protocol 4's names, and an object's own state.
    archive_pickle("evil_reduce.pt", b"cposix\nsystem\n(X\x04\x00\x00\x00trueStR.", [])
    archive_pickle("evil_stack_global.pt", b"\x80\x04\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x8c\x031+1\x85R.", [])
    archive_pickle("evil_object.pt", b"\x80\x02(ios\nsystem\n.", [])


def nsys(name: str, tables: dict[str, tuple[str, list[tuple[object, ...]]]]) -> None:
    file = HERE / name
    file.unlink(missing_ok=True)
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA page_size=1024")
        for table, (columns, rows) in tables.items():
            database.execute(f"CREATE TABLE {table} ({columns})")
            for row in rows:
                database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    database.close()


def nsight() -> None:
    tid = (4711 << 24) | 4712
    strings = [(1, "gemm"), (2, "void gemm<float>(int)"), (3, "cudaLaunchKernel"), (4, "main thread"), (5, "registered"),
               (6, "moe"), (7, "io")]
    nsys("nsys.sqlite", {
        "StringIds": ("id INTEGER PRIMARY KEY, value TEXT NOT NULL", strings),
        "META_DATA_EXPORT": ("name TEXT, value TEXT", [("EXPORT_SCHEMA_VERSION", "3.28.1")]),
        "ThreadNames": ("nameId INTEGER, priority INTEGER, globalTid INTEGER", [(4, 0, tid)]),
        "CUPTI_ACTIVITY_KIND_KERNEL": (
            "start INTEGER, end INTEGER, deviceId INTEGER, contextId INTEGER, greenContextId INTEGER, streamId INTEGER, "
            "correlationId INTEGER, globalPid INTEGER, demangledName INTEGER, shortName INTEGER, gridX INTEGER",
            [(2000, 2600, 0, 1, None, 7, 11, 4711 << 24, 2, 1, 64), (1000, 1500, 0, 1, None, 7, 10, 4711 << 24, 2, 1, 64)]),
        "CUPTI_ACTIVITY_KIND_MEMCPY": (
            "start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER, correlationId INTEGER, bytes INTEGER, "
            "copyKind INTEGER, srcKind INTEGER, dstKind INTEGER", [(500, 900, 0, 8, 9, 4096, 1, 1, 2)]),
        "CUPTI_ACTIVITY_KIND_MEMSET": ("start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER, value INTEGER, "
                                       "bytes INTEGER", [(950, 960, 0, 8, 0, 256)]),
        "CUPTI_ACTIVITY_KIND_RUNTIME": ("start INTEGER, end INTEGER, eventClass INTEGER, globalTid INTEGER, correlationId "
                                        "INTEGER, nameId INTEGER, returnValue INTEGER", [(800, 850, 0, tid, 10, 3, 0)]),
        "NVTX_EVENTS": (
            "start INTEGER, end INTEGER, eventType INTEGER, rangeId INTEGER, category INTEGER, color INTEGER, text TEXT, "
            "globalTid INTEGER, endGlobalTid INTEGER, textId INTEGER, domainId INTEGER, uint64Value INTEGER, int64Value "
            "INTEGER, doubleValue REAL",
            [(0, None, 75, None, None, None, None, tid, None, 6, 2, None, None, None),
             (0, None, 33, None, 5, None, None, tid, None, 7, 2, None, None, None),
             (100, 3000, 59, None, None, None, "outer", tid, None, None, 0, None, None, None),
             (200, 400, 59, None, 5, 0xFF112233, None, tid, None, 5, 2, None, -7, None),
             (300, 3100, 60, 1, None, None, "across", tid, tid, None, 0, None, None, 0.25),
             (350, None, 34, None, None, None, "mark", tid, None, None, 0, None, None, None),
             (360, None, 59, None, None, None, "open", tid, None, None, 0, None, None, None)]),
    })
    # As nvprof's exports were: another table of strings, a text in the kernel, and nothing but times besides.
    nsys("nsys_old.sqlite", {
        "StringTable": ("_id_ INTEGER PRIMARY KEY, value TEXT", [(1, "old_kernel")]),
        "CUPTI_ACTIVITY_KIND_KERNEL": ("end INTEGER, name INTEGER, start INTEGER", [(20, 1, 10)]),
    })
    nsys("nsys_backwards.sqlite", {"CUPTI_ACTIVITY_KIND_KERNEL": ("start INTEGER, end INTEGER", [(1, 2), (10, 5)])})
    nsys("nsys_empty.sqlite", {"META_DATA_EXPORT": ("name TEXT, value TEXT", [])})
    nsys("other.sqlite", {"something": ("x INTEGER", [(1,)])})


def main() -> None:
    arrays()
    nsight()
    responses()
    streams()
    megatron()
    imatrix()
    sglang_dumps()


if __name__ == "__main__":
    main()
