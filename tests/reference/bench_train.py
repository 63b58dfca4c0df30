"""The same step as examples/train_bench.rs in PyTorch's eager mode: `bench_train.py CONFIG.json BATCH STEPS THREADS OPTIMISER`.

The networks are the reference's; the losses are written anew, in whole tensors as anyone would who wants them fast
(comove_reference.py spells them out query by query). Prints the same line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from comove_reference import TASK_WEIGHT, TEMPERATURE, Embeddings, Reference


def memory(line: str) -> int:
    for text in Path("/proc/self/status").read_text().splitlines():
        if text.startswith(line):
            return int(text.split()[1]) * 1024
    raise ValueError(line)


def loss_of(embeddings: Embeddings) -> Tensor:
    """Every sample a scene of its own and all motion known, as in the benchmark's batch."""
    batch, windows, positions, width = embeddings.motion.shape
    context = embeddings.clip_context @ embeddings.key_frame.T / TEMPERATURE
    queries = embeddings.predicted_motion.reshape(batch * positions, width)
    motion = queries @ embeddings.motion.reshape(-1, width).T / TEMPERATURE
    own = torch.arange(batch).unsqueeze(1) * windows * positions + torch.arange(positions)
    context_loss = functional.cross_entropy(context, torch.arange(batch))
    return TASK_WEIGHT * context_loss + TASK_WEIGHT * functional.cross_entropy(motion, own.flatten())


def main() -> None:
    config, batch, steps, threads, optimiser = sys.argv[1:]
    config, batch, steps = json.loads(Path(config).read_text()), int(batch), int(steps)
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    network = Reference(config)
    network.train()
    sample = config["sample"]
    windows, maps, side = 1 + sample["hard_negatives"], sample["target_frames"], config["motion_crop"]
    inputs = (
        torch.randn(batch, 3, sample["clip_frames"], config["crop"], config["crop"]),
        torch.randn(batch, 3, config["crop"], config["crop"]),
        torch.randn(batch, windows, 2, maps, side, side),
        torch.ones(batch, windows, maps, side, side),
    )
    parameters = list(network.parameters())
    decayed, others = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
    if optimiser == "sgd":
        groups = [{"params": decayed, "weight_decay": 1e-4}, {"params": others, "weight_decay": 0.0}]
        optimizer = torch.optim.SGD(groups, lr=5e-4, momentum=0.9, nesterov=True)
    else:
        groups = [{"params": decayed, "weight_decay": 1e-2}, {"params": others, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=1e-3)
    before, seconds = memory("VmRSS:"), []
    for _ in range(steps + 1):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(network(*inputs))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 15.0)
        optimizer.step()
        loss.item()
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"seconds": seconds[1:], "before_bytes": before, "peak_bytes": memory("VmHWM:")}))


if __name__ == "__main__":
    main()
