#!/usr/bin/env python3
"""Compares the rows of `comove extract --format mv-extractor` with those of the package itself (motion-vector-extractor 2.0),
video by video, frame by frame in display order.

    compare_rows.py FILE.npz VIDEO [FILE.npz VIDEO...]

Prints, for each video: frames, rows of both, frames whose rows are equal in all ten columns and in order, and the first frame
that differs. Exit code 1 where a frame differs. Run it as the package is right, on one thread (see one_core.c):

    LD_PRELOAD=target/bench-peers/one_core.so target/bench-peers/venv/bin/python benches/peers/compare_rows.py ...
"""

import os
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy  # noqa: E402
from mvextractor.videocap import VideoCap  # noqa: E402


def peer_frames(path):
    capture = VideoCap()
    if not capture.open(path):
        sys.exit(f"compare_rows.py: cannot open {path}")
    capture.set_decode_frames(False)
    while True:
        there, _, rows, frame_type = capture.read()
        if not there:
            break
        yield numpy.asarray(rows).reshape(-1, 10), frame_type
    capture.release()


def compare(npz, video):
    ours = numpy.load(npz)
    rows, offsets, types = ours["motion_vectors"], ours["offsets"], ours["frame_types"]
    equal = frames = peer_rows = 0
    first = None
    for number, (theirs, frame_type) in enumerate(peer_frames(video)):
        frames += 1
        peer_rows += len(theirs)
        if number >= len(types):
            continue
        mine = rows[offsets[number] : offsets[number + 1]]
        if types[number] == frame_type and numpy.array_equal(mine, theirs):
            equal += 1
        elif first is None:
            first = f"frame {number} ({types[number]}/{frame_type}): {len(mine)} rows, {len(theirs)} of the package"
            if len(mine) == len(theirs):
                place = int(numpy.flatnonzero((mine != theirs).any(axis=1))[0])
                first += f"; row {place}: {mine[place].tolist()}, {theirs[place].tolist()}"
    print(f"{os.path.basename(video)}\t{len(types)}\t{frames}\t{len(rows)}\t{peer_rows}\t{equal}\t{first or '-'}")
    return equal == frames == len(types)


def main():
    arguments = sys.argv[1:]
    if not arguments or len(arguments) % 2:
        sys.exit(__doc__)
    print("video\tframes\tframes of the package\trows\trows of the package\tequal frames\tfirst difference")
    results = [compare(*pair) for pair in zip(arguments[::2], arguments[1::2])]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
