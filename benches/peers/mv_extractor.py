#!/usr/bin/env python3
"""The peer: the PyPI package motion-vector-extractor in its MV-only mode (no RGB conversion; it still decodes all pixels).

    mv_extractor.py [--rounds N] FILE...

A line a file: name, pictures, median CPU seconds of N rounds (tab-separated). CPU time is that of the whole process, from
the opened file to its end; demuxing is in it (about a hundredth on mp4), because the package offers no way to leave it out.
Every picture's array of vectors is read once.

The package starts a decoding thread a core. One thread is what is compared: run this with LD_PRELOAD=one_core.so (see
one_core.c); it refuses to go on when it finds more than one.
"""

import argparse
import os
import statistics
import sys
import time

# Before numpy is loaded: its BLAS starts a thread a core otherwise.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from mvextractor.videocap import VideoCap  # noqa: E402


def decode(path):
    """Pictures, vectors and CPU seconds of one pass over a file."""
    capture = VideoCap()
    if not capture.open(path):
        sys.exit(f"mv_extractor.py: cannot open {path}")
    capture.set_decode_frames(False)
    pictures = vectors = 0
    start = time.process_time()
    while True:
        there, _, motion, _ = capture.read()
        if not there:
            break
        if pictures == 0 and (threads := len(os.listdir("/proc/self/task"))) != 1:
            sys.exit(f"mv_extractor.py: {threads} threads where one is compared; run with LD_PRELOAD=one_core.so")
        pictures += 1
        if len(motion):
            vectors += len(motion)
            motion[:, 7:9].sum(axis=0)  # motion_x, motion_y
    seconds = time.process_time() - start
    capture.release()
    return pictures, vectors, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--vectors", action="store_true", help="also print how many vectors there were, to standard error")
    parser.add_argument("files", nargs="+", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: at least 1")
    for path in arguments.files:
        passes = [decode(path) for _ in range(arguments.rounds)]
        pictures, vectors, _ = passes[-1]
        seconds = statistics.median(seconds for _, _, seconds in passes)
        print(f"{os.path.basename(path)}\t{pictures}\t{seconds:.6f}")
        if arguments.vectors:
            print(f"{os.path.basename(path)}: {vectors} vectors", file=sys.stderr)


if __name__ == "__main__":
    main()
