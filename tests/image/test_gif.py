# SPDX-License-Identifier: Apache-2.0
"""GIF: the first frame on its canvas, as Pillow has it."""

import io
import struct

import pytest
from PIL import Image

from image import draw
from image.pillow import agree, check
from image.programs import Refused


def blocks(data, random=None):
    out = b""
    while data:
        n = random.randint(1, 255) if random else 255
        out += bytes([len(data[:n])]) + data[:n]
        data = data[n:]
    return out + b"\0"


class Codes:
    """Writes codes of growing width, as decoders expect them."""

    def __init__(self, bits):
        self.bits, self.first = bits, 1 << bits
        self.number = self.n = 0
        self.reset()

    def reset(self):
        self.width, self.next, self.fresh = self.bits + 1, self.first + 2, True

    def put(self, code):
        self.number |= code << self.n
        self.n += self.width
        if code == self.first:
            self.reset()
        elif self.fresh:
            self.fresh = False
        elif code != self.first + 1 and self.next < 4096:
            if self.next == (1 << self.width) - 1 and self.width < 12:
                self.width += 1
            self.next += 1

    def done(self):
        return self.number.to_bytes((self.n + 7) // 8, "little")


def lzw(random, pixels, bits):
    """Compressed, sometimes badly: strings are found or not, tables are cleared or stay full."""
    out, table = Codes(bits), {}
    out.put(out.first)
    string = ()
    lazy = random.choice([0, 0, 0.3, 1])
    for pixel in pixels:
        longer = (*string, pixel)
        if not string or longer in table and random.random() >= lazy:
            string = longer
            continue
        new = out.next
        out.put(table.get(string, string[0]) if len(string) > 1 else string[0])
        if new < 4096 and out.next > new and not out.fresh:
            table[longer] = new
        string = (pixel,)
        if random.random() < 0.002 or out.next == 4096 and random.random() < 0.1:
            out.put(out.first)
            table = {}
    if string:
        out.put(table.get(string, string[0]) if len(string) > 1 else string[0])
    out.put(out.first + 1)
    return out.done()


def interlaced_rows(height):
    passes = (0, 8), (4, 8), (2, 4), (1, 2)
    return [y for start, step in passes for y in range(start, height, step)]


def colours(random, bits):
    kind = random.choice(["any", "any", "grey"])
    n = 2 << bits
    if kind == "grey":
        return bytes(v for i in range(n) for v in (i, i, i))
    return bytes(random.randrange(256) for _ in range(3 * n))


def control(transparent=None, disposal=0):
    flags = disposal << 2 | (transparent is not None)
    return b"!\xf9\4" + bytes([flags, 1, 0, transparent or 0]) + b"\0"


EXTRAS = [b"", b"!\xfe\3abc\2de\0", b"!\xfe\0", b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0", b"!\1\0\0",
          b"!\xff\x0bNETSCAPE2.0\0\1x\0", b"\0\0", b"!\x99\2ab\0", b"!\xff\x03abc\0"]


def gif(random, canvas=None, frame=None, **fixed):
    """A file, and words on it."""
    width, height = draw.size(random, 40)
    x, y = (0, 0) if random.random() < 0.5 else (random.randint(0, 9), random.randint(0, 9))
    if canvas is None:
        canvas = random.choice([(x + width, y + height), (width, height), (width + 20, height + 9)])
    bits = random.randint(0, 7)
    common, own = random.choice([(1, 0), (1, 0), (1, 0), (0, 1), (0, 0), (1, 1)])
    interlaced = random.random() < 0.4
    top = min(255, (1 << (bits + 1)) - 1)
    samples = draw.samples(random, width, height, 1, top)[:, :, 0]
    order = interlaced_rows(height) if interlaced else range(height)
    pixels = [int(v) for row in order for v in samples[row]]
    code_bits = max(2, bits + 1) if random.random() < 0.9 else 8
    data = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80 * common | bits, random.randrange(4), 0)
    data += colours(random, bits) if common else b""
    data += random.choice(EXTRAS)
    transparent = random.choice([None, None, 0, 1, 255])
    if random.random() < 0.6:
        data += control(transparent, random.randrange(4))
    data += b"," + struct.pack("<HHHHB", x, y, width, height,
                               0x80 * own | 0x40 * interlaced | bits)
    data += colours(random, bits) if own else b""
    data += bytes([code_bits]) + blocks(lzw(random, pixels, code_bits), random)
    return data + random.choice([b";", b"", b";garbage"]), {
        "frame": (x, y, width, height), "canvas": canvas, "bits": bits, "own": own,
        "common": common, "interlaced": interlaced, "transparent": transparent}


