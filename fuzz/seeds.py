"""Makes the fuzz targets' first inputs from small streams: seeds.py VECTORS CORPUS."""

import hashlib
import pathlib
import sys

KINDS = {7: 0, 8: 1, 6: 2, 5: 3, 1: 4, 2: 5, 10: 6, 15: 7}  # nal_unit_type: kind of a piece in parameter_sets


def nal_units(stream):
    return [n.rstrip(b"\0") for n in stream.split(b"\0\0\1")[1:]]


def rbsp(nal):
    return nal[1:].replace(b"\0\0\3", b"\0\0")


def write(folder, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def main():
    vectors, corpus = map(pathlib.Path, sys.argv[1:3])
    for path in sorted(vectors.glob("*.264")):
        stream = path.read_bytes()
        nals = nal_units(stream)
        write(corpus / "access_units", stream)
        write(corpus / "access_units", b"".join(b"\0\0\1" + n for n in nals[:8]))
        write(corpus / "splitter", bytes([len(nals) % 256]) + stream[:6000])
        pieces = b""
        for nal in nals[:10]:
            data = rbsp(nal)
            pieces += bytes([KINDS.get(nal[0] & 31, 6)]) + len(data).to_bytes(2, "big") + data
        write(corpus / "parameter_sets", pieces)
        slices = [rbsp(n) for n in nals if n[0] & 31 in (1, 5)]
        for sequence in (b"\x03\x05\x03", b"\x47\x06\x13", b"\x50\x0a\x04", b"\xf2\x15\x02", b"\x20\xf5\x11"):
            data = sequence
            for number, piece in enumerate(slices[:12]):
                header = b"\x3f\0\0" if number == 0 else bytes([number & 3, piece[0], piece[1]])
                piece = piece[2:400]
                data += header + bytes([(len(piece) + 3) // 4]) + piece + bytes(-len(piece) % 4)
            write(corpus / "slice_data", data)


main()
