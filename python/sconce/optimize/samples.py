# SPDX-License-Identifier: Apache-2.0
"""Samples: bodies of requests and recorded calls, or, where there are none, tensors and pictures
that are made up."""

import itertools
import mimetypes
import random
import zipfile
from pathlib import Path

from sconce.optimize.failure import Failure, Usage, sentence

FILES_MAX = 64
RECORDED = ".npz"
PICTURES = ("image_classifier", "image_segmenter", "object_detector", "densenet_handler")
SENTENCE = "The quick brown fox jumps over the lazy dog."


def media_type(path):
    """As `sconce call` guesses it: JSON is told, other kinds are for the handler to find out."""
    guessed = mimetypes.guess_type(path.name)[0]
    return guessed if guessed == "application/json" else ""


def find(place):
    """The files of a folder, or the one that is named."""
    place = Path(place)
    if not place.exists():
        raise Failure("--samples %s: there is no such file or folder" % place)
    files = [place] if place.is_file() else sorted(
        p for p in place.iterdir() if p.is_file() and not p.name.startswith("."))
    if not files:
        raise Failure("--samples %s: the folder has no files; each is to be the body of a request"
                      % place)
    return files[:FILES_MAX]


def recorded(file):
    """Arrays that a model was called with, as numpy.savez() keeps them: by place, and by name.
    Raises ValueError."""
    import numpy as np

    try:
        with np.load(file, allow_pickle=False) as content:
            named = {name: content[name] for name in content.files}
    except (ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile) as e:
        raise ValueError("it is not what numpy.savez() writes: %s" % sentence(e)) from None
    places = itertools.takewhile(named.__contains__, ("arr_%d" % i for i in itertools.count()))
    return [named.pop(name) for name in list(places)], named


def parse_shape(text):
    """"1,3,224,224" or "1,128:int64" → ([1, 3, 224, 224], "float32")."""
    sizes, _, dtype = text.partition(":")
    try:
        shape = [int(s) for s in sizes.split(",")]
    except ValueError:
        shape = []
    known = ("float32", "float16", "float64", "int64", "int32", "uint8", "bool")
    if not shape or min(shape) < 1 or (dtype or "float32") not in known:
        raise Usage("--shape %s: sizes and, where it is not float32, a type, as 1,3,224,224 or "
                    "1,128:int64 (types: %s)" % (text, ", ".join(known)))
    return shape, dtype or "float32"


def tensors(shapes):
    """Random ones; whole numbers stay small, for they often are indices."""
    import torch

    made = []
    for text in shapes:
        shape, name = parse_shape(text)
        dtype = getattr(torch, name)
        made.append(torch.randn(shape).to(dtype) if dtype.is_floating_point
                    else torch.randint(0, 2, shape).to(dtype))
    return made


def _picture(path, seed):
    """A photograph of nothing: soft spots of colour, as large as photographs are."""
    from PIL import Image

    chance = random.Random(seed)
    small = Image.new("RGB", (16, 12))
    small.putdata([tuple(chance.randrange(256) for _ in range(3)) for _ in range(16 * 12)])
    small.resize((640, 480), Image.Resampling.BICUBIC).save(path, quality=90)


def make(handler, folder):
    """Bodies for a handler of TorchServe's own, or nothing where nobody knows what it wants."""
    folder.mkdir(exist_ok=True)
    name = (handler or "").split(":")[0].removesuffix(".py")
    if name in PICTURES:
        for i in range(4):
            _picture(folder / ("made-%d.jpg" % i), i)
    elif name == "text_classifier":
        (folder / "made.txt").write_text(SENTENCE)
    return sorted(folder.iterdir())
