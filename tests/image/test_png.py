# SPDX-License-Identifier: Apache-2.0
"""PNG: modes, pixels and what is transparent, as Pillow has it."""

import io
import struct
import zlib

import pytest
from PIL import Image

from image import draw
from image.pillow import agree, check, difference, load, orientation, outcome
from image.pillow import pixels as pixels_of
from image.png_files import CHANNELS, DEPTHS, chunk, header, png
from image.programs import Refused
from image.steps import step
from image.test_jpeg import turned

KINDS = [(depth, colour) for colour, depths in DEPTHS.items() for depth in depths]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY = header(4, 4, 8, 0)
END = chunk(b"IEND")


def palette(random, depth):
    n = random.choice([1 << depth, 1 << depth, random.randint(1, 1 << depth)])
    return chunk(b"PLTE", bytes(random.randrange(256) for _ in range(3 * n)))


def transparency(random, depth, colour, samples):
    """A tRNS chunk; often one of a colour that is in the picture."""
    if colour == 3:
        alphas = random.choice([
            bytes(random.randrange(256) for _ in range(random.randint(0, 1 << depth))),
            b"\xff" * random.randrange(1 << depth) + b"\0", b"\xff" * (1 << depth)])
        return chunk(b"tRNS", alphas)
    if colour not in (0, 2):
        return b""
    y, x = random.randrange(samples.shape[0]), random.randrange(samples.shape[1])
    values = [int(v) for v in samples[y, x]]
    if random.random() < 0.3:
        values = [random.randrange(65536) for _ in values]
    return chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


def drawn(random, depth, colour, **options):
    width, height = draw.size(random, 40)
    samples = draw.samples(random, width, height, CHANNELS[colour], (1 << depth) - 1)
    before = palette(random, depth) if colour == 3 else b""
    if random.random() < 0.4:
        before += transparency(random, depth, colour, samples)
    options = {"interlaced": random.random() < 0.4, "pieces": random.choice([1, 1, 2, 5]),
               **options}
    return png(random, samples, depth, colour, before=before, **options), {
        "size": (width, height), "depth": depth, "colour": colour, "before": before, **options}


@pytest.mark.parametrize("depth, colour", KINDS)
def test_each_kind(decoder, cases, depth, colour):
    for random in cases(20):
        data, what = drawn(random, depth, colour)
        check(decoder, data, what, rows=random.choice([0, 1, 7]))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_files_that_pillow_writes(decoder, cases, mode):
    for random in cases(6):
        width, height = draw.size(random)
        samples = draw.samples(random, width, height, 4)
        image = Image.fromarray(samples, "RGBA")
        image = image.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE) \
            if mode == "P" else image.convert("I" if mode == "I;16" else mode)
        if mode == "I;16":
            image = image.convert("I;16")
        out = io.BytesIO()
        options = {"transparency": random.choice([0, 7, b"\x10\x80\xff"])} \
            if mode == "P" and random.random() < 0.7 else {}
        image.save(out, "PNG", **options)
        ours = decoder.decode(out.getvalue())
        theirs = check(decoder, out.getvalue(), (mode, width, height, options))
        assert ours.alpha == ("transparency" in theirs.info)


def converted(image, modes):
    for mode in modes:
        image = image.convert(mode)
    return image.mode, pixels_of(image)


@pytest.mark.filterwarnings("ignore:Palette images")
@pytest.mark.parametrize("depth, colour", [kind for kind in KINDS if kind[1] in (0, 2, 3)])
def test_what_is_transparent_after_several_conversions(chain, cases, depth, colour):
    both = 0
    for random in cases(60):
        width, height = draw.size(random, 12)
        samples = draw.samples(random, width, height, CHANNELS[colour], (1 << depth) - 1)
        before = palette(random, depth) if colour == 3 else b""
        data = png(random, samples, depth, colour,
                   before=before + transparency(random, depth, colour, samples))
        modes = [random.choice(["L", "RGB", "RGB", "CMYK"]) for _ in range(random.randint(1, 3))]
        modes.append(random.choice(["RGBA", "LA"]))
        theirs = outcome(converted, load(data), modes)
        ours = chain.run(data, [step("convert", mode) for mode in modes])
        if isinstance(theirs, Exception):   # it has numbers for a colour that are none
            continue
        both += 1
        assert ours[0] == theirs[0], modes
        assert difference(ours[1], theirs[1]) is None, (depth, colour, before, modes)
    assert both > 30


@pytest.mark.parametrize("alphas", [b"\xff\0\n", b"\0\n", b"\n", b"\xff\n", b"\0\n\n",
                                    b"\0\xff\n"])
def test_an_end_of_a_line_behind_transparent_colours(decoder, alphas):
    data = (SIGNATURE + header(4, 1, 8, 3) + chunk(b"PLTE", bytes(range(12))) +
            chunk(b"tRNS", alphas) + chunk(b"IDAT", zlib.compress(b"\0\0\1\2\3")) + END)
    check(decoder, data, alphas)


@pytest.mark.parametrize("interlaced", [False, True])
def test_files_cut_anywhere(decoder, cases, interlaced):
    for random in cases(100):
        depth, colour = random.choice(KINDS)
        data, what = drawn(random, depth, colour, interlaced=interlaced, pieces=1)
        cut = random.choice([random.randint(0, len(data)), len(data) - random.randint(0, 24)])
        agree(decoder, data[:cut], (what, cut), rows=random.choice([0, 1]))


