#!/usr/bin/env python3
"""Times comove's motion decoder and its peers on the same streams and writes what came out as JSON (read by report.py).

    compare.py --peers DIR [--ours PROGRAM] [--mv-extractor] [--variants] [--rounds N] --out RESULTS.json FILE...

A stream is decoded by each contender in turn, then again, for N rounds (A B C A B C ...), so that whatever else the machine
does falls on all of them alike. Every turn is a process of its own that reports its CPU seconds itself, without what it took
to start and to read the file. The figure is the median over the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path


class Contender:
    """A program that prints `name, pictures, CPU seconds` for a file (tab-separated)."""

    def __init__(self, key, command, environment=None):
        self.key = key
        self.command = [str(part) for part in command]
        self.environment = {**os.environ, **(environment or {})}

    def turn(self, path):
        """Pictures and CPU seconds of one pass over a file."""
        done = subprocess.run(
            [*self.command, "--rounds", "1", str(path)], env=self.environment, stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode != 0:
            sys.exit(f"compare.py: {self.key} ended with {done.returncode} on {path}")
        fields = done.stdout.strip().split("\t")
        if len(fields) != 3:
            sys.exit(f"compare.py: {self.key} printed {done.stdout!r} for {path}, not name, pictures, seconds")
        return int(fields[1]), float(fields[2])


def contenders(arguments):
    libavcodec = arguments.peers / "libavcodec_motion"
    if arguments.ours:
        yield Contender("comove", [arguments.ours])
    yield Contender("libavcodec", [libavcodec])
    if arguments.mv_extractor:
        yield Contender(
            "mv_extractor",
            [arguments.peers / "venv/bin/python", Path(__file__).with_name("mv_extractor.py")],
            {"LD_PRELOAD": str((arguments.peers / "one_core.so").resolve())},
        )
    if arguments.variants:
        yield Contender("libavcodec_no_loop_filter", [libavcodec, "--skip-loop-filter"])
        yield Contender("libavcodec_no_export", [libavcodec, "--no-export"])


def describe(libavcodec, path):
    """What the stream is, as libavformat sees it."""
    line = subprocess.run([libavcodec, "--describe", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    name, packets, size, width, height, profile, entropy, delay = line.rstrip("\n").split("\t")
    return {
        "file": name,
        "packets": int(packets),
        "bytes": int(size),
        "width": int(width),
        "height": int(height),
        "profile": profile,
        "entropy": entropy,
        "reordered": int(delay) > 0,
    }


def measure(runners, path, rounds):
    """Per contender: pictures, the median of its CPU seconds, and all of them."""
    pictures, seconds = {}, {runner.key: [] for runner in runners}
    for _ in range(rounds):
        for runner in runners:
            count, taken = runner.turn(path)
            if pictures.setdefault(runner.key, count) != count:
                sys.exit(f"compare.py: {runner.key} gave {pictures[runner.key]} pictures of {path}, then {count}")
            seconds[runner.key].append(taken)
    return {
        key: {"pictures": pictures[key], "cpu_seconds": statistics.median(values), "rounds": values}
        for key, values in seconds.items()
    }


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, required=True, metavar="DIR", help="what benches/peers/build made")
    parser.add_argument("--ours", type=Path, metavar="PROGRAM", help="comove's motion_bench; without it the peers alone are timed")
    parser.add_argument("--mv-extractor", action="store_true", help="time motion-vector-extractor too")
    parser.add_argument("--variants", action="store_true", help="time libavcodec without deblocking and without export too")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True, metavar="RESULTS.json")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: at least 1")

    libavcodec = arguments.peers / "libavcodec_motion"
    runners = list(contenders(arguments))
    streams = []
    for path in arguments.files:
        stream = describe(libavcodec, path)
        stream["results"] = measure(runners, path, arguments.rounds)
        streams.append(stream)
        figures = ", ".join(f"{key} {result['cpu_seconds']:.3f} s" for key, result in stream["results"].items())
        print(f"{stream['file']}: {figures}", file=sys.stderr, flush=True)
    version = subprocess.run([libavcodec, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    results = {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "ffmpeg": version,
        "rounds": arguments.rounds,
        "contenders": [runner.key for runner in runners],
        "streams": streams,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
