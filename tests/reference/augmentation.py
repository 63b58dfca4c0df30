"""Compares augmented views that tests/reference.rs wrote with a slow definition in double precision: `augmentation.py FOLDER`.

A sample at a time, a row and a column of resampling weights at a time. What is compared: pixels, motion and which motion is
known, from the same draws; and the distribution of the draws with torchvision's RandomResizedCrop, written out here.
"""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from comove_reference import RGB_MEAN, RGB_STD

LUMA = (0.299, 0.587, 0.114)
UNITS_PER_PIXEL = 64
MASKED = -32768
MOTION_CROP_PIXELS = 256
MOTION_MAX_PIXELS = 10
KNOWN_SHARE_MIN = 0.5 - 1e-4  # so that a sum of exactly a half does not fall to rounding


def resampling(start: float, length: float, flipped: bool, size_in: int, size_out: int) -> Tensor:
    """[out, in]: a triangle around each output pixel's centre, half as wide as its base is the step, but at least a pixel."""
    step = length * size_in / size_out
    rows = []
    for index in range(size_out):
        centre = start * size_in + (index + 0.5) * step
        reach = max(step, 1.0)
        row = [max(0.0, 1 - abs(pixel + 0.5 - centre) / reach) for pixel in range(size_in)]
        rows.append([weight / sum(row) for weight in row])
    return torch.tensor(rows[::-1] if flipped else rows, dtype=torch.float64)


def blurring(sigma: float, size: int) -> Tensor:
    """[n, n]: Gaussian; edges share the weight that falls outside."""
    if sigma == 0:
        return torch.eye(size, dtype=torch.float64)
    rows = []
    for centre in range(size):
        row = [math.exp(-((pixel - centre) ** 2) / (2 * sigma**2)) for pixel in range(size)]
        rows.append([weight / sum(row) for weight in row])
    return torch.tensor(rows, dtype=torch.float64)


def axes(draw: dict, source: list[int], size_in: tuple[int, int], size_out: int) -> tuple[Tensor, Tensor]:
    """Row and column weights [out, H], [out, W]."""
    left, top, width, height, flipped = draw["crop"]
    rows = resampling(top / source[1], height / source[1], False, size_in[0], size_out)
    columns = resampling(left / source[0], width / source[0], bool(flipped), size_in[1], size_out)
    return rows, columns


def pixels(frames: Tensor, draw: dict, source: list[int], side: int) -> Tensor:
    """[T, H, W, 3], u8 → [3, T, S, S], normalised."""
    rows, columns = axes(draw, source, tuple(frames.shape[1:3]), side)
    blur = blurring(draw["blur_sigma"], side)
    seen = torch.einsum("yh,thwc,xw->ctyx", blur @ rows, frames.double() / 255, blur @ columns)
    luma = sum(share * channel for share, channel in zip(LUMA, seen)).mean()
    matrix = torch.tensor(draw["matrix"], dtype=torch.float64)
    seen = torch.einsum("dc,ctyx->dtyx", matrix, seen) + draw["mean_share"] * luma
    seen = seen.clamp(0, 1)
    return torch.stack([(channel - mean) / std for channel, mean, std in zip(seen, RGB_MEAN, RGB_STD)])


def motion(maps: Tensor, draw: dict, source: list[int], side: int) -> tuple[Tensor, Tensor, Tensor]:
    """[F, 2, h, w], in 1/64 pixel → [2, F, s, s] in −1..1, known [F, s, s], and the share of each cell that is known."""
    rows, columns = axes(draw, source, tuple(maps.shape[2:]), side)
    _, _, width, height, flipped = draw["crop"]
    known = (maps[:, 0] != MASKED).double()
    share = torch.einsum("yh,fhw,xw->fyx", rows, known, columns)
    moved = torch.where(maps == MASKED, 0, maps).double() / UNITS_PER_PIXEL
    moved = torch.einsum("yh,fchw,xw->cfyx", rows, moved, columns) / share.clamp_min(1e-12)
    moved[0] *= MOTION_CROP_PIXELS / width * (-1 if flipped else 1)
    moved[1] *= MOTION_CROP_PIXELS / height
    moved = moved.clamp(-MOTION_MAX_PIXELS, MOTION_MAX_PIXELS) / MOTION_MAX_PIXELS
    clear = (share >= KNOWN_SHARE_MIN).double()
    return moved * clear, clear, share


