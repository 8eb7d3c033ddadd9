# SPDX-License-Identifier: Apache-2.0
"""The library that does the work, through ctypes, which gives the interpreter's lock away while it
runs. Structs are those of src/image/{decode,chain,image}.h."""

import ctypes
import functools
import os

VERSION = 2
OPS = ("convert", "orient", "resize", "resize_short", "crop", "center_crop", "pad", "flip_x",
       "flip_y", "to_tensor", "to_bytes", "normalize", "to_half", "to_hwc")
MODES = ("1", "L", "P", "I;16", "LA", "RGB", "RGBA", "CMYK")
BANDS = (1, 1, 1, 1, 2, 3, 4, 4)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
ALIGN = 64


class Unavailable(ImportError):
    """The library is not there, or is another version's; the message says which and where."""


class ImageError(ValueError):
    """The bytes are no such picture, or a step cannot work on it."""


class _Text(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 256)]


class Limits(ctypes.Structure):
    _fields_ = [("pixels", ctypes.c_uint64), ("memory", ctypes.c_uint64)]


class Info(ctypes.Structure):
    _fields_ = [("format", ctypes.c_int), ("mode", ctypes.c_int), ("width", ctypes.c_uint32),
                ("height", ctypes.c_uint32), ("orientation", ctypes.c_uint8)]


class _Resize(ctypes.Structure):
    _fields_ = [("width", ctypes.c_uint32), ("height", ctypes.c_uint32), ("filter", ctypes.c_int)]


class _Box(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int32), ("y", ctypes.c_int32), ("width", ctypes.c_int32),
                ("height", ctypes.c_int32), ("fill", ctypes.c_uint8 * 4)]


class _Normalize(ctypes.Structure):
    _fields_ = [("n", ctypes.c_uint), ("mean", ctypes.c_float * 4), ("std", ctypes.c_float * 4)]


class _Parameters(ctypes.Union):
    _fields_ = [("mode", ctypes.c_int), ("resize", _Resize), ("box", _Box),
                ("normalize", _Normalize)]


class Step(ctypes.Structure):
    _anonymous_ = ("parameters",)
    _fields_ = [("op", ctypes.c_int), ("parameters", _Parameters)]


class Chain(ctypes.Structure):
    _fields_ = [("steps", ctypes.POINTER(Step)), ("n", ctypes.c_size_t),
                ("scaled", ctypes.c_bool)]


class Result(ctypes.Structure):
    _fields_ = [("tensor", ctypes.c_bool), ("element", ctypes.c_int),
                ("shape", ctypes.c_uint32 * 3), ("bytes", ctypes.c_size_t),
                ("memory", ctypes.c_size_t), ("pixels", ctypes.c_uint64), ("mode", ctypes.c_int),
                ("width", ctypes.c_uint32), ("height", ctypes.c_uint32)]


class Capsule(ctypes.Structure):
    """What PyCapsule_New() takes."""

    _fields_ = [("pointer", ctypes.c_void_p), ("name", ctypes.c_void_p),
                ("destructor", ctypes.c_void_p)]


_FUNCTIONS = {
    "open": (ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(Limits),
             ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(Info), ctypes.POINTER(_Text)),
    "hold": (ctypes.c_int, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p,
             ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(_Text)),
    "again": (ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(Info),
              ctypes.POINTER(_Text)),
    "plan": (ctypes.POINTER(Chain), ctypes.POINTER(Info), ctypes.POINTER(ctypes.c_void_p),
             ctypes.POINTER(Result), ctypes.POINTER(_Text)),
    "tensor": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(_Text)),
    "picture": (ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p),
                ctypes.POINTER(_Text)),
    "dlpack": (ctypes.c_void_p, ctypes.c_bool, ctypes.c_bool, ctypes.POINTER(Capsule),
               ctypes.POINTER(_Text)),
}
_ENDS = {"drop": (ctypes.c_void_p,), "close": (ctypes.c_void_p,), "plan_free": (ctypes.c_void_p,),
         "bands": (ctypes.c_void_p, ctypes.c_void_p),
         "python": (ctypes.c_void_p, ctypes.c_void_p)}


def _places():
    """Where it may be: as the environment says; as it is installed, beside these packages or below
    the same prefix; as it is built."""
    named = os.environ.get("SCONCE_IMAGE_LIBRARY")
    if named:
        return [named]
    packages = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [os.path.join(packages, *place, "libsconce-image.so")
            for place in ((os.pardir,), (os.pardir, os.pardir, os.pardir, "lib", "sconce"),
                          (os.pardir, "build", "src", "image"))]


def _layout():
    return (VERSION << 48 | ctypes.sizeof(Step) << 32 | ctypes.sizeof(Result) << 16
            | ctypes.sizeof(Info))


@functools.lru_cache(maxsize=None)
def load():
    """The library, loaded once. Unavailable where it is not there."""
    path = next((place for place in _places() if os.path.exists(place)), None)
    if path is None:
        raise Unavailable("libsconce-image.so is not installed; looked for: %s"
                          % ", ".join(_places()))
    try:
        loaded = ctypes.CDLL(os.path.realpath(path))
        loaded.sconce_image_layout.restype = ctypes.c_uint64
        layout = loaded.sconce_image_layout()
    except (OSError, AttributeError) as e:
        raise Unavailable("%s cannot be loaded: %s" % (path, e)) from None
    if layout != _layout():
        raise Unavailable("%s is of another version of sconce than these packages" % path)
    for name, arguments in {**_FUNCTIONS, **_ENDS}.items():
        function = getattr(loaded, "sconce_image_" + name)
        function.argtypes = arguments
        function.restype = None if name in _ENDS else ctypes.c_int
    return loaded


def call(name, *arguments):
    """Calls a function that may fail; raises ImageError, or MemoryError, with its sentence."""
    error = _Text()
    code = getattr(load(), "sconce_image_" + name)(*arguments, ctypes.byref(error))
    if code:
        kind = MemoryError if code == -12 else ImageError
        raise kind(error.text.decode("utf-8", "replace"))


def end(name, *arguments):
    getattr(load(), "sconce_image_" + name)(*arguments)
