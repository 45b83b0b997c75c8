#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains the demo model on the encoded corpus that bpe.py wrote.

The learning rate follows the time, not the steps: warm-up, constant for a fifth of the budget, then a cosine down to 5 %.
A run that is interrupted goes on with --resume, where it was saved last; --continue-from begins anew with the weights of
an exported model. Half of the steps (a quarter at first) route by the pre-gates, so that both ways of routing work.

Needs python3-torch and python3-numpy. One thread is steadier than two beside other work; preloading tcmalloc helps.
"""

import argparse
import math
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import shape
from checkpoint import read_safetensors

INITIAL_DEVIATION = 0.02
# What adds to the residual stream starts smaller, so that its variance does not grow with depth.
RESIDUAL_DEVIATION = INITIAL_DEVIATION / math.sqrt(2 * shape.LAYERS)

# An expert takes at most this many times its even share of a batch; what is beyond is left out of the step.
EXPERT_CAPACITY = 1.5
LOAD_BALANCE_LOSS = 0.02
ROUTER_Z_LOSS = 1e-4

WARM_UP_STEPS = 30
CONSTANT_UNTIL = 0.2  # of the time budget
FINAL_RATE = 0.05  # of the peak
ADAM_RATE = 0.15  # of Muon's
MUON_MOMENTUM = 0.95
MUON_DECAY = 0.02
NEWTON_SCHULZ = (3.4445, -4.775, 2.0315)  # of Jordan et al., Muon (2024)
NEWTON_SCHULZ_STEPS = 5

PRODUCTS = {"bfloat16": torch.bfloat16, "float32": torch.float32}

REPORT_STEPS = 25
SAVE_SECONDS = 900


class RmsNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.float()
        return self.gain * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + shape.NORM_EPSILON))


class Rope(nn.Module):
    """Rotary position embedding of [batch, heads, tokens, HEAD_WIDTH]."""

    def __init__(self) -> None:
        super().__init__()
        frequencies = 1.0 / shape.ROPE_THETA ** (torch.arange(0, shape.HEAD_WIDTH, 2).float() / shape.HEAD_WIDTH)
        angles = torch.outer(torch.arange(shape.CONTEXT).float(), frequencies).repeat(1, 2)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens, half = x.shape[2], shape.HEAD_WIDTH // 2
        turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
        return x * self.cosine[:tokens] + turned * self.sine[:tokens]


def matrix(*size: int, deviation: float = INITIAL_DEVIATION) -> nn.Parameter:
    return nn.Parameter(torch.randn(*size) * deviation)


class Attention(nn.Module):
    """Causal grouped-query attention with normalised queries and keys."""

    def __init__(self, rope: Rope):
        super().__init__()
        query_width = shape.QUERY_HEADS * shape.HEAD_WIDTH
        key_value_width = shape.KEY_VALUE_HEADS * shape.HEAD_WIDTH
        self.q = matrix(query_width, shape.HIDDEN)
        self.k = matrix(key_value_width, shape.HIDDEN)
        self.v = matrix(key_value_width, shape.HIDDEN)
        self.o = matrix(shape.HIDDEN, query_width, deviation=RESIDUAL_DEVIATION)
        self.q_norm, self.k_norm = RmsNorm(shape.HEAD_WIDTH), RmsNorm(shape.HEAD_WIDTH)
        self.rope = rope
        mask = torch.full((shape.CONTEXT, shape.CONTEXT), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        batch, tokens, _ = h.shape

        def heads(weight: torch.Tensor) -> torch.Tensor:
            return F.linear(h, weight).view(batch, tokens, -1, shape.HEAD_WIDTH)

        query = self.rope(self.q_norm(heads(self.q)).transpose(1, 2))
        key = self.rope(self.k_norm(heads(self.k)).transpose(1, 2))
        value = heads(self.v).transpose(1, 2)
        sharing = shape.QUERY_HEADS // shape.KEY_VALUE_HEADS
        key, value = key.repeat_interleave(sharing, dim=1), value.repeat_interleave(sharing, dim=1)
        scores = (query @ key.transpose(-1, -2) / math.sqrt(shape.HEAD_WIDTH)).float() + self.mask[:tokens, :tokens]
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, tokens, -1)
        return F.linear(mixed, self.o)


@dataclass
class RoutingLosses:
    balance: torch.Tensor
    z: torch.Tensor
    load: torch.Tensor  # tokens of each expert


class Experts(nn.Module):
    """SwiGLU experts, run as one batched product over EXPERTS × capacity rows."""

    def __init__(self, products: torch.dtype) -> None:
        super().__init__()
        self.products = products
        self.gate_proj = matrix(shape.EXPERTS, shape.EXPERT_WIDTH, shape.HIDDEN)
        self.up_proj = matrix(shape.EXPERTS, shape.EXPERT_WIDTH, shape.HIDDEN)
        self.down_proj = matrix(shape.EXPERTS, shape.HIDDEN, shape.EXPERT_WIDTH, deviation=RESIDUAL_DEVIATION)

    def forward(self, h: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, RoutingLosses]:
        """h: [tokens, HIDDEN], logits: [tokens, EXPERTS]."""
        tokens = h.shape[0]
        choices = tokens * shape.EXPERTS_PER_TOKEN
        probabilities = logits.float().softmax(-1)
        weights, chosen = probabilities.topk(shape.EXPERTS_PER_TOKEN, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)

        by_expert = chosen.flatten().argsort()
        expert_of = chosen.flatten()[by_expert]
        load = torch.bincount(expert_of, minlength=shape.EXPERTS)
        capacity = int(EXPERT_CAPACITY * choices) // shape.EXPERTS
        place = torch.arange(choices) - (load.cumsum(0) - load)[expert_of]
        kept = (place < capacity).nonzero().squeeze(1)
        row = expert_of[kept] * capacity + place[kept]
        token = by_expert[kept] // shape.EXPERTS_PER_TOKEN

        gathered = torch.zeros(shape.EXPERTS * capacity, shape.HIDDEN, dtype=self.products)
        gathered = gathered.index_copy(0, row, h.to(self.products)[token]).view(shape.EXPERTS, capacity, shape.HIDDEN)
        gate, up, down = (w.to(self.products).transpose(1, 2) for w in (self.gate_proj, self.up_proj, self.down_proj))
        made = torch.bmm(F.silu(torch.bmm(gathered, gate)) * torch.bmm(gathered, up), down)
        made = made.view(-1, shape.HIDDEN)[row].float() * weights.flatten()[by_expert[kept]].unsqueeze(-1)

        balance = shape.EXPERTS * (load.float() / choices * probabilities.mean(0)).sum()
        z = logits.float().logsumexp(-1).pow(2).mean()
        return torch.zeros_like(h).index_add(0, token, made), RoutingLosses(balance, z, load)


class Block(nn.Module):
    def __init__(self, rope: Rope, products: torch.dtype):
        super().__init__()
        self.input_norm, self.post_attention_norm = RmsNorm(shape.HIDDEN), RmsNorm(shape.HIDDEN)
        self.attention = Attention(rope)
        self.gate = matrix(shape.EXPERTS, shape.HIDDEN)
        self.pre_gate = matrix(shape.EXPERTS, shape.HIDDEN)
        self.experts = Experts(products)


class DemoModel(nn.Module):
    def __init__(self, products: torch.dtype = torch.bfloat16) -> None:
        """products: the type in which matrices are multiplied; sums over the residual stream are float32 always."""
        super().__init__()
        self.products = products
        rope = Rope()
        self.embedding = matrix(shape.VOCABULARY, shape.HIDDEN)
        self.blocks = nn.ModuleList(Block(rope, products) for _ in range(shape.LAYERS))
        self.norm = RmsNorm(shape.HIDDEN)

    def forward(self, ids: torch.Tensor, pre_gated: bool) -> tuple[torch.Tensor, list[RoutingLosses]]:
        """ids: [batch, tokens]; logits: [batch, tokens, VOCABULARY]."""
        x = F.embedding(ids, self.embedding)
        losses = []
        logits_ahead = None
        for block in self.blocks:
            x = x + block.attention(block.input_norm(x))
            h = block.post_attention_norm(x).reshape(-1, shape.HIDDEN).float()
            logits = logits_ahead if pre_gated and logits_ahead is not None else F.linear(h, block.gate)
            logits_ahead = F.linear(h, block.pre_gate)
            made, loss = block.experts(h, logits)
            x = x + made.view_as(x)
            losses.append(loss)
        return F.linear(self.norm(x).to(self.products), self.embedding.to(self.products)).float(), losses


def tensor_names(model: DemoModel) -> dict[str, torch.Tensor]:
    """The parameters by their names in the exported checkpoint; an expert's matrices are views of the stacked ones."""
    named = {"model.embed_tokens.weight": model.embedding, "model.norm.weight": model.norm.gain}
    for layer, block in enumerate(model.blocks):
        prefix = f"model.layers.{layer}."
        attention = block.attention
        named[prefix + "input_layernorm.weight"] = block.input_norm.gain
        named[prefix + "post_attention_layernorm.weight"] = block.post_attention_norm.gain
        named[prefix + "self_attn.q_norm.weight"] = attention.q_norm.gain
        named[prefix + "self_attn.k_norm.weight"] = attention.k_norm.gain
        for name in "qkvo":
            named[prefix + f"self_attn.{name}_proj.weight"] = getattr(attention, name)
        named[prefix + "mlp.gate.weight"] = block.gate
        if layer + 1 < shape.LAYERS:  # the last block has no next layer to route for
            named[prefix + "mlp.pre_gate.weight"] = block.pre_gate
        for expert in range(shape.EXPERTS):
            for name in ("gate_proj", "up_proj", "down_proj"):
                stacked = getattr(block.experts, name)
                named[prefix + f"mlp.experts.{expert}.{name}.weight"] = stacked[expert]
    return named


