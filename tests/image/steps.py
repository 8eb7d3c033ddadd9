# SPDX-License-Identifier: Apache-2.0
"""Chains of steps, done by image_chain.c with Pillow's images or with files."""

import numpy

from image.pillow import pixels
from image.programs import BYTES, Program, Refused

MODES = ["1", "L", "P", "I;16", "LA", "RGB", "RGBA", "CMYK", "LAB", "F"]
FILTERS = ["NEAREST", "BOX", "BILINEAR", "HAMMING", "BICUBIC", "LANCZOS"]
OPS = ["convert", "orient", "resize", "resize_short", "crop", "center_crop", "pad", "flip_x",
       "flip_y", "to_tensor", "to_bytes", "normalize", "to_half", "to_hwc"]
DTYPES = ["u1", "f2", "f4"]


def step(op, *arguments, filter="BILINEAR", fill=()):
    """What image_chain.c reads: a number for the step, and those of its struct."""
    if op == "convert":
        numbers = [MODES.index(arguments[0])]
    elif op == "resize":
        numbers = [*arguments, FILTERS.index(filter)]
    elif op == "resize_short":
        size, longest = (*arguments, 0)[:2]
        numbers = [longest, size, FILTERS.index(filter)]
    elif op == "center_crop":
        numbers = [0, 0, *arguments]
    elif op == "normalize":
        mean, std = (list(values) + [0] * (4 - len(values)) for values in arguments)
        numbers = [len(arguments[0]), *mean, *std]
    else:
        numbers = [*arguments, *fill]
    return " ".join(map(repr, [OPS.index(op), *numbers])) + "\n"


class Chain(Program):
    def run(self, source, steps, scaled=False, orientation=0):
        """A tensor, or (mode, pixels); or raises Refused. `source`: an image, or a file's bytes."""
        if isinstance(source, bytes):
            mode, size, data = "-", (0, 0), source
        else:
            mode, size, data = source.mode, source.size, pixels(source).tobytes()
        head = (f"chain {mode} {size[0]} {size[1]} {orientation} {scaled:d} {len(steps)} "
                f"{len(data)}\n")
        kind, *words = self.ask((head + "".join(steps)).encode(), data).split(" ")
        if kind == "error":
            raise Refused(int(words[0]), " ".join(words[1:]))
        got = self.read(int(words[-1]))
        if kind == "tensor":
            element, *shape = map(int, words[:-1])
            return numpy.frombuffer(got, DTYPES[element]).reshape(shape)
        width, height = map(int, words[1:3])
        return words[0], numpy.frombuffer(got, "u1").reshape(height, width, BYTES.get(words[0], 4))
