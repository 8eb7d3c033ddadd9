# SPDX-License-Identifier: Apache-2.0
"""PNGs of all kinds, written by hand: depths, colour types, filters, interlacing, any chunk."""

import struct
import zlib

import numpy

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2)]     # first column and row, and steps


def chunk(kind, content=b"", crc=None):
    crc = zlib.crc32(kind + content) if crc is None else crc
    return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", crc)


def header(width, height, depth, colour, interlaced=0, compression=0, filters=0):
    return chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, depth, colour, compression,
                                      filters, interlaced))


def pack(row, depth):
    """Samples of a row to bytes."""
    if depth == 16:
        return row.astype(">u2").tobytes()
    if depth == 8:
        return row.astype("u1").tobytes()
    bits = (row[:, None] >> numpy.arange(depth)[::-1]) & 1
    return numpy.packbits(bits.astype("u1").ravel()).tobytes()


def paeth(left, up, corner):
    estimate = left + up - corner
    ways = [(abs(estimate - way), i) for i, way in enumerate((left, up, corner))]
    return (left, up, corner)[min(ways)[1]]


def filtered(kind, row, before, step):
    """A row's bytes by one of the five filters."""
    out = bytearray()
    for i, value in enumerate(row):
        left = row[i - step] if i >= step else 0
        up = before[i]
        corner = before[i - step] if i >= step else 0
        guess = (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]
        out.append((value - guess) & 255)
    return bytes([kind]) + bytes(out)


def rows(random, samples, depth):
    """Samples of a picture, or of a pass, as they are compressed."""
    height, width, channels = samples.shape
    step = max(1, channels * depth // 8)
    before = bytes((width * channels * depth + 7) // 8)
    out = b""
    for y in range(height if width else 0):
        row = pack(samples[y].ravel(), depth)
        out += filtered(random.randint(0, 4), row, before, step)
        before = row
    return out


def png(random, samples, depth, colour, interlaced=False, before=b"", after=b"", pieces=1):
    """A file. `before`: chunks ahead of the pixels, `pieces`: IDAT chunks."""
    height, width, _ = samples.shape
    if interlaced:
        raw = b"".join(rows(random, samples[y::dy, x::dx], depth) for x, y, dx, dy in PASSES)
    else:
        raw = rows(random, samples, depth)
    packed = zlib.compress(raw, random.randint(0, 9))
    cuts = sorted(random.randint(0, len(packed)) for _ in range(pieces - 1))
    parts = [packed[a:b] for a, b in zip([0, *cuts], [*cuts, len(packed)])]
    return (b"\x89PNG\r\n\x1a\n" + header(width, height, depth, colour, int(interlaced)) + before +
            b"".join(chunk(b"IDAT", part) for part in parts) + after + chunk(b"IEND"))
