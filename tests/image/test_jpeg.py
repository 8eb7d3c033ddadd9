# SPDX-License-Identifier: Apache-2.0
"""JPEG: the pixels, and which files are pictures at all, as Pillow has it."""

import io
import operator
import struct

import numpy
import pytest
from PIL import Image

from image import draw
from image.pillow import agree, check, orientation, pixels, difference
from image.programs import Refused

# Factors that encoders write, and some that none does.
FACTORS = {
    1: ["11", "22", "41"],
    3: ["111111", "211111", "221111", "121111", "411111", "141111", "421111", "241111", "111122",
        "222111", "122121", "212111", "221212", "112211", "311111", "131111"],
    4: ["11111111", "22111122", "21111121", "12111112", "22222222", "11221111"],
}
SPACES = {1: ["L"], 3: ["YCbCr", "YCbCr", "RGB"], 4: ["CMYK", "YCCK"]}


def drawn(random, maker, **fixed):
    """A file of any kind, and words on it."""
    while True:
        components = random.choice([1, 3, 3, 3, 4])
        options = {
            "space": random.choice(SPACES[components]),
            "factors": random.choice(FACTORS[components]),
            "quality": random.randint(1, 100),
            "restart": random.choice([0, 0, 1, 2, 7]),
            "kind": random.choice(["baseline", "progressive", "apart"]),
            "arithmetic": random.random() < 0.2,
            "jfif": random.random() < 0.3,
            "adobe": random.random() < 0.5,
            **fixed,
        }
        width, height = draw.size(random)
        data = maker.make(draw.samples(random, width, height, components), **options)
        if data:
            return data, {"size": (width, height), **options}


