# SPDX-License-Identifier: Apache-2.0
"""Steps, done to a source: to a tensor, or to a picture in memory."""

import ctypes
import sys
from contextlib import contextmanager

from sconce.image import library
from sconce.image.library import ALIGN, Chain, ImageError, Info, Result, Step
from sconce.image.source import Held

_ELEMENTS = ("uint8", "float16", "float32")
_CODES = {"uint8": "B", "float16": "e", "float32": "f"}


@contextmanager
def _plan(steps, info, scaled=False):
    """(plan, result)"""
    chain = Chain((Step * len(steps))(*steps), len(steps), scaled)
    plan, result = ctypes.c_void_p(), Result()
    library.call("plan", ctypes.byref(chain), ctypes.byref(info), ctypes.byref(plan),
                 ctypes.byref(result))
    try:
        yield plan, result
    finally:
        library.end("plan_free", plan)


def foresee(steps, info):
    """What a picture of this kind will be after these steps: its Info."""
    if not steps:
        return info
    with _plan(steps, info) as (_, result):
        return Info(info.format, result.mode, result.width, result.height, 1)


def _aligned(nbytes):
    """(memoryview of nbytes, its address), aligned as the library wants it."""
    room = bytearray(nbytes + ALIGN)
    start = ctypes.addressof((ctypes.c_char * len(room)).from_buffer(room))
    skip = -start % ALIGN
    return memoryview(room)[skip:skip + nbytes], start + skip


def _torch(kind, shape):
    import torch

    # Somebody's default device may be a GPU, whose addresses are nothing to the library.
    tensor = torch.empty(shape, dtype=getattr(torch, kind), device="cpu")
    address = tensor.data_ptr()
    if address % ALIGN:
        whole = torch.empty(tensor.numel() + ALIGN, dtype=tensor.dtype, device="cpu")
        skip = -whole.data_ptr() % ALIGN // whole.element_size()
        tensor = whole[skip:skip + tensor.numel()].view(shape)
        address = tensor.data_ptr()
    return tensor, address


def _allocate(kind, shape, nbytes, out):
    """(tensor, address) of whatever kind of tensor is wanted: None, torch's where it is imported,
    else numpy's where there is numpy, else a memoryview."""
    if out == "torch" or (out is None and "torch" in sys.modules):
        return _torch(kind, shape)
    view, address = _aligned(nbytes)
    if out in (None, "numpy"):
        try:
            import numpy
            return numpy.frombuffer(view, dtype=kind).reshape(shape), address
        except ImportError:
            if out:
                raise
    return view.cast(_CODES[kind], shape) if kind != "float16" else view, address


def tensor(source, steps, scaled=False, out=None):
    """The tensor that the steps end in. `out`: "torch", "numpy", "memoryview", or None."""
    with source.reader() as (reader, info), _plan(steps, info, scaled) as (plan, result):
        if not result.tensor:
            raise ImageError("the steps end in no tensor: ToTensor is missing")
        made, address = _allocate(_ELEMENTS[result.element], tuple(result.shape), result.bytes, out)
        library.call("tensor", plan, reader, address)
        return made


def picture(source, steps):
    """A picture in memory, after the steps."""
    image = ctypes.c_void_p()
    with source.reader() as (reader, info), _plan(steps, info) as (plan, _):
        library.call("picture", plan, reader, ctypes.byref(image))
    return Held(image)
