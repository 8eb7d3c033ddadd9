# SPDX-License-Identifier: Apache-2.0
"""Chains to tensors beside torchvision and our own transforms, and what cannot be a chain."""

import io

import numpy
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from image.draw import picture, side
from image.programs import Refused
from image.steps import step
from ts.torch_handler import transforms as ours

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
N = 60    # cases of each kind


def test_sizes_of_torchvision(chain, cases):
    for rng in cases(20 * N):
        image = Image.new("L", (rng.randint(1, 300), rng.randint(1, 300)))
        to = rng.randint(1, 300)
        if to * max(image.size) // min(image.size) > 20000:
            continue
        most = rng.choice([0, to + rng.randint(1, 50)])
        try:
            expected = transforms.Resize(to, max_size=most or None)(image)
        except ValueError:    # no width left
            with pytest.raises(Refused, match="would have no width"):
                chain.run(image, [step("resize_short", to, most)])
            continue
        mode, pixels = chain.run(image, [step("resize_short", to, most)])
        assert pixels.shape[:2] == expected.size[::-1], (image.size, to, most)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "LAB", "F"])
def test_tensors_equal_torchvision(chain, cases, mode):
    for rng in cases(N):
        image = picture(rng, mode, side(rng), side(rng))
        bands = len(image.getbands())
        mean = [rng.uniform(-1, 2) for _ in range(bands)]
        std = [rng.choice([-1, 1]) * rng.uniform(0.01, 3) for _ in range(bands)]
        plain = transforms.ToTensor()(image)
        expected = transforms.Normalize(mean, std)(plain)
        to_tensor, normalize = step("to_tensor"), step("normalize", mean, std)
        assert numpy.array_equal(chain.run(image, [to_tensor]), plain)
        assert numpy.array_equal(chain.run(image, [to_tensor, normalize]), expected)
        if mode == "F":
            with pytest.raises(Refused, match="can be normalized only once"):
                chain.run(image, [to_tensor, normalize, normalize])
            with pytest.raises(Refused, match="has no bytes"):
                chain.run(image, [step("to_bytes")])
        else:
            assert numpy.array_equal(chain.run(image, [to_tensor, normalize, normalize]),
                                     transforms.Normalize(mean, std)(expected))
        assert numpy.array_equal(chain.run(image, [to_tensor, normalize, step("to_half")]),
                                 expected.half())
        assert numpy.array_equal(chain.run(image, [to_tensor, normalize, step("to_hwc")]),
                                 expected.permute(1, 2, 0))
        if mode not in ("1", "F"):
            assert numpy.array_equal(chain.run(image, [step("to_bytes")]),
                                     transforms.PILToTensor()(image))


def test_every_value_of_a_channel(chain, cases):
    ramp = Image.fromarray(numpy.arange(768, dtype=numpy.uint8).reshape(1, 256, 3))
    for rng in cases(20 * N):
        mean = [rng.uniform(-1, 2) for _ in range(3)]
        std = [rng.uniform(0.001, 3) for _ in range(3)]
        got = chain.run(ramp, [step("to_tensor"), step("normalize", mean, std)])
        assert numpy.array_equal(got, transforms.Normalize(mean, std)(transforms.ToTensor()(ramp)))


def classification(size, crop, filter):
    return [step("resize_short", size, filter=filter), step("center_crop", crop, crop),
            step("to_tensor"), step("normalize", MEAN, STD)]


