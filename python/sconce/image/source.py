# SPDX-License-Identifier: Apache-2.0
"""Where pixels come from: the bytes of a file, or a picture in memory. Each gives readers, from
which a chain of steps takes rows."""

import ctypes
from contextlib import contextmanager

from sconce.image import library
from sconce.image.library import ImageError, Info, Limits


class _View(ctypes.Structure):
    """Python's Py_buffer."""

    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.py_object), ("len", ctypes.c_ssize_t),
                ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
                ("format", ctypes.c_char_p), ("shape", ctypes.c_void_p),
                ("strides", ctypes.c_void_p), ("suboffsets", ctypes.c_void_p),
                ("internal", ctypes.c_void_p)]


@contextmanager
def _lent(data):
    """(address, bytes) of an object with a buffer, which stays where it is meanwhile."""
    view = _View()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(data), ctypes.byref(view), 0)
    try:
        yield view.buf, view.len
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))


class File:
    """The bytes of a file: JPEG, PNG, WebP, GIF or BMP."""

    def __init__(self, data, pixels=0, memory=0):
        self.data, self.limits = data, Limits(pixels, memory)
        with self.reader() as (_, info):
            self.info = info

    @contextmanager
    def reader(self):
        """(reader, what its rows will be)"""
        reader, info = ctypes.c_void_p(), Info()
        with _lent(self.data) as (address, n):
            library.call("open", address, n, ctypes.byref(self.limits), ctypes.byref(reader),
                         ctypes.byref(info))
            try:
                yield reader, info
            finally:
                library.end("close", reader)


class Held:
    """A picture in memory, of which the library owns the pixels."""

    def __init__(self, image):
        self.image = image
        with self.reader() as (_, info):
            self.info = info

    @classmethod
    def of(cls, mode, size, data):
        """From dense channels, as Pillow's tobytes() has them."""
        if mode not in library.MODES or mode in ("1", "P"):
            raise ImageError("pictures of mode %s cannot be taken over" % mode)
        number = library.MODES.index(mode)
        row = size[0] * (2 if mode == "I;16" else library.BANDS[number])
        image = ctypes.c_void_p()
        with _lent(data) as (address, n):    # whatever its class says of its length
            if n != row * size[1] or row < 1 or size[1] < 1:
                raise ImageError("%d bytes are no picture of %d × %d in mode %s"
                                 % (n, size[0], size[1], mode))
            library.call("hold", number, size[0], size[1], address, ctypes.byref(image))
        return cls(image)

    @contextmanager
    def reader(self):
        reader, info = ctypes.c_void_p(), Info()
        library.call("again", self.image, ctypes.byref(reader), ctypes.byref(info))
        try:
            yield reader, info
        finally:
            library.end("close", reader)

    def bands(self):
        """Dense channels."""
        info = self.info
        row = info.width * (2 if library.MODES[info.mode] == "I;16" else library.BANDS[info.mode])
        out = bytearray(row * info.height)
        library.end("bands", self.image,
                    ctypes.addressof((ctypes.c_char * len(out)).from_buffer(out)))
        return out

    def __del__(self, end=library.end):
        if self.image:
            end("drop", self.image)
