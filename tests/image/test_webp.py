# SPDX-License-Identifier: Apache-2.0
"""WebP: pictures, and first frames of animations, as Pillow has them."""

import io
import struct

import pytest
from PIL import Image

from image import draw
from image.pillow import agree, check, orientation
from image.programs import Refused
from image.test_jpeg import turned


def picture(random, mode, size=None):
    width, height = size or draw.size(random)
    channels = len(mode)
    samples = draw.samples(random, width, height, channels)
    if mode == "RGBA" and random.random() < 0.5:
        samples[:, :, 3] = random.choice([0, 255, 128])
    return Image.fromarray(samples, mode)


def saved(image, **options):
    out = io.BytesIO()
    image.save(out, "WEBP", **options)
    return out.getvalue()


def drawn(random, size=None):
    mode = random.choice(["RGB", "RGBA"])
    options = {"lossless": random.random() < 0.4, "quality": random.randint(0, 100),
               "alpha_quality": random.randint(0, 100), "method": random.choice([0, 2]),
               "exact": random.random() < 0.5}
    if random.random() < 0.2:
        options["icc_profile"] = b"not a profile"
    image = picture(random, mode, size)
    return saved(image, **options), (mode, image.size, options)


def chunk(kind, content):
    return kind + struct.pack("<L", len(content)) + content + b"\0" * (len(content) % 2)


def riff(*chunks):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<L", len(body)) + body


def u24(value):
    return struct.pack("<L", value)[:3]


def test_pictures(decoder, cases):
    for random in cases(150):
        data, what = drawn(random)
        check(decoder, data, what, rows=random.choice([0, 1, 7]))


def test_animations(decoder, cases):
    for random in cases(30):
        mode = random.choice(["RGB", "RGBA"])
        size = draw.size(random, 40)
        frames = [picture(random, mode, size) for _ in range(3)]
        data = saved(frames[0], save_all=True, append_images=frames[1:],
                     lossless=random.random() < 0.5, background=(9, 200, 3, 255))
        check(decoder, data, (mode, size))


def test_frames_beside_the_corner(decoder, cases):
    """A first frame that is smaller than its canvas, which says that it has an alpha, or not."""
    for random in cases(60):
        width, height = draw.size(random, 30)
        data, what = drawn(random, (width, height))
        inner = data[12:] if data[12:16] != b"VP8X" else data[30:]
        if inner[:4] == b"ICCP":
            continue
        x, y = random.randrange(0, 20, 2), random.randrange(0, 20, 2)
        canvas = x + width + random.randint(0, 5), y + height + random.randint(-1, 5)
        flags = random.choice([0x02, 0x12])
        frame = u24(x // 2) + u24(y // 2) + u24(width - 1) + u24(height - 1) + u24(100) + \
            bytes([random.randrange(4)])
        whole = riff(chunk(b"VP8X", bytes([flags, 0, 0, 0]) + u24(canvas[0] - 1) +
                           u24(canvas[1] - 1)),
                     chunk(b"ANIM", b"\1\2\3\4\0\0"), chunk(b"ANMF", frame + inner))
        agree(decoder, whole, (what, x, y, canvas, flags))


def test_files_cut_and_changed(decoder, cases):
    whole = 0
    for random in cases(400):
        data, what = drawn(random)
        changed = bytearray(data)
        if random.random() < 0.4:
            del changed[random.randint(0, len(data)):]
        else:
            for _ in range(random.choice([1, 1, 2, 6])):
                place = random.choice([random.randrange(12, 40), random.randrange(12, len(data))])
                changed[place % len(data)] = random.choice([0, 1, 255, random.randrange(256)])
        whole += agree(decoder, bytes(changed), (what, len(changed)))
    assert whole


XMP = b'<x tiff:Orientation="7"/>'


@pytest.mark.parametrize("options", [
    {}, {"exif": turned(6)}, {"exif": turned(8, ">", prefix=b"")}, {"xmp": XMP},
    {"exif": turned(3), "xmp": XMP}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0", "xmp": XMP},
], ids=range(6))
def test_orientation(decoder, options):
    data = saved(Image.new("RGB", (4, 3)), **options)
    assert decoder.decode(data).orientation == orientation(data)


@pytest.mark.parametrize("data", [
    b"RIFF", riff(), riff(b"VP8 "), riff(chunk(b"VP8 ", b"")), riff(chunk(b"VP8L", b"\x2f")),
    riff(chunk(b"VP8X", bytes(10))), riff(chunk(b"VP8X", bytes(9))), riff(chunk(b"VP8Z", b"")),
    riff(chunk(b"VP8X", b"\2" + bytes(9)), chunk(b"ANIM", bytes(6))),
    riff(chunk(b"VP8X", b"\2" + bytes(9)), chunk(b"ANMF", bytes(16))),
], ids=range(10))
def test_files_that_are_none(decoder, data):
    assert not agree(decoder, data, data)


def test_size_is_judged_by_the_head(decoder, cases):
    data = saved(Image.new("RGB", (4, 4)))
    huge = riff(chunk(b"VP8X", b"\2\0\0\0" + u24(1 << 20) + u24(1 << 11)),
                chunk(b"ANIM", bytes(6)),
                chunk(b"ANMF", bytes(6) + u24(3) + u24(3) + bytes(4) + data[12:]))
    with pytest.raises(Refused, match="1048577 × 2049 pixels, more than the 178956970 allowed"):
        decoder.decode(huge)
    with pytest.raises(Refused, match="more memory|bytes of memory, more than the 63 allowed"):
        decoder.decode(data, memory=63)
