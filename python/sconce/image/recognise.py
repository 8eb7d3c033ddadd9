# SPDX-License-Identifier: Apache-2.0
"""Somebody's Compose, of torchvision or of ts, as steps that are done in one pass.

Only what is known exactly is taken: classes by where they are defined (one derived from them may do
anything), with the attributes that they have at this moment, and as long as nobody has put other
functions in the place of theirs. Whatever else there is, the transforms run as they are written.
"""

import functools
import os
import sys

from sconce.image import library, run, steps, transforms
from sconce.image.source import File

_TORCHVISION, _OURS = "torchvision.transforms.transforms.", "ts.torch_handler.transforms."


def _resize(t):
    # Whatever `antialias` says: of pictures torchvision lets Pillow do it, which always does.
    return transforms.Resize(t.size, t.interpolation, getattr(t, "max_size", None)).steps()


def _floats(values):
    return values.flatten().tolist() if hasattr(values, "flatten") else list(values)


def _pad(t):
    # Several values are for pictures of so many channels, and others have torchvision's error.
    fill = t.fill[0] if isinstance(t.fill, (tuple, list)) and len(t.fill) == 1 else t.fill
    if isinstance(fill, (tuple, list)):
        raise steps.Unknown("which pictures come is not known")
    return transforms.Pad(t.padding, fill, t.padding_mode).steps()


def _to_tensor(t):
    # Torchvision's floats are of torch's default type, whatever that is at this moment.
    torch = sys.modules.get("torch")
    if torch and type(t).__module__.startswith("torchvision.") \
            and torch.get_default_dtype() is not torch.float32:
        raise steps.Unknown("floats are of 32 bits")
    return [steps.to_tensor()]


# The function of torchvision.transforms.functional behind each of torchvision's.
_FUNCTIONS = {"Resize": "resize", "CenterCrop": "center_crop", "Pad": "pad",
              "Grayscale": "rgb_to_grayscale", "ToTensor": "to_tensor", "Normalize": "normalize"}

_KNOWN = {
    "Resize": _resize,
    "CenterCrop": lambda t: transforms.CenterCrop(t.size).steps(),
    "Pad": _pad,
    "Grayscale": lambda t: transforms.Grayscale(t.num_output_channels).steps(),
    "ToTensor": _to_tensor,
    "Normalize": lambda t: [steps.normalize(_floats(t.mean), _floats(t.std))],
}


def _name(thing):
    """The name of a class of one of the two modules, or None."""
    kind = type(thing)
    whole = "%s.%s" % (kind.__module__, kind.__qualname__)
    for module in (_TORCHVISION, _OURS):
        if whole.startswith(module):
            return whole[len(module):]
    return None


@functools.lru_cache(maxsize=256)
def _is_of(function, package):
    """Is it the package's own, and not what somebody has put in its place?"""
    code = getattr(function, "__code__", None)
    folder = os.path.dirname(sys.modules[package].__file__) + os.sep
    return code is not None and code.co_filename.startswith(folder)


def _is_as_written(thing, name):
    """Does a Compose or a transform of that name do what its class was written to do?"""
    kind, own = type(thing), vars(thing)
    if "forward" in own or own.get("_forward_hooks") or own.get("_forward_pre_hooks"):
        return False
    does = vars(kind)
    does = does["forward"] if "forward" in does else does.get("__call__")
    if not kind.__module__.startswith("torchvision."):
        return _is_of(does, "ts")
    functions = sys.modules.get("torchvision.transforms.functional")
    return _is_of(does, "torchvision") and (name not in _FUNCTIONS or _is_of(
        getattr(functions, _FUNCTIONS[name], None), "torchvision"))


def _pillow_is_as_written():
    """Also where it is asked for other pictures: the first one of a GIF may become RGB."""
    pillow, gif = (sys.modules.get("PIL." + name) for name in ("Image", "GifImagePlugin"))
    strategy = getattr(gif, "LOADING_STRATEGY", 0)
    return pillow is None or (getattr(strategy, "value", strategy) == 0 and all([
        _is_of(f, "PIL") for f in (
            pillow.open, pillow.Image.convert, pillow.Image.resize, pillow.Image.crop)]))


def _steps_of(transform):
    name = _name(transform)
    if name not in _KNOWN or not _is_as_written(transform, name):
        raise steps.Unknown("there is no such transform")
    return _KNOWN[name](transform)


def known_steps(compose):
    """The steps of a Compose, or None where it holds anything else, or ends in no tensor."""
    if _name(compose) != "Compose":
        return None
    try:
        if not _is_as_written(compose, "Compose") or not _pillow_is_as_written():
            return None
        todo = [step for transform in compose.transforms for step in _steps_of(transform)]
    except (steps.Unknown, TypeError, ValueError, AttributeError):
        return None
    ends = library.OPS.index("to_tensor")
    return todo if any(step.op == ends for step in todo) else None


def is_wanted():
    """SCONCE_IMAGE=off in the environment, which the setting native=never makes, turns it off."""
    return os.environ.get("SCONCE_IMAGE") != "off"


def _pixels():
    """As many as Pillow takes, whose limit a handler may have lowered; 0: as many as by default."""
    most = getattr(sys.modules.get("PIL.Image"), "MAX_IMAGE_PIXELS", None)
    return 0 if most is None else max(int(2 * most), 1)


def fused(compose, data):
    """The tensor that `compose` makes of Pillow's picture of these bytes; None where that is not
    known, or the library says no: then who asks does as it is written, and has Pillow's errors."""
    todo = known_steps(compose) if is_wanted() else None
    if todo is None:
        return None
    try:
        return run.tensor(File(data, _pixels()), todo, out="torch")
    except (library.ImageError, library.Unavailable, MemoryError):
        return None
