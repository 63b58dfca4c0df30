#!/usr/bin/env python3
"""Counts the instructions of comove's motion decoder on streams with valgrind's callgrind, and where they are spent.

    instructions.py --ours PROGRAM --peers DIR --out RESULTS.json FILE...

Only what runs inside `MotionDecoder::decode` counts, one pass over a file. A line a file: name, pictures, instructions, and
instructions a picture, a macroblock and a bit of the stream (tab-separated).
"""

import argparse
import collections
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Both manglings of Rust's symbols: v0, and the legacy one with its hash.
COUNTED = ["*MotionDecoder*::decode", "*MotionDecoder::decode::h????????????????"]
NAME = re.compile(r"\((\d+)\)(?: (.*))?")


def callgrind(program, path, output):
    """Runs one pass under callgrind; the pictures that the program reports."""
    command = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={output}"]
    command += [f"--toggle-collect={pattern}" for pattern in COUNTED]
    done = subprocess.run([*command, program, "--rounds", "1", path], capture_output=True, text=True, check=False)
    fields = done.stdout.strip().split("\t")
    if done.returncode != 0 or len(fields) != 3:
        sys.exit(f"instructions.py: {program} under valgrind ended with {done.returncode} on {path}:\n{done.stderr}")
    return int(fields[1])


def source_name(path, binary):
    """A short name for a source file: those of the decoder by their own name, the rest by where they come from."""
    if "/h264/" in path and path.endswith(".rs"):
        return "h264/" + path.rsplit("/h264/", 1)[1]
    if path.startswith("/rustc/") or "/library/core/" in path or "/library/alloc/" in path:
        return "Rust's core library, inlined"
    if "libc" in binary or "string/" in path or "sysdeps/" in path:
        return "libc (memory copied, cleared, allocated)"
    return "other"


def read_profile(output):
    """Self cost by source file and by function. Format: valgrind's manual, 'Callgrind Format Specification'."""
    names = {"file": {}, "fn": {}, "ob": {}}
    current = {"file": "", "fn": "", "ob": ""}
    sources, functions = collections.Counter(), collections.Counter()
    skip_next = False
    for line in output.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition("=")
        if key in ("fl", "fi", "fe", "cfi", "cfl", "fn", "cfn", "ob", "cob"):
            space = {"fn": "fn", "cfn": "fn", "ob": "ob", "cob": "ob"}.get(key, "file")
            match = NAME.fullmatch(value)
            if match is None:
                name = value
            elif match[2] is not None:
                name = names[space][match[1]] = match[2]
            else:
                name = names[space][match[1]]
            if key in ("fl", "fi", "fe", "fn", "ob"):
                current[space] = name
        elif key == "calls":
            skip_next = True  # the cost of the called function, counted where it is spent
        elif line and line[0] in "0123456789+-*":
            if not skip_next:
                cost = int(line.split()[1])
                sources[source_name(current["file"], current["ob"])] += cost
                functions[current["fn"]] += cost
            skip_next = False
    return sources, functions


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, metavar="PROGRAM")
    parser.add_argument("--peers", type=Path, required=True, metavar="DIR", help="what benches/peers/build made")
    parser.add_argument("--out", type=Path, required=True, metavar="RESULTS.json")
    parser.add_argument("files", nargs="+", metavar="FILE")
    arguments = parser.parse_args()

    print("stream\tpictures\tinstructions\ta picture\ta macroblock\ta bit")
    streams = []
    for path in arguments.files:
        described = subprocess.run(
            [arguments.peers / "libavcodec_motion", "--describe", path], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.split("\t")
        # Pictures are frames here: a field has half the macroblocks, and two fields make one packet of most containers.
        frames, size, width, height = map(int, described[1:5])
        macroblocks = frames * ((width + 15) // 16) * ((height + 15) // 16)
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "callgrind.out"
            pictures = callgrind(arguments.ours, path, output)
            sources, functions = read_profile(output)
        total = sum(sources.values())
        if total == 0:
            sys.exit("instructions.py: nothing was counted: no symbol MotionDecoder::decode in the program")
        name = Path(path).name
        print(
            f"{name}\t{pictures}\t{total}\t{total / pictures:.0f}\t{total / macroblocks:.0f}\t{total / (8 * size):.1f}", flush=True
        )
        streams.append(
            {
                "file": name,
                "pictures": pictures,
                "macroblocks": macroblocks,
                "bytes": size,
                "instructions": total,
                "sources": dict(sources.most_common()),
                "functions": dict(functions.most_common()),
            }
        )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"streams": streams}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