@pytest.mark.parametrize("filter", ["BILINEAR", "BICUBIC", "LANCZOS", "NEAREST"])
def test_classification_equals_torchvision_and_ours(chain, cases, filter):
    interpolation = {"NEAREST": InterpolationMode.NEAREST}.get(
        filter, InterpolationMode(filter.lower()))
    for rng in cases(2 * N):
        to, crop = rng.randint(16, 128), rng.randint(8, 140)
        theirs = transforms.Compose([
            transforms.Resize(to, interpolation=interpolation), transforms.CenterCrop(crop),
            transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
        own = ours.Compose([ours.Resize(to, Image.Resampling[filter]), ours.CenterCrop(crop),
                            ours.ToTensor(), ours.Normalize(MEAN, STD)])
        image = picture(rng, "RGB", rng.randint(5, 300), rng.randint(5, 300))
        got = chain.run(image, classification(to, crop, filter))
        assert numpy.array_equal(got, theirs(image))
        assert torch.equal(torch.from_numpy(got.copy()), own(image))


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_files_equal_torchvision(chain, cases, form):
    for rng in cases(N):
        image = picture(rng, "RGB", rng.randint(30, 700), rng.randint(30, 700))
        file = io.BytesIO()
        image.save(file, form)
        expected = ours.imagenet()(Image.open(file))
        got = chain.run(file.getvalue(), classification(256, 224, "BILINEAR"))
        assert numpy.array_equal(got, expected), image.size


def saved(image, form):
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def test_scaled_jpegs_are_those_of_draft(chain, jpeg_maker, cases):
    """Of at least twice the size, without what such a size can do without; and where there is none,
    or in other formats, all is exact."""
    for rng in cases(N // 3):
        image = picture(rng, "RGB", rng.randint(30, 900), rng.randint(30, 700))
        to = rng.randint(10, 100), rng.randint(10, 100)
        by = max(n for n in (1, 2, 4, 8) if n == 1 or (image.width // n >= 2 * to[0] and
                                                       image.height // n >= 2 * to[1]))
        file = saved(image, "JPEG")
        draft = Image.open(io.BytesIO(jpeg_maker.lower(file, by)))
        if by > 1:
            draft.draft("RGB", (image.width // by, image.height // by))
        expected = draft.resize(to, Image.Resampling.BILINEAR,
                                (0, 0, image.width / by, image.height / by))
        steps = [step("resize", *to), step("to_bytes")]
        got = chain.run(file, steps, scaled=True)
        assert numpy.array_equal(got, transforms.PILToTensor()(expected)), (image.size, to)
        file = saved(image, "PNG")
        assert numpy.array_equal(chain.run(file, steps, scaled=True), chain.run(file, steps))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_scaled_jpegs_may_be_turned(chain, cases, orientation):
    steps = [step("orient"), *classification(48, 40, "BILINEAR")]
    for rng in cases(N // 10):
        smooth = picture(rng, "RGB", 12, 12).resize(
            (rng.randint(200, 900), rng.randint(200, 700)), Image.Resampling.BICUBIC)
        file = saved(smooth, "JPEG")
        exact, scaled = (chain.run(file, steps, scaled=scaled, orientation=orientation)
                         for scaled in (False, True))
        assert numpy.abs(exact - scaled).mean() < 0.05, smooth.size


# ---- what is refused ----

@pytest.mark.parametrize("steps, sentence", [
    ([step("to_hwc")],
     r"step 1 \(channels last\): it works on a tensor, and there is an image yet"),
    ([step("to_tensor"), step("flip_x")],
     r"step 2 \(flip left and right\): it works on an image, and there is a tensor already"),
    ([step("to_bytes"), step("normalize", [0], [1])], r"floats whose channels come first"),
    ([step("to_tensor"), step("to_half"), step("normalize", [0], [1])], r"works on floats"),
    ([step("to_tensor"), step("normalize", [0], [0])], r"deviations are numbers other than 0"),
    ([step("to_tensor"), step("normalize", [0, 0], [1, 1])],
     r"2 means and deviations do not fit a picture of 3 channels \(mode RGB\): convert it first"),
    ([step("resize", 0, 5)], r"sizes are from 1 to 16777216"),
    ([step("resize_short", 9, 9)], r"limit must be larger than the shorter side"),
    ([step("pad", -1, 0, 0, 0)], r"a side gets from 0"),
    ([step("flip_x")] * 33, r"at most 32 steps, this one has 33"),
    ([step("resize", 1 << 24, 1 << 24)], r"too many to be resized|too large"),
])
def test_what_cannot_be_is_said(chain, steps, sentence):
    with pytest.raises(Refused, match=sentence):
        chain.run(Image.new("RGB", (20, 10)), steps)


def test_sixteen_bits_are_no_tensor(chain):
    with pytest.raises(Refused, match="convert it to L first"):
        chain.run(Image.new("I;16", (20, 10)), [step("to_tensor")])
