#!/usr/bin/env python3
"""What libavcodec's exported vectors lack, and where they are wrong: see scripts/h264-peers.

    faults.py threads VIDEO RUNS           vectors that motion-vector-extractor gives, counted and hashed, run by run
    faults.py finer GRID.npz ROWS.npz      blocks of 4x4 whose vector no row of 8x8 and more tells
"""

import hashlib
import os
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy  # noqa: E402


def threads(video, runs):
    from mvextractor.videocap import VideoCap

    for _ in range(int(runs)):
        capture = VideoCap()
        if not capture.open(video):
            sys.exit(f"faults.py: cannot open {video}")
        capture.set_decode_frames(False)
        digest, rows, threads_seen = hashlib.sha256(), 0, 0
        while True:
            there, _, motion, _ = capture.read()
            if not there:
                break
            threads_seen = max(threads_seen, len(os.listdir("/proc/self/task")) - 1)
            rows += len(motion)
            digest.update(numpy.ascontiguousarray(motion, dtype="<i4").tobytes())
        capture.release()
        print(f"{max(threads_seen, 1)} thread(s)\t{rows} rows\tsha256 {digest.hexdigest()[:16]}")


def finer(grid_file, rows_file):
    grid, rows = numpy.load(grid_file), numpy.load(rows_file)
    vectors, distance, offsets, table = (
        grid["vectors"],
        grid["reference_distance"],
        rows["offsets"],
        rows["motion_vectors"],
    )
    frames, height, width = distance.shape[:3]
    moving = different = 0
    distances = set()
    for t in range(frames):
        told = numpy.zeros((height + 8, width + 8, 2, 2), dtype=numpy.int32)
        for source, w, h, _, _, x, y, mx, my, _ in table[offsets[t] : offsets[t + 1]]:
            column, row = (x - w // 2) // 4, (y - h // 2) // 4
            told[row : row + h // 4, column : column + w // 4, int(source == 1)] = mx, my
        used = distance[t] != -32768
        distances.update(numpy.unique(distance[t][used]).tolist())
        moving += int(used.sum())
        different += int((used & (told[:height, :width] != vectors[t]).any(axis=-1)).sum())
    print(f"{moving} vectors of 4x4 blocks\t{different} ({100 * different / max(moving, 1):.2f} %) are in no exported row")
    shown = ", ".join(map(str, sorted(distances)))
    print(f"distances to references (order counts): {shown}; libavcodec exports their sign only")


if __name__ == "__main__":
    commands = {"threads": threads, "finer": finer}
    if len(sys.argv) != 4 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