def is_smoothed_alike(what):
    """Where coefficients are missing, libjpeg-turbo before 3.0.1 (Debian's, not Pillow's) smooths
    two sorts of progressive files a little otherwise: with a component of two blocks in width, or
    of several rows of blocks at a time, as the grey of 4:2:0 is."""
    factors = [int(digit) for digit in what["factors"]]
    across, down = factors[::2], factors[1::2]
    blocks = {-(-what["size"][0] * h // (8 * max(across))) for h in across}
    return what["kind"] != "progressive" or set(down) == {1} and 2 not in blocks


def test_files_of_every_kind_have_the_same_pixels(decoder, jpeg_maker, cases):
    for random in cases(400):
        data, what = drawn(random, jpeg_maker)
        agree(decoder, data, what, rows=random.choice([0, 1, 5, 16]))


@pytest.mark.parametrize("factors", sorted({f for some in FACTORS.values() for f in some}))
@pytest.mark.parametrize("kind", ["baseline", "progressive"])
def test_each_sampling(decoder, jpeg_maker, cases, factors, kind):
    components = len(factors) // 2
    for random in cases(6):
        for space in SPACES[components][:1]:
            width, height = draw.size(random)
            samples = draw.samples(random, width, height, components)
            data = jpeg_maker.make(samples, space, factors, kind=kind, jfif=components == 3)
            if data:
                agree(decoder, data, (factors, kind, samples.shape))


def test_files_that_pillow_writes_are_converted_the_same(decoder, cases):
    for random in cases(60):
        mode = random.choice(["L", "RGB", "CMYK"])
        width, height = draw.size(random)
        samples = draw.samples(random, width, height, len(mode))
        image = Image.fromarray(samples[:, :, 0] if mode == "L" else samples, mode)
        out = io.BytesIO()
        image.save(out, "JPEG", quality=random.randint(1, 100),
                   subsampling=random.choice([0, 1, 2]), progressive=random.random() < 0.5,
                   optimize=random.random() < 0.5)
        check(decoder, out.getvalue(), (mode, width, height))


def test_decoded_smaller_as_draft_does_it_with_fewer_coefficients(decoder, jpeg_maker, cases):
    for random in cases(120):
        data, what = drawn(random, jpeg_maker, arithmetic=False)
        wanted = draw.size(random, 40)
        by = max(n for n in (1, 2, 4, 8)
                 if n == 1 or n <= min(map(operator.floordiv, what["size"], wanted)))
        lower = jpeg_maker.lower(data, by)
        assert lower or what["kind"] == "apart"     # which has all its coefficients
        theirs = Image.open(io.BytesIO(lower or data))
        theirs.draft(None, wanted)
        theirs.load()
        ours = decoder.decode(data, rows=3, scale=wanted)
        assert ours.size == theirs.size, (what, wanted)
        assert difference(ours.pixels, pixels(theirs)) is None, (what, wanted)


def test_files_cut_anywhere(decoder, jpeg_maker, cases):
    whole = 0
    for random in cases(300):
        data, what = drawn(random, jpeg_maker)
        cut = random.choice([random.randint(0, len(data)), len(data) - random.randint(0, 20)])
        ending = random.choice([b"", b"", b"\xff\xd9", b"\xff", b"\xff\xd0"])
        whole += agree(decoder, data[:cut] + ending, (what, cut, ending),
                       rows=random.choice([0, 1, 5]), exact=is_smoothed_alike(what))
    assert whole


def test_files_with_changed_bytes(decoder, jpeg_maker, cases):
    whole = 0
    for random in cases(300):
        data, what = drawn(random, jpeg_maker)
        changed = bytearray(data)
        for _ in range(random.choice([1, 1, 2, 10])):
            changed[random.randrange(len(data))] = random.choice([0, 0xFF, random.randrange(256)])
        whole += agree(decoder, bytes(changed), what, rows=random.choice([0, 1, 5]),
                       exact=is_smoothed_alike(what))
    assert whole


def test_scans_that_are_missing(decoder, jpeg_maker, cases):
    """A progressive file that was cut between scans and closed: the library smooths it."""
    for random in cases(60):
        data, what = drawn(random, jpeg_maker, kind="progressive", arithmetic=False)
        scans = [i for i in range(len(data) - 1) if data[i:i + 2] == b"\xff\xda"]
        cut = random.choice(scans[1:])
        agree(decoder, data[:cut] + b"\xff\xd9", (what, cut), exact=is_smoothed_alike(what))


def test_files_longer_than_a_portion(decoder, jpeg_maker, cases):
    """Libjpeg is fed in portions of 64 KiB: markers and blocks lie across their ends."""
    for random in cases(6):
        samples = draw.samples(random, 500, 400, 3)
        samples[::2, ::3] ^= 0x55
        data = jpeg_maker.make(samples, "YCbCr", "111111", quality=random.randint(90, 100),
                               kind=random.choice(["baseline", "progressive"]), restart=5)
        comment = b"\xff\xfe\xff\xff" + bytes(65533)
        data = data[:2] + comment * random.randint(0, 3) + data[2:]
        for cut in (len(data), len(data) - 2, random.randint(60000, len(data)), 65536):
            agree(decoder, data[:cut], cut)
        agree(decoder, data + b"\xff\xd8" * 70000, "with more behind it")


def exif(entries, endian="<", prefix=b"Exif\0\0", first=8):
    head = {"<": b"II*\0", ">": b"MM\0*"}[endian] + struct.pack(endian + "L", first)
    body = struct.pack(endian + "H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack(endian + "HHL", tag, kind, count) + value.ljust(4, b"\0")
    return prefix + head + body + b"\0\0\0\0"


def app1(content):
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def xmp(text):
    return app1(b"http://ns.adobe.com/xap/1.0/\0" + text)


def turned(value, endian="<", kind=3, count=1, **options):
    form = {3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 1: "B", 13: "L"}[kind]
    return exif([(274, kind, count, struct.pack(endian + form, value))], endian, **options)


ORIENTATIONS = {
    "little": app1(turned(6)), "big": app1(turned(8, ">")), "long": app1(turned(3, kind=4)),
    "signed": app1(turned(5, kind=9)), "byte": app1(turned(6, kind=1)),
    "signed byte": app1(turned(7, kind=6)), "none": b"", "zero": app1(turned(0)),
    "nine": app1(turned(9)), "prefix twice": app1(b"Exif\0\0" + turned(4)),
    "xmp": xmp(b'<x tiff:Orientation="6"/>'), "xmp element": xmp(b"<tiff:Orientation>8</tiff>"),
    "xmp none": xmp(b"<tiff:Orientation x>8</tiff>"),
    "xmp second": xmp(b"tiff:Orientation tiff:Orientation=x tiff:Orientation>3"),
    "xmp at the end": xmp(b'tiff:Orientation="'),
    "both": app1(turned(3)) + xmp(b'tiff:Orientation="6"'),
    "exif without it": app1(exif([(271, 2, 4, b"abc")])) + xmp(b'tiff:Orientation="6"'),
    "after others": app1(exif([(271, 2, 4, b"abc"), (282, 5, 1, struct.pack("<L", 8)),
                               (274, 3, 1, b"\6\0")])),
    "unreadable before": app1(exif([(282, 5, 1, b"\xff\xff\0\0"), (274, 3, 1, b"\6\0")])),
    "too large before": app1(exif([(282, 5, 99999, b"\0\0\0\0"), (274, 3, 1, b"\6\0")])),
    "unknown type before": app1(exif([(282, 99, 1, b"\0\0\0\0"), (274, 3, 1, b"\6\0")])),
    "twice": app1(exif([(274, 3, 1, b"\3\0"), (274, 3, 1, b"\6\0")])),
    "of no length": app1(exif([(274, 3, 0, b"\3\0"), (274, 3, 1, b"\6\0")])),
    "several": app1(exif([(274, 3, 2, b"\6\0\3\0")])),
    "elsewhere": app1(exif([(274, 3, 4, struct.pack("<L", 0))])),
    "cut": app1(turned(6)[:20]), "directory beyond": app1(turned(6, first=9999)),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_orientation(decoder, name):
    out = io.BytesIO()
    Image.new("RGB", (5, 3)).save(out, "JPEG")
    data = out.getvalue()
    data = data[:2] + ORIENTATIONS[name] + data[2:]
    assert decoder.decode(data).orientation == orientation(data)


def markers(*parts):
    return b"\xff\xd8" + b"".join(parts)


def sof(width=8, height=8, bits=8, components=1, marker=0xC0):
    body = struct.pack(">BHHB", bits, height, width, components)
    body += b"".join(bytes([i + 1, 0x11, 0]) for i in range(components))
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


SOS = b"\xff\xda\0\x08\1\1\0\0\x3f\0"


@pytest.mark.parametrize("data", [
    markers(), markers(sof()), markers(SOS), markers(sof(width=0), SOS),
    markers(sof(height=0), SOS), markers(sof(bits=12), SOS), markers(sof(components=2), SOS),
    markers(sof(components=5), SOS), markers(sof(), SOS), markers(sof(), sof(), SOS),
    markers(sof(marker=0xC3), SOS), markers(sof(marker=0xDE), SOS), markers(b"\xff\x02"),
    markers(b"\xff\xe0\0\1", sof(), SOS), markers(b"\xff\xe0\0"), markers(sof()[:7]),
    markers(sof(9, 9), sof(8, 8), SOS), markers(b"\xff" * 1000), b"\xff\xd8\xff",
    markers(b"\xff\xc0\0\5\1\2\3"),
], ids=range(20))
def test_heads_that_are_none(decoder, data):
    assert not agree(decoder, data, data[:40])


def test_size_is_judged_by_the_head(decoder):
    with pytest.raises(Refused, match="65535 × 65535 pixels, more than the 178956970 allowed"):
        decoder.decode(markers(sof(65535, 65535), SOS))


def with_scans(data, n):
    """A progressive file, with n of its last scan."""
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * n + data[-2:]


def test_scans_without_end(decoder, jpeg_maker, cases):
    """Each goes over the whole picture, and can be a few bytes."""
    random = next(iter(cases(1)))
    data = jpeg_maker.make(draw.samples(random, 16, 16, 1), "L", "11", kind="progressive")
    assert agree(decoder, with_scans(data, 60), "60 scans")
    with pytest.raises(Refused, match="the JPEG has more than 100 scans"):
        decoder.decode(with_scans(data, 200))
    data = jpeg_maker.make(numpy.zeros((4000, 4000, 1), "u1"), "L", "11", kind="progressive")
    with pytest.raises(Refused, match="the JPEG has more than 83 scans"):
        decoder.decode(with_scans(data, 90))
