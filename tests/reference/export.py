"""Runs an exported V-Network without comove: `export.py FOLDER`, which has `export/` (comove checkpoint export), and clips with
their features in `expected.safetensors`. The snippet of the model card is run as it stands."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

TOLERANCE = 1e-4


def main(folder: Path) -> None:
    export = folder / "export"
    expected = load_file(folder / "expected.safetensors")
    network = torch.jit.load(str(export / "v_network.pt"), map_location="cpu").eval()
    for clips, features in ((expected["clips"], expected["features"]), (expected["clips"][:1], expected["features"][:1])):
        with torch.no_grad():
            found = network(clips)
        assert found.shape == features.shape, (found.shape, features.shape)
        error = ((found - features).abs().max() / features.abs().max()).item()
        print(f"v_network.pt, {len(clips)} clips: differs by {error:.1e}")
        assert error <= TOLERANCE, error

    tensors = load_file(export / "model.safetensors")
    parts = {name.split(".")[0] for name in tensors}
    assert {"v", "i", "m", "predictor", "head"} <= parts, parts
    print(f"model.safetensors: {len(tensors)} tensors")

    card = (export / "README.md").read_text()
    snippet = re.search(r"```python\n(.*?)```", card, re.DOTALL).group(1)
    os.chdir(export)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(snippet, "README.md", "exec"), {})
    channels = expected["features"].shape[1]
    assert output.getvalue().strip() == f"torch.Size([2, {channels}])", output.getvalue()
    print(f"the card's snippet prints {output.getvalue().strip()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
