# SPDX-License-Identifier: Apache-2.0
"""Transforms with the names and arguments of torchvision's, which a Compose does in one pass."""

from sconce.image import run, steps
from sconce.image.picture import Picture
from sconce.image.source import File


def _pair(size):
    """(height, width)"""
    if isinstance(size, int):
        return size, size
    return (size[0], size[0]) if len(size) == 1 else tuple(size)


class Compose:
    """One after the other: to a tensor, from the bytes of a file, a Picture, or one of Pillow's.

    `scaled`: large JPEGs are decoded at a half, a quarter or an eighth of their size before they
    are resized. That is several times faster, and not exactly what Pillow gives.
    `out`: "torch", "numpy" or "memoryview"; None: what fits, see run.py."""

    def __init__(self, transforms, scaled=False, out=None):
        self.transforms, self.scaled, self.out = list(transforms), scaled, out

    def __call__(self, image):
        todo = [step for transform in self.transforms for step in transform.steps()]
        return apply(todo, image, self.scaled, self.out)


def apply(todo, image, scaled=False, out=None):
    """Does steps to whatever an image is."""
    if isinstance(image, Picture):
        return run.tensor(image.source, (*image.todo, *todo), scaled, out)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return run.tensor(File(image), todo, scaled, out)
    return run.tensor(Picture.of_pillow(image).source, todo, scaled, out)


class Resize:
    def __init__(self, size, interpolation="bilinear", max_size=None, antialias=True):
        self.size, self.interpolation, self.max_size = size, interpolation, max_size

    def steps(self):
        if isinstance(self.size, int) or len(self.size) == 1:
            short = self.size if isinstance(self.size, int) else self.size[0]
            return [steps.resize_short(short, self.max_size, self.interpolation)]
        if self.max_size is not None:
            raise steps.Unknown("max_size goes with one size only")
        return [steps.resize(self.size[1], self.size[0], self.interpolation)]


class CenterCrop:
    def __init__(self, size):
        self.size = size

    def steps(self):
        return [steps.center_crop(*_pair(self.size))]


class Pad:
    """One number for all sides, two (left and right, top and bottom), or four."""

    def __init__(self, padding, fill=0, padding_mode="constant"):
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def steps(self):
        if self.padding_mode != "constant":
            raise steps.Unknown("there is no padding %r" % (self.padding_mode,))
        sides = [self.padding] if isinstance(self.padding, int) else list(self.padding)
        sides = sides * (4 // len(sides)) if len(sides) in (1, 2, 4) else [None]
        return [steps.pad(*sides, fill=self.fill)]


class Grayscale:
    def __init__(self, num_output_channels=1):
        self.num_output_channels = num_output_channels

    def steps(self):
        if self.num_output_channels not in (1, 3):
            raise steps.Unknown("num_output_channels is 1 or 3")
        grey = [steps.convert("L")]
        return grey if self.num_output_channels == 1 else grey + [steps.convert("RGB")]


class ToTensor:
    """Channels × height × width, floats from 0 to 1."""

    def steps(self):
        return [steps.to_tensor()]


class PILToTensor:
    """Channels × height × width, bytes."""

    def steps(self):
        return [steps.to_bytes()]


class Normalize:
    def __init__(self, mean, std, inplace=False):
        self.mean, self.std = mean, std

    def steps(self):
        return [steps.normalize(self.mean, self.std)]
