# SPDX-License-Identifier: Apache-2.0
"""One step each, as the library takes it. Numbers of filters and transpositions are Pillow's."""

import math

from sconce.image import library
from sconce.image.library import Step

NEAREST, LANCZOS, BILINEAR, BICUBIC, BOX, HAMMING = range(6)
_FILTERS = {NEAREST: "nearest", LANCZOS: "lanczos", BILINEAR: "bilinear", BICUBIC: "bicubic",
            BOX: "box", HAMMING: "hamming"}
FLIP_LEFT_RIGHT, FLIP_TOP_BOTTOM = 0, 1
SIDE_MAX = 2 ** 31 - 1


class Unknown(ValueError):
    """The library has no such step."""


def _step(op):
    return Step(op=library.OPS.index(op))


def _side(value, least=1):
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= SIDE_MAX:
        raise Unknown("%r is no number of pixels" % (value,))
    return value


def filter_number(resample):
    """Of a filter by Pillow's number, by its name, or an enumeration of either."""
    value = getattr(resample, "value", resample)
    name = value if isinstance(value, str) else _FILTERS.get(value)
    if name not in library.FILTERS:
        raise Unknown("there is no filter %r" % (resample,))
    return library.FILTERS.index(name)


def convert(mode):
    if mode not in library.MODES:
        raise Unknown("there is no conversion to %r" % (mode,))
    step = _step("convert")
    step.mode = library.MODES.index(mode)
    return step


def orient():
    return _step("orient")


def resize(width, height, resample):
    step = _step("resize")
    step.resize.width, step.resize.height = _side(width), _side(height)
    step.resize.filter = filter_number(resample)
    return step


def resize_short(short, longest, resample):
    """The shorter side to `short`, the longer one to at most `longest` (None: any)."""
    step = _step("resize_short")
    step.resize.height = _side(short)
    step.resize.width = 0 if longest is None else _side(longest)
    if longest is not None and longest <= short:
        raise Unknown("max_size must be more than size")
    step.resize.filter = filter_number(resample)
    return step


def _box(op, x, y, width, height):
    step = _step(op)
    step.box.x, step.box.y, step.box.width, step.box.height = x, y, width, height
    return step


def crop(left, top, right, bottom):
    for value in (left, top, right, bottom):
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > SIDE_MAX // 2:
            raise Unknown("%r is no place in a picture" % (value,))
    return _box("crop", left, top, _side(right - left), _side(bottom - top))


def center_crop(height, width):
    return _box("center_crop", 0, 0, _side(width), _side(height))


def pad(left, top, right, bottom, fill=0):
    step = _box("pad", *(_side(v, 0) for v in (left, top, right, bottom)))
    values = fill if isinstance(fill, (tuple, list)) else [fill] * 4
    if not 1 <= len(values) <= 4 or not all(
            isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= 255 for v in values):
        raise Unknown("%r is no colour to pad with" % (fill,))
    for i, value in enumerate(values):
        step.box.fill[i] = value
    return step


def flip(method):
    if method not in (FLIP_LEFT_RIGHT, FLIP_TOP_BOTTOM):
        raise Unknown("there is no transposition %r" % (method,))
    return _step("flip_x" if method == FLIP_LEFT_RIGHT else "flip_y")


def to_tensor():
    return _step("to_tensor")


def to_bytes():
    return _step("to_bytes")


def normalize(mean, std):
    mean, std = ([float(v) for v in values] for values in (mean, std))
    if not 1 <= len(mean) <= 4 or len(mean) != len(std):
        raise Unknown("mean and std need a value for each channel, up to four")
    if not all(map(math.isfinite, mean + std)) or 0.0 in std:
        raise Unknown("mean and std must be finite, and std not 0")
    step = _step("normalize")
    step.normalize.n = len(mean)
    for i, (m, s) in enumerate(zip(mean, std)):
        step.normalize.mean[i], step.normalize.std[i] = m, s
    if any(v == 0.0 for v in step.normalize.std[:len(std)]):
        raise Unknown("std is too small")
    return step