@torch.no_grad()
def load_exported(model: DemoModel, folder: Path) -> None:
    tensors = read_safetensors(folder / "model.safetensors")
    for name, parameter in tensor_names(model).items():
        parameter.copy_(torch.from_numpy(tensors[name]))


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal by a Newton–Schulz iteration (Jordan et al., 2024); leading axes stack matrices."""

    def __init__(self, parameters: list[nn.Parameter], products: torch.dtype):
        super().__init__(parameters, {"lr": 1.0})
        self.products = products

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].mul_(MUON_MOMENTUM).add_(parameter.grad)
                update = self._orthogonal(parameter.grad.add(momentum, alpha=MUON_MOMENTUM))
                tallness = max(1.0, parameter.shape[-2] / parameter.shape[-1]) ** 0.5
                parameter.mul_(1 - group["lr"] * MUON_DECAY).add_(update, alpha=-group["lr"] * tallness)

    def _orthogonal(self, update: torch.Tensor) -> torch.Tensor:
        """The update with its singular values brought near 1."""
        a, b, c = NEWTON_SCHULZ
        x = update.view(-1, *update.shape[-2:]).to(self.products)
        norms = x.float().flatten(1).norm(dim=1).view(-1, 1, 1)
        x = x / (norms + 1e-7).to(self.products)
        tall = x.shape[1] > x.shape[2]
        if tall:
            x = x.transpose(1, 2)
        for _ in range(NEWTON_SCHULZ_STEPS):
            gram = torch.bmm(x, x.transpose(1, 2))
            x = a * x + torch.bmm(b * gram + c * torch.bmm(gram, gram), x)
        if tall:
            x = x.transpose(1, 2)
        return x.reshape(update.shape).float()


def make_optimizers(model: DemoModel) -> tuple[Muon, torch.optim.AdamW]:
    """Muon for the matrices that carry the residual stream; AdamW for embedding, routers and gains."""

    def is_for_muon(name: str, parameter: nn.Parameter) -> bool:
        return parameter.dim() >= 2 and name != "embedding" and not name.endswith(("gate",))

    named = list(model.named_parameters())
    muon = Muon([p for n, p in named if is_for_muon(n, p)], model.products)
    rest = [p for n, p in named if not is_for_muon(n, p)]
    return muon, torch.optim.AdamW(rest, lr=1.0, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)


class Corpus:
    """The encoded domains, drawn from evenly however long they are."""

    def __init__(self, folder: Path):
        self.domains = sorted(path.name.split(".")[0] for path in folder.glob("*.train.bin"))
        if not self.domains:
            raise SystemExit(f"{folder} holds no *.train.bin; run bpe.py first.")
        self._training = {d: np.fromfile(folder / f"{d}.train.bin", dtype="<u2") for d in self.domains}
        self._validation = {d: np.fromfile(folder / f"{d}.val.bin", dtype="<u2") for d in self.domains}

    def batch(self, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        windows = []
        for _ in range(rows):
            ids = self._training[random.choice(self.domains)]
            start = np.random.randint(0, len(ids) - shape.CONTEXT - 1)
            windows.append(ids[start : start + shape.CONTEXT + 1])
        return self._inputs_and_targets(windows)

    def validation(self, domain: str, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        ids = self._validation[domain]
        rows = min(rows, (len(ids) - 1) // shape.CONTEXT)
        starts = range(0, rows * shape.CONTEXT, shape.CONTEXT)
        return self._inputs_and_targets([ids[s : s + shape.CONTEXT + 1] for s in starts])

    @staticmethod
    def _inputs_and_targets(windows: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        together = torch.from_numpy(np.stack(windows).astype(np.int64))
        return together[:, :-1], together[:, 1:]


def loss_of_text(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.reshape(-1, shape.VOCABULARY), targets.reshape(-1))


def learning_rate(step: int, progress: float, peak: float) -> float:
    rate = peak * min(1.0, (step + 1) / WARM_UP_STEPS)
    if progress < CONSTANT_UNTIL:
        return rate
    cosine = 0.5 * (1 + math.cos(math.pi * (progress - CONSTANT_UNTIL) / (1 - CONSTANT_UNTIL)))
    return rate * (FINAL_RATE + (1 - FINAL_RATE) * cosine)


def routes_by_pre_gates(progress: float) -> bool:
    """Pre-gates join late: before there is anything to predict, they would only disturb."""
    return progress > 0.05 and random.random() < (0.5 if progress > 0.1 else 0.25)


class Training:
    def __init__(self, corpus: Corpus, out: Path, arguments: argparse.Namespace):
        self.corpus, self.out, self.arguments = corpus, out, arguments
        self.model = DemoModel(PRODUCTS[arguments.products])
        if arguments.continue_from:
            load_exported(self.model, arguments.continue_from)
        self.muon, self.adam = make_optimizers(self.model)
        self.step, self.elapsed = 0, 0.0
        if arguments.resume:
            self._restore()

    def run(self) -> None:
        began = time.monotonic() - self.elapsed
        saved = self.elapsed
        while (progress := (time.monotonic() - began) / self.arguments.seconds) < 1:
            report = self._one_step(progress)
            self.elapsed = time.monotonic() - began
            if self.step % REPORT_STEPS == 0:
                print(f"step {self.step} {self.elapsed:.0f} s {report}", flush=True)
            if self.elapsed - saved > SAVE_SECONDS:
                saved = self.elapsed
                self._evaluate(rows=4)
                self._save()
        self._evaluate(rows=32)
        self._save()

    def _mixed_precision(self) -> torch.autocast:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.model.products is torch.bfloat16)

    def _one_step(self, progress: float) -> str:
        rate = learning_rate(self.step, progress, self.arguments.peak_rate)
        for optimizer, scale in ((self.muon, 1.0), (self.adam, ADAM_RATE)):
            for group in optimizer.param_groups:
                group["lr"] = rate * scale
        pre_gated = routes_by_pre_gates(progress)
        inputs, targets = self.corpus.batch(self.arguments.batch)
        with self._mixed_precision():
            logits, routing = self.model(inputs, pre_gated)
            loss = loss_of_text(logits, targets)
        balance = sum(r.balance for r in routing) / shape.LAYERS
        z = sum(r.z for r in routing) / shape.LAYERS
        (loss + LOAD_BALANCE_LOSS * balance + ROUTER_Z_LOSS * z).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in (self.muon, self.adam):
            optimizer.step()
        self.model.zero_grad(set_to_none=True)
        self.step += 1
        fullest = max(float(r.load.max() / r.load.float().mean()) for r in routing)
        mode = "pre-gated" if pre_gated else "standard"
        return f"loss {loss.item():.3f} balance {balance.item():.3f} fullest {fullest:.2f} rate {rate:.1e} {mode}"

    @torch.no_grad()
    def _evaluate(self, rows: int) -> None:
        for mode in ("standard", "pre-gated"):
            losses = {}
            for domain in self.corpus.domains:
                inputs, targets = self.corpus.validation(domain, rows)
                with self._mixed_precision():
                    losses[domain] = loss_of_text(self.model(inputs, mode == "pre-gated")[0], targets).item()
            each = " ".join(f"{domain} {loss:.2f}" for domain, loss in losses.items())
            print(f"validation, {mode}: {np.mean(list(losses.values())):.4f} ({each})", flush=True)

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "muon": self.muon.state_dict(),
            "adam": self.adam.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
            "random": (random.getstate(), np.random.get_state(), torch.get_rng_state()),
        }
        unfinished = self.out / "state.pt.part"
        torch.save(state, unfinished)
        unfinished.replace(self.out / "state.pt")  # an interrupted save leaves the former one

    def _restore(self) -> None:
        state = torch.load(self.out / "state.pt")
        self.model.load_state_dict(state["model"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.step, self.elapsed = state["step"], state["elapsed"]
        random.setstate(state["random"][0])
        np.random.set_state(state["random"][1])
        torch.set_rng_state(state["random"][2])
        print(f"Going on at step {self.step}, {self.elapsed:.0f} s.", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokens", type=Path, help="folder that bpe.py wrote")
    parser.add_argument("out", type=Path, help="folder for state.pt, which is saved every quarter of an hour")
    parser.add_argument("--seconds", type=float, required=True, help="time to train, all resumed runs together")
    parser.add_argument("--batch", type=int, default=16, help="windows of 256 tokens a step")
    parser.add_argument("--peak-rate", type=float, default=0.02, help="Muon's highest learning rate")
    parser.add_argument(
        "--products", choices=PRODUCTS, default="bfloat16", help="type of the products; float32 where a CPU lacks bfloat16"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--continue-from", type=Path, metavar="MODEL", help="begin with an exported model's weights")
    begin.add_argument("--resume", action="store_true", help="go on from OUT/state.pt")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    random.seed(arguments.seed)
    np.random.seed(arguments.seed)
    torch.manual_seed(arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    Training(Corpus(arguments.tokens), arguments.out, arguments).run()


if __name__ == "__main__":
    main()