def random_resized_crop(width: int, height: int) -> tuple[float, float, float, float]:
    """torchvision's, with parts of pixels: left, top, width, height."""
    for _ in range(10):
        area = width * height * random.uniform(0.2, 1)
        shape = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        across, down = math.sqrt(area * shape), math.sqrt(area / shape)
        if across <= width and down <= height:
            return random.uniform(0, width - across), random.uniform(0, height - down), across, down
    shape = min(max(width / height, 3 / 4), 4 / 3)
    across, down = min(width, height * shape), min(height, width / shape)
    return (width - across) / 2, (height - down) / 2, across, down


def distance(first: list[float], second: list[float]) -> float:
    """Kolmogorov and Smirnov's: the largest difference between the two cumulative distributions."""
    values = torch.tensor(sorted(first + second), dtype=torch.float64)
    share = [torch.searchsorted(torch.tensor(sorted(x), dtype=torch.float64), values, right=True) / len(x) for x in (first, second)]
    return (share[0] - share[1]).abs().max().item()


def main() -> None:
    folder = Path(sys.argv[1])
    case = json.loads((folder / "augmentation.json").read_text())
    tensors = load_file(folder / "augmentation.safetensors")
    failed = False

    def report(what: str, error: float, limit: float) -> None:
        nonlocal failed
        failed |= not error <= limit
        print(f"{what:<44}{error:>12.1e}  {'' if error <= limit else f'beyond {limit:.0e}'}")

    model, side = case["model"], case["model"]["crop"]
    for index, (source, draw) in enumerate(zip(case["sources"], case["draws"])):
        name = f"sample {index}, {source[0]}x{source[1]}"
        wanted = pixels(tensors["stored.clips"][index], draw["clip"], source, side)
        report(f"{name}: clip", relative(tensors["views.clips"][index], wanted), 1e-4)
        wanted = pixels(tensors["stored.key_frames"][index][None], draw["key_frame"], source, side)[:, 0]
        report(f"{name}: key frame", relative(tensors["views.key_frames"][index], wanted), 1e-4)
        worst, decided = 0.0, True
        for window, maps in enumerate(tensors["stored.motion"][index]):
            wanted, clear, share = motion(maps, draw["clip"], source, model["motion_crop"])
            sure = (share - KNOWN_SHARE_MIN).abs() > 1e-6  # single precision may say otherwise
            decided &= bool((tensors["views.known"][index, window].double() == clear)[sure].all())
            worst = max(worst, relative(tensors["views.motion"][index, window] * sure, wanted * sure))
        report(f"{name}: motion", worst, 1e-4)
        report(f"{name}: what is known", 0.0 if decided else 1.0, 0.0)

    random.seed(1)
    drawn = case["crops_of_1280x720"]
    wanted = [random_resized_crop(1280, 720) for _ in drawn]
    # Of two such samples of one distribution, one pair in a thousand is further apart than this.
    limit = 1.95 * math.sqrt(2 / len(drawn))
    for what, measure in {
        "left edge": lambda crop: crop[0],
        "upper edge": lambda crop: crop[1],
        "area": lambda crop: crop[2] * crop[3],
        "shape": lambda crop: crop[2] / crop[3],
    }.items():
        report(f"draws, {what}", distance([measure(crop) for crop in drawn], [measure(crop) for crop in wanted]), limit)
    flips = sum(crop[4] for crop in drawn) / len(drawn)
    report("draws, share of flips against 1/2", abs(flips - 0.5), 4 * 0.5 / math.sqrt(len(drawn)))
    sys.exit(1 if failed else 0)


def relative(comove: Tensor, reference: Tensor) -> float:
    return ((comove.double() - reference).abs().max() / reference.abs().max()).item()


if __name__ == "__main__":
    main()
