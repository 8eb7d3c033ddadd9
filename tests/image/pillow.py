# SPDX-License-Identifier: Apache-2.0
"""What Pillow makes of a file, and whether a decoder makes the same of it."""

import io

import numpy
from PIL import Image, ImageOps

from image.programs import Refused

ORIENTATION = 274


def load(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def pixels(image):
    """A picture of Pillow's as image.h has it in memory."""
    width, height = image.size
    if image.mode == "I;16":
        return numpy.frombuffer(image.tobytes(), "u1").reshape(height, width, 2)
    if image.mode == "1":
        image = image.convert("L")
    values = numpy.asarray(image)
    if image.mode == "F":
        return numpy.ascontiguousarray(values).view("u1").reshape(height, width, 4)
    if image.mode == "LAB":
        return numpy.dstack([values ^ numpy.array([0, 128, 128], "u1"),
                             numpy.full((height, width), 255, "u1")])
    if image.mode in ("L", "P"):
        return values[:, :, None]
    if image.mode == "LA":
        return values[:, :, [0, 0, 0, 1]]
    if image.mode == "RGB":
        return numpy.dstack([values, numpy.full((height, width), 255, "u1")])
    return values


def difference(ours, theirs):
    """None, or words on how pixels differ."""
    if ours.shape != theirs.shape:
        return f"shape {ours.shape} is not {theirs.shape}"
    wrong = (ours != theirs).any(2)
    if not wrong.any():
        return None
    y, x = numpy.argwhere(wrong)[0]
    return (f"{wrong.sum()} of {wrong.size} pixels differ, first at {x}, {y}: {ours[y, x]} is not "
            f"{theirs[y, x]}")


def check(decoder, data, what, **options):
    """The same picture, and the same in each mode that it can be converted to."""
    theirs = load(data)
    ours = decoder.decode(data, **options)
    assert (ours.mode, ours.size) == (theirs.mode, theirs.size), what
    assert difference(ours.pixels, pixels(theirs)) is None, what
    for mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
        converted = decoder.decode(data, mode=mode, **options)
        assert difference(converted.pixels, pixels(load(data).convert(mode))) is None, (what, mode)
    return theirs


def outcome(function, *arguments, **options):
    """What a function returns, or what it raises."""
    try:
        return function(*arguments, **options)
    except Exception as e:
        return e


def agree(decoder, data, what, exact=True, **options):
    """As check(), of files that may be damaged: both have the same picture, or neither has one.
    True: there is one. Not exact: of the same size, at least."""
    theirs = outcome(load, data)
    ours = outcome(decoder.decode, data, **options)
    refused = isinstance(ours, Refused)
    if isinstance(theirs, Exception) or refused:
        assert refused and isinstance(theirs, Exception), (what, theirs, ours)
        return False
    assert (ours.mode, ours.size) == (theirs.mode, theirs.size), what
    assert not exact or difference(ours.pixels, pixels(theirs)) is None, what
    return True


def orientation(data):
    """The number that ImageOps.exif_transpose() goes by; 1 where it turns nothing."""
    image = load(data)
    value = image.getexif().get(ORIENTATION, 1)
    turned = ImageOps.exif_transpose(image)
    assert value in range(2, 9) or turned.tobytes() == image.tobytes()
    return int(value) if value in range(2, 9) else 1
