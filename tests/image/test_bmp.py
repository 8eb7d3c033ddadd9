# SPDX-License-Identifier: Apache-2.0
"""BMP: all depths, fields of bits and run lengths, as Pillow has them."""

import io
import struct

import pytest
from PIL import Image

from image import draw
from image.pillow import agree, check
from image.programs import Refused

RAW, RLE8, RLE4, BITFIELDS = range(4)
DEPTHS = [1, 4, 8, 16, 24, 32]
MASKS = [(32, 0xFF0000, 0xFF00, 0xFF, 0), (32, 0xFF000000, 0xFF0000, 0xFF00, 0),
         (32, 0xFF000000, 0xFF00, 0xFF, 0), (32, 0xFF000000, 0xFF0000, 0xFF00, 0xFF),
         (32, 0xFF, 0xFF00, 0xFF0000, 0xFF000000), (32, 0xFF0000, 0xFF00, 0xFF, 0xFF000000),
         (32, 0xFF000000, 0xFF00, 0xFF, 0xFF0000), (32, 0, 0, 0, 0), (32, 1, 2, 4, 8),
         (24, 0xFF0000, 0xFF00, 0xFF, 0), (24, 0xFF, 0xFF00, 0xFF0000, 0),
         (16, 0xF800, 0x7E0, 0x1F, 0), (16, 0x7C00, 0x3E0, 0x1F, 0), (16, 0xF00, 0xF0, 0xF, 0),
         (8, 0xE0, 0x1C, 3, 0)]


def bmp(width, height, bits, content, compression=RAW, size=40, colours=0, palette=b"",
        masks=b"", down=False, offset=None):
    if size == 12:
        head = struct.pack("<LHHHH", 12, width, height, 1, bits)
    else:
        rest = struct.pack("<LLHHLLllLL", width, (-height if down else height) & 0xFFFFFFFF, 1,
                           bits, compression, len(content), 0, 0, colours, 0)
        if size > 40:
            rest = (rest + masks).ljust(size - 4, b"\0")
            masks = b""
        head = struct.pack("<L", size) + rest
    before = head + masks + palette
    offset = 14 + len(before) if offset is None else offset
    head = b"BM" + struct.pack("<LLL", 14 + len(before) + len(content), 0, offset)
    return head + before + content


def noise(random, n):
    return bytes(random.choices(range(256), k=n))