def test_first_frames(decoder, cases):
    whole = 0
    for random in cases(300):
        data, what = gif(random)
        whole += agree(decoder, data, what, rows=random.choice([0, 1, 7]))
    assert whole > 200


def test_conversions(decoder, cases):
    for random in cases(60):
        data, what = gif(random)
        # With a palette of its own that is grey, Pillow converts by the one it is not to use.
        if not (what["own"] and what["common"]) and agree(decoder, data, what):
            check(decoder, data, what)


def test_files_that_pillow_writes(decoder, cases):
    for random in cases(40):
        mode = random.choice(["1", "L", "P", "RGB", "RGBA"])
        width, height = draw.size(random)
        frames = [Image.fromarray(draw.samples(random, width, height, 4), "RGBA").convert("RGB")
                  for _ in range(random.choice([1, 1, 3]))]
        frames = [frame.quantize(random.choice([2, 16, 200])) if mode == "P"
                  else frame.convert(mode) for frame in frames]
        out = io.BytesIO()
        options = {"transparency": 1} if mode in "LP" and random.random() < 0.5 else {}
        frames[0].save(out, "GIF", interlace=random.random() < 0.5, save_all=True,
                       append_images=frames[1:], **options)
        check(decoder, out.getvalue(), (mode, width, height, options))


def test_files_cut_and_changed(decoder, cases):
    whole = 0
    for random in cases(400):
        data, what = gif(random)
        changed = bytearray(data)
        if random.random() < 0.4:
            del changed[random.randint(0, len(data)):]
        else:
            for _ in range(random.choice([1, 1, 2, 6])):
                changed[random.randrange(6, len(data))] = random.choice(
                    [0, 1, 255, random.randrange(256)])
        whole += agree(decoder, bytes(changed), (what, bytes(changed)))
    assert whole


@pytest.mark.parametrize("bits", range(0, 16))
def test_codes_of_any_width(decoder, cases, bits):
    """Noise as codes: damaged sooner or later, at the same place."""
    for random in cases(25):
        noise = bytes(random.choices(range(random.choice([4, 256])), k=random.randint(1, 400)))
        width, height = random.randint(1, 9), random.randint(1, 6)
        data = b"GIF87a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b"," + \
            struct.pack("<HHHHB", 0, 0, width, height, 0) + bytes([bits]) + blocks(noise, random)
        agree(decoder, data, (bits, width, height, noise))


def test_what_follows_the_last_code(decoder, cases):
    """The code that ends a frame which is not full ends it only where the file does."""
    for random in cases(20):
        short = Codes(2)
        for code in (4, 1, 2, 5):
            short.put(code)
        data = b"GIF87a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b"," + \
            struct.pack("<HHHHB", 0, 0, 9, 9, 0) + b"\2" + blocks(short.done())
        more = blocks(bytes(random.choices(range(256), k=70000)), random)
        assert not agree(decoder, data, "short")
        agree(decoder, data + more, "longer")


@pytest.mark.parametrize("data", [
    b"GIF89a", b"GIF88a" + bytes(20), b"GIF89a" + bytes(7), b"GIF89a" + bytes(7) + b";",
    b"GIF89a" + bytes(7) + b",", b"GIF89a" + bytes(7) + b"," + bytes(9) + b"\2\0",
    b"GIF89a\1\0\1\0\x80\0\0abc", b"GIF89a\1\0\1\0\0\0\0!", b"GIF89a\1\0\1\0\0\0\0!\xf9",
    b"GIF89a\1\0\1\0\0\0\0!\xf9\1\1\0,\0\0\0\0\1\0\1\0\0\2\2\x44\1\0",
    b"GIF89a\1\0\1\0\0\0\0!\xf9\3\1\0\0\0,\0\0\0\0\1\0\1\0\0\2\2\x44\1\0",
    b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0", b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2",
    b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\x80abc",
    b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\x0d\1\0\0",
], ids=range(15))
def test_files_that_are_none(decoder, data):
    assert not agree(decoder, data, data)


def test_size_is_judged_by_the_head(decoder):
    for canvas, frame in (((65535, 65535), (0, 0, 1, 1)), ((1, 1), (65535, 65535, 65535, 65535)),
                          ((20000, 1), (0, 65535, 1, 65535))):
        data = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0, 0, 0) + b"," + \
            struct.pack("<HHHHB", *frame, 0) + b"\2\2\x44\1\0"
        with pytest.raises(Refused, match="more than the 178956970 allowed"):
            decoder.decode(data)
    data = b"GIF89a" + struct.pack("<HHBBB", 9000, 9000, 0, 0, 0) + b"," + bytes(4) + \
        b"\1\0\1\0\0\2\2\x44\1\0"
    with pytest.raises(Refused, match="would take 81216000 bytes of memory"):
        decoder.decode(data, rows=1, memory=1 << 20)
