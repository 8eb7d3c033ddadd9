# SPDX-License-Identifier: Apache-2.0
"""Pixels of pictures in memory for other libraries' tensors, as DLPack has it: a capsule that says
where they are, and whom to tell when they are not needed any more (src/image/export_dlpack.c)."""

import ctypes
import functools

from sconce.image import library

CPU = (1, 0)


@functools.lru_cache(maxsize=None)
def _new():
    """PyCapsule_New(), once the library knows Python's other functions."""
    api = ctypes.pythonapi
    library.end("python", ctypes.cast(api.PyCapsule_IsValid, ctypes.c_void_p),
                ctypes.cast(api.PyCapsule_GetPointer, ctypes.c_void_p))
    return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p,
                             ctypes.c_void_p)(("PyCapsule_New", api))


def check(stream, device):
    """Refuses what is not memory of this machine."""
    if stream is not None:
        raise ValueError("pictures are in memory of the CPU, where there are no streams")
    if device is not None and tuple(device) != CPU:
        raise BufferError("pictures are in memory of the CPU; take one there, and move it")


def capsule(held, versioned, read_only):
    """Of a Held picture, whose pixels the capsule, or who takes it, keeps."""
    new, parts = _new(), library.Capsule()
    library.call("dlpack", held.image, versioned, read_only, ctypes.byref(parts))
    return new(parts.pointer, parts.name, parts.destructor)
