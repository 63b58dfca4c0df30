"""Compares a folder that tests/reference.rs wrote with the reference: `compare.py FOLDER [--tolerance 1e-4]`.

The error of a tensor is max|comove - reference| / max|reference|; for a gradient that is 0 by construction, where both
are rounding noise, it is relative to the module's largest gradient. Prints the worst of each module and exits with 1 if one
is beyond the tolerance.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from comove_reference import HEADS, Embeddings, Reference, check_attention, joint_loss, normalise_rgb, vanishing_gradients

MODULES = ["v", "i", "m", "predictor", *(f"head.{name}" for name in HEADS)]


class Table:
    """The worst error of each module, pass and kind of tensor."""

    def __init__(self, tolerance: float):
        self.tolerance = tolerance
        self.worst: dict[tuple[str, str, str], tuple[float, str, int]] = {}
        self.failed: list[str] = []

    def compare(self, row: tuple[str, str, str], name: str, comove: Tensor, reference: Tensor, least_scale: float = 0.0) -> None:
        comove, reference = comove.double(), reference.detach().double()
        if comove.shape != reference.shape:
            self.failed.append(f"{row}: {name} has shape {tuple(comove.shape)}, should be {tuple(reference.shape)}")
            return
        difference = (comove - reference).abs().max().item()
        scale = max(reference.abs().max().item(), least_scale)
        error = difference / scale if scale > 0 else (0.0 if difference == 0 else math.inf)
        if not error <= self.tolerance:  # a NaN is a failure too
            self.failed.append(f"{' '.join(row)}: {name} differs by {error:.2e} (max|reference| {scale:.2e})")
        known = self.worst.get(row, (-1.0, "", 0))
        worst = (error, name) if not error <= known[0] else known[:2]
        self.worst[row] = (*worst, known[2] + 1)

    def compare_gradients(self, where: str, comove: dict, reference: dict, vanishing: set[str]) -> None:
        same_names(where, comove, reference)
        largest: dict[str, float] = {}
        for name, gradient in reference.items():
            module = module_of(name)
            largest[module] = max(largest.get(module, 0.0), gradient.abs().max().item())
        for name, gradient in reference.items():
            module = module_of(name)
            least_scale = largest[module] if name in vanishing else 0.0
            self.compare((where, module, "gradients"), name, comove[name], gradient, least_scale)

    def show(self) -> None:
        print(f"{'pass':<15}{'module':<24}{'of':<12}{'tensors':>8}{'worst error':>13}  where")
        for (where, module, kind), (error, name, count) in self.worst.items():
            print(f"{where:<15}{module:<24}{kind:<12}{count:>8}{error:>13.1e}  {name}")


def module_of(name: str) -> str:
    return next(module for module in MODULES if name.startswith(module + "."))


def take(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Takes out what starts with the prefix, by the rest of the name."""
    return {name.removeprefix(prefix): tensors.pop(name) for name in sorted(tensors) if name.startswith(prefix)}


def same_names(row: str, comove: dict, reference: dict) -> None:
    if comove.keys() != reference.keys():
        missing, extra = sorted(reference.keys() - comove.keys()), sorted(comove.keys() - reference.keys())
        sys.exit(f"{row}: comove lacks {missing} and has {extra} too many")


def gradients(reference: Reference, prefix: str = "") -> dict[str, Tensor]:
    return {name: value.grad for name, value in reference.named_parameters() if name.startswith(prefix)}


def whole(table: Table, reference: Reference, inputs: dict, segments: list[int], comove: dict, config: dict, phase: str) -> None:
    clips, key_frames = normalise_rgb(inputs["clips"]), normalise_rgb(inputs["key_frames"])
    embeddings: Embeddings = reference(clips, key_frames, inputs["motion"], inputs["known"])
    total, context, motion = joint_loss(embeddings, segments)
    total.backward()
    where = f"whole {phase}"
    outputs = vars(embeddings) | {"loss": total}
    for name, contrast in (("context", context), ("motion", motion)):
        for key, value in vars(contrast).items():
            outputs[f"{name}.{key}"] = torch.as_tensor(value)
    found = take(comove, "output.")
    same_names(where, found, outputs)
    for name, value in found.items():
        table.compare((where, "losses" if name in ("loss",) or "." in name else "embeddings", "outputs"), name, value, outputs[name])
    vanishing = vanishing_gradients(config, phase == "train", whole=True)
    table.compare_gradients(where, take(comove, "gradient."), gradients(reference), vanishing)
    if phase == "train":
        buffers = dict(reference.named_buffers())
        found = take(comove, "statistic.")
        same_names(where, found, buffers)
        for name in buffers:
            table.compare((where, module_of(name), "statistics"), name, found[name], buffers[name])
    same_names(where, comove, {})


def probe(table: Table, reference: Reference, module: str, inputs: dict, comove: dict, config: dict, phase: str) -> None:
    networks = {
        "v": lambda: normalise_rgb(inputs["clips"]),
        "i": lambda: normalise_rgb(inputs["key_frames"]),
        "m": lambda: inputs["motion"].flatten(0, 1),
    }
    value = networks[module]() if module in networks else comove.pop("input")
    value.requires_grad_(True)
    network = reference.get_submodule(module)
    result = network(value)
    if module == "v":
        layer3, layer4 = result
        pretraining = network.pretraining(layer3, layer4)
        outputs = {"pretraining": pretraining, "layer3": layer3, "layer4": layer4, "pooled": network.pooled(layer4)}
        result = pretraining
    else:
        outputs = {"rows" if module.startswith("head.") else "features": result}
    result.backward(comove.pop("output_gradient"))
    where = f"alone {phase}"
    found = take(comove, "output.")
    same_names(where, found, outputs)
    for name in outputs:
        table.compare((where, module, "outputs"), name, found[name], outputs[name])
    wanted = {f"{module}.input": value.grad} | gradients(reference, module + ".")
    vanishing = vanishing_gradients(config, phase == "train", whole=False)
    table.compare_gradients(where, take(comove, "gradient."), wanted, vanishing)
    same_names(f"{where} {module}", comove, {})


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--tolerance", type=float, default=1e-4)
    arguments = arguments.parse_args()
    check_attention()
    case = json.loads((arguments.folder / "case.json").read_text())
    weights = load_file(arguments.folder / "weights.safetensors")
    inputs = load_file(arguments.folder / "inputs.safetensors")
    reference = Reference(case["model"])
    reference.m.channels_last = True
    table = Table(arguments.tolerance)
    for phase in ("evaluate", "train"):
        for module in [*MODULES, None]:
            reference.load_state_dict(weights, strict=True)
            reference.zero_grad(set_to_none=True)
            reference.train(phase == "train")
            name = f"whole.{phase}" if module is None else f"probe.{module}.{phase}"
            comove = load_file(arguments.folder / f"{name}.safetensors")
            if module is None:
                whole(table, reference, inputs, case["segments"], comove, case["model"], phase)
            else:
                probe(table, reference, module, inputs, comove, case["model"], phase)
    table.show()
    for line in table.failed:
        print(f"beyond {arguments.tolerance:.0e}: {line}")
    sys.exit(1 if table.failed else 0)


if __name__ == "__main__":
    main()
