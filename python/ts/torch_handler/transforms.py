# SPDX-License-Identifier: Apache-2.0
"""From a Pillow image to the tensor a vision model wants: the same numbers, to the last bit, as the
transforms of these names in torchvision give, without needing it."""

import torch
from PIL import Image

# Of modes with more than 8 bits per channel; what is in such a tensor is not scaled.
_WIDE = {"I": torch.int32, "I;16": torch.int16, "I;16L": torch.int16, "F": torch.float32}


class Compose:
    """One transform after the other."""

    def __init__(self, transforms):
        self.transforms = list(transforms)

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class Resize:
    """To `size`: the shorter edge if it is a number, else (height, width). The default is bilinear,
    which Pillow always antialiases."""

    def __init__(self, size, interpolation=Image.Resampling.BILINEAR):
        self.size = size
        self.interpolation = interpolation

    def target(self, width, height):
        """(width, height) after it."""
        if not isinstance(self.size, int):
            height, width = self.size
            return width, height
        longer = int(self.size * max(width, height) / min(width, height))
        return (self.size, longer) if width <= height else (longer, self.size)

    def __call__(self, image):
        target = self.target(*image.size)
        return image if image.size == target else image.resize(target, self.interpolation)


def _middle(whole, part):
    """Where `part` begins in `whole`; a half goes to the even side, and outside it is padded."""
    if part <= whole:
        return round((whole - part) / 2.0)
    return -((part - whole) // 2)


class CenterCrop:
    """The middle `size` × `size`, or (height, width); zeros around an image that is smaller."""

    def __init__(self, size):
        self.size = (size, size) if isinstance(size, int) else tuple(size)

    def __call__(self, image):
        height, width = self.size
        left, top = _middle(image.width, width), _middle(image.height, height)
        return image.crop((left, top, left + width, top + height))


class ToTensor:
    """Channels × height × width; 8-bit channels become floats from 0 to 1."""

    def __call__(self, image):
        dtype = _WIDE.get(image.mode, torch.uint8)
        if image.mode == "1":
            image = image.convert("L")
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=dtype)
        pixels = pixels.view(image.height, image.width, len(image.getbands()))
        pixels = pixels.permute(2, 0, 1).contiguous()
        return pixels.to(torch.float32).div_(255) if dtype is torch.uint8 else pixels


class Normalize:
    """(x - mean) / std, channel by channel."""

    def __init__(self, mean, std):
        self.mean = torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1)
        self.std = torch.tensor(std, dtype=torch.float32).view(-1, 1, 1)
        if (self.std == 0).any():
            raise ValueError("a standard deviation of 0 cannot be divided by")

    def __call__(self, tensor):
        if not tensor.is_floating_point():
            raise TypeError("Normalize takes floats, not %s" % tensor.dtype)
        # In place, so that a tensor with other channels than `mean` has is an error.
        return tensor.clone().sub_(self.mean).div_(self.std)


def imagenet():
    """What models trained on ImageNet are given."""
    return Compose([Resize(256), CenterCrop(224), ToTensor(),
                    Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
