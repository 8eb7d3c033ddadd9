# SPDX-License-Identifier: Apache-2.0
"""Samples for pictures, drawn at random: smooth, flat, noisy and striped."""

import numpy


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