def plain(random, width, height, bits):
    return noise(random, (width * bits + 31) // 32 * 4 * height)


def palette(random, bits, padding=4):
    """Its bytes, and the number that the head tells."""
    n = random.choice([1 << bits, 1 << bits, random.randint(1, 1 << bits)])
    kind = random.choice(["any", "any", "grey", "two"])
    if kind == "grey":
        values = bytes(v for i in range(n) for v in (i, i, i, 0)[:padding])
    elif kind == "two":
        n, values = 2, bytes((0, 0, 0, 0)[:padding] + (255, 255, 255, 0)[:padding])
    else:
        values = noise(random, n * padding)
    return values, n


@pytest.mark.parametrize("bits", DEPTHS)
def test_each_depth(decoder, cases, bits):
    for random in cases(60):
        width, height = draw.size(random)
        size = random.choice([12, 40, 40, 52, 56, 64, 108, 124])
        colours, values = 0, b""
        if bits <= 8:
            values, colours = palette(random, bits, 3 if size == 12 else 4)
            colours = 0 if colours == 1 << bits and random.random() < 0.5 else colours
        offset = random.choice([None, None, None, 0, 14 + size])
        data = bmp(width, height, bits, plain(random, width, height, bits), size=size,
                   colours=colours, palette=values, down=random.random() < 0.4, offset=offset)
        agree(decoder, data, (width, height, size, bits, colours, offset),
              rows=random.choice([0, 1, 9]))


def test_files_that_pillow_writes(decoder, cases):
    for random in cases(30):
        mode = random.choice(["1", "L", "P", "RGB", "RGBA"])
        width, height = draw.size(random)
        image = Image.fromarray(draw.samples(random, width, height, 4), "RGBA")
        image = image.convert("RGB").quantize(random.choice([2, 16, 200])) if mode == "P" \
            else image.convert(mode)
        out = io.BytesIO()
        image.save(out, "BMP")
        check(decoder, out.getvalue(), (mode, width, height))


@pytest.mark.parametrize("masks", MASKS)
def test_fields_of_bits(decoder, cases, masks):
    bits, *masks = masks
    for random in cases(8):
        width, height = draw.size(random, 30)
        size = random.choice([40, 52, 56, 64, 108, 124])
        written = struct.pack("<LLL", *masks[:3])
        if size != 40:
            written += struct.pack("<L", masks[3])
        data = bmp(width, height, bits, plain(random, width, height, bits), BITFIELDS, size,
                   masks=written, down=random.random() < 0.3)
        agree(decoder, data, (width, height, bits, masks, size))


def runs(random, width, height):
    """Run lengths, now and then longer than a row, or than the picture."""
    out = b""
    left = width * height
    while left > 0 and len(out) < 5000:
        kind = random.choice(["run", "run", "literal", "row", "skip", "end"])
        n = random.randint(1, max(1, min(255, width + 2)))
        if kind == "run":
            out += bytes([n, random.randrange(256)])
        elif kind == "literal":
            n = max(3, n)
            out += bytes([0, n]) + noise(random, n + n % 2)
        elif kind == "row":
            out += b"\0\0"
        elif kind == "skip":
            out += bytes([0, 2, random.randint(0, width), random.choice([0, 0, 1, 3])])
        elif random.random() < 0.02:
            return out + b"\0\1"
        left -= n
    return out + random.choice([b"\0\1", b"", b"\0", b"\0\2\xff\xff\0\1"])


@pytest.mark.parametrize("compression", [RLE8, RLE4])
def test_run_lengths(decoder, cases, compression):
    whole = 0
    for random in cases(200):
        width, height = draw.size(random, 40)
        bits = 8 if compression == RLE8 else 4
        values, colours = palette(random, bits)
        content = runs(random, width, height) + b"\0\2\xff\xff" * 20
        data = bmp(width, height, bits, content, compression, colours=colours, palette=values,
                   down=random.random() < 0.2)
        whole += agree(decoder, data, (width, height, colours, content),
                       rows=random.choice([0, 1]))
    assert whole


@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize("compression", [RLE8, RLE4, 4, 5, 6, 1 << 31])
def test_compression_of_other_depths(decoder, cases, bits, compression):
    for random in cases(2):
        content = runs(random, 9, 9) + b"\0\2\xff\xff" * 20
        data = bmp(9, 9, bits, content, compression,
                   palette=noise(random, 4 << bits) if bits <= 8 else b"")
        agree(decoder, data, (bits, compression, content))


def test_files_cut_and_changed(decoder, cases):
    whole = 0
    for random in cases(400):
        bits = random.choice(DEPTHS)
        width, height = draw.size(random, 20)
        values, colours = palette(random, bits) if bits <= 8 else (b"", 0)
        data = bytearray(bmp(width, height, bits, plain(random, width, height, bits),
                             colours=colours, palette=values))
        if random.random() < 0.5:
            del data[random.choice([random.randint(0, len(data)), -1, -2, -3, -4]):]
        else:
            for _ in range(random.choice([1, 1, 3])):
                data[random.randint(2, 60) % len(data)] = random.choice(
                    [0, 1, 255, random.randrange(256)])
        whole += agree(decoder, bytes(data), (width, height, bits, bytes(data[:60])))
    assert whole


def test_size_is_judged_by_the_head(decoder):
    data = bmp(0xFFFFFFFF, 0xFFFFFFF, 24, b"")
    with pytest.raises(Refused, match="4294967295 × 268435455 pixels, more than"):
        decoder.decode(data)
    with pytest.raises(Refused, match="the BMP has no pixels"):
        decoder.decode(bmp(0, 5, 24, b""))
    data = bmp(10000, 10000, 8, b"\0\1", RLE8, palette=bytes(range(256)) * 4)
    with pytest.raises(Refused, match="would take 100000000 bytes of memory, more than the 5000"):
        decoder.decode(data, memory=5000)