@pytest.mark.parametrize("interlaced", [False, True])
def test_files_of_several_chunks_cut_everywhere(decoder, cases, interlaced):
    """Also where all rows are there before the cut, and the file goes on."""
    for random in cases(6):
        depth, colour = random.choice(KINDS)
        extra = b"".join(random.choice([
            chunk(b"tEXt", b"key\0text"), chunk(b"zZzZ", b"unknown"), chunk(b"IDAT", b"more"),
            chunk(b"n\xffne", b"no kind"), chunk(b"IDAT")]) for _ in range(random.randint(0, 3)))
        data, what = drawn(random, depth, colour, interlaced=interlaced, after=extra,
                           pieces=random.choice([2, 4, 9]))
        for cut in range(33, len(data) + 1):
            agree(decoder, data[:cut], (what, cut), rows=random.choice([0, 1]))


FRAME = chunk(b"fcTL", struct.pack(">LLLLLHHBB", 0, 4, 4, 0, 0, 1, 1, 0, 0))
NEXT = chunk(b"fcTL", struct.pack(">LLLLLHHBB", 1, 4, 4, 0, 0, 1, 1, 0, 0))


def test_animated_files_cut_everywhere(decoder):
    data = (SIGNATURE + GREY + chunk(b"acTL", struct.pack(">LL", 2, 0)) + FRAME + pixels() +
            NEXT + chunk(b"fdAT", struct.pack(">L", 2) + pixels()[8:-4]) + END)
    for cut in range(33, len(data) + 1):
        agree(decoder, data[:cut], cut)


def test_files_with_changed_bytes(decoder, cases):
    """Where both have a picture, it is the same. What is damaged is judged by another library, so
    one may have a picture where the other has none."""
    both = 0
    for random in cases(200):
        data, what = drawn(random, *random.choice(KINDS))
        changed = bytearray(data)
        for _ in range(random.choice([1, 1, 2])):
            changed[random.randrange(len(data))] = random.randrange(256)
        try:
            both += agree(decoder, bytes(changed), what)
        except AssertionError as e:
            if "differ" in str(e):
                raise
    assert both


def pixels(width=4, height=4, depth=8, colour=0):
    n = (width * CHANNELS.get(colour, 1) * depth + 7) // 8
    return chunk(b"IDAT", zlib.compress((b"\0" + b"\x55" * n) * height))




@pytest.mark.parametrize("data", [
    b"", GREY, GREY + END, pixels() + END, GREY + chunk(b"IDAT"), GREY + chunk(b"IDAT") + END,
    header(0, 4, 8, 0) + pixels() + END, header(4, 0, 8, 0) + pixels() + END,
    header(4, 4, 8, 1) + pixels() + END, header(4, 4, 3, 0) + pixels() + END,
    header(4, 4, 16, 3) + pixels() + END, header(4, 4, 8, 5) + pixels() + END,
    header(4, 4, 8, 0, filters=1) + pixels() + END,
    GREY + chunk(b"IDAT", b"\0\0\0\0") + END, GREY + chunk(b"IDAT", b"x" * 9999) + END,
    GREY[:10] + END, chunk(b"IHDR", b"\0\0\0\4\0\0\0\4\x08") + pixels() + END,
    GREY[:-1] + b"x" + pixels() + END, GREY + chunk(b"PLTE", b"abc", crc=1) + pixels() + END,
    GREY + b"\xff\xff\xff\xffIDAT" + b"x" * 99, GREY + b"\0\0\0\0ID\0T" + b"x" * 99,
    GREY + chunk(b"IDAT", zlib.compress(b"\5" + b"\x55" * 20)) + END,
], ids=range(22))
def test_files_that_are_none(decoder, data):
    assert not agree(decoder, SIGNATURE + data, data)


@pytest.mark.parametrize("data", [
    GREY + pixels(), GREY + pixels()[:-4] + b"abcd" + END, GREY + pixels() + b"garbage",
    GREY + chunk(b"tEXt", b"key\0text") + pixels() + END,
    GREY + chunk(b"zZzZ", b"x" * 100000) + pixels() + END,
    GREY + chunk(b"IDAT") * 3 + pixels() + END,
    GREY + pixels(height=9) + END, GREY + pixels() + pixels() + END,
    header(4, 4, 8, 3) + chunk(b"PLTE", b"abc") + pixels(colour=3) + END,
], ids=range(9))
def test_odd_files_that_are_pictures(decoder, data):
    assert agree(decoder, SIGNATURE + data, data)


XMP = b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation=\"%d\"/>"


@pytest.mark.parametrize("before, after", [
    (b"", b""), (chunk(b"eXIf", turned(6, prefix=b"")), b""), (chunk(b"eXIf", turned(8)), b""),
    (b"", chunk(b"eXIf", turned(3, ">", prefix=b""))), (chunk(b"iTXt", XMP % 7), b""),
    (b"", chunk(b"iTXt", XMP % 5)), (chunk(b"iTXt", b"XML:com.adobe.xmp"), b""),
    (chunk(b"eXIf", turned(6, prefix=b"")), chunk(b"iTXt", XMP % 5)),
    (chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0"), chunk(b"iTXt", XMP % 5)),
], ids=range(9))
def test_orientation(decoder, before, after):
    data = SIGNATURE + GREY + before + pixels() + after + END
    assert decoder.decode(data).orientation == orientation(data)


def test_size_is_judged_by_the_head(decoder):
    for interlaced in (0, 1):
        data = SIGNATURE + header(1 << 20, 1 << 20, 16, 6, interlaced) + pixels() + END
        with pytest.raises(Refused, match="more than the 178956970 allowed"):
            decoder.decode(data)
    data = SIGNATURE + header(12000, 12000, 8, 6, 1) + pixels() + END
    with pytest.raises(Refused, match="would take 576000000 bytes of memory, more than the 5000"):
        decoder.decode(data, rows=1, memory=5000)
