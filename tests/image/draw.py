# SPDX-License-Identifier: Apache-2.0
"""Pictures and samples for them, drawn at random: smooth, flat, noisy and striped."""

import numpy
from PIL import Image


def size(random, most=90):
    """Often at the edges of blocks of 8 and 16."""
    def side():
        if random.random() < 0.3:
            return max(1, random.choice([8, 16, 32, 64]) + random.randint(-1, 1))
        return random.randint(1, most)
    return side(), side()


def samples(random, width, height, channels, top=255):
    """height, width, channels of numbers from 0 to `top`."""
    rng = numpy.random.default_rng(random.getrandbits(32))
    kind = random.choice(["noise", "smooth", "flat", "edges"])
    shape = (height, width, channels)
    if kind == "noise":
        values = rng.random(shape)
    elif kind == "flat":
        values = numpy.broadcast_to(rng.random(channels), shape)
    elif kind == "edges":
        values = (rng.random((height, 1, channels)) > 0.5) ^ \
            (rng.random((1, width, channels)) > 0.5)
    else:
        y, x = numpy.mgrid[0:height, 0:width]
        waves = [numpy.sin(x * rng.random() / 3 + y * rng.random() / 3 + i)
                 for i in range(channels)]
        values = numpy.stack(waves, 2) / 2 + 0.5 + rng.normal(0, 0.02, shape)
    values = numpy.clip(values, 0, 1) * top
    return numpy.rint(values).astype("u2" if top > 255 else "u1")


BANDS = {"1": 1, "L": 1, "P": 1, "I;16": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "LAB": 3,
         "F": 1}


def picture(random, mode, width, height):
    """Of Pillow's."""
    values = samples(random, width, height, BANDS[mode], 65535 if mode == "I;16" else 255)
    if mode == "1":
        return Image.fromarray(values[:, :, 0]).convert("1", dither=Image.Dither.NONE)
    if mode == "F":
        values = values.astype("f4") * random.choice([1, 0.013, 1e9]) - random.choice([0, 99, 1e30])
    image = Image.frombytes(mode, (width, height), values.tobytes())
    if mode == "P":
        image.putpalette(random.randbytes(768))
    return image


def side(random):
    """A length for what is resized: few pixels, and many."""
    kind = random.random()
    if kind < 0.2:
        return random.randint(1, 6)
    return random.randint(1, 80) if kind < 0.8 else random.randint(80, 400)
