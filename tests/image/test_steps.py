# SPDX-License-Identifier: Apache-2.0
"""Steps on pixels beside Pillow and torchvision: the same bits."""

import io

import pytest
from PIL import Image, ImageOps
from torchvision import transforms

from image.draw import picture, side
from image.pillow import difference, load, pixels
from image.steps import FILTERS, MODES, step


N = 60    # cases of each kind


def check(got, expected, what):
    mode, ours = got
    assert mode == expected.mode, what
    assert difference(ours, pixels(expected)) is None, what


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("mode", MODES)
def test_resize_equals_pillow(chain, cases, mode, filter):
    for rng in cases(N):
        image = picture(rng, mode, side(rng), side(rng))
        to = (side(rng), side(rng))
        if rng.random() < 0.2:
            to = (image.width, to[1]) if rng.random() < 0.5 else (to[0], image.height)
        check(chain.run(image, [step("resize", *to, filter=filter)]),
              image.resize(to, Image.Resampling[filter]), (image.size, to))


@pytest.mark.parametrize("mode", MODES)
def test_a_crop_after_resize_is_that_of_the_whole(chain, cases, mode):
    for rng in cases(N):
        image = picture(rng, mode, side(rng), side(rng))
        to, filter = (side(rng), side(rng)), rng.choice(FILTERS)
        x, y = rng.randint(-20, to[0] + 5), rng.randint(-20, to[1] + 5)
        box = (x, y, rng.randint(1, 120), rng.randint(1, 120))
        check(chain.run(image, [step("resize", *to, filter=filter), step("crop", *box)]),
              image.resize(to, Image.Resampling[filter]).crop((x, y, x + box[2], y + box[3])),
              (image.size, to, filter, box))


@pytest.mark.parametrize("mode", MODES)
def test_places_equal_pillow(chain, cases, mode):
    for rng in cases(N):
        image = picture(rng, mode, rng.randint(1, 50), rng.randint(1, 50))
        x, y = rng.randint(-60, 60), rng.randint(-60, 60)
        wide, high = rng.randint(1, 99), rng.randint(1, 99)
        check(chain.run(image, [step("crop", x, y, wide, high)]),
              image.crop((x, y, x + wide, y + high)), (image.size, x, y, wide, high))
        check(chain.run(image, [step("flip_x")]), ImageOps.mirror(image), image.size)
        check(chain.run(image, [step("flip_y")]), ImageOps.flip(image), image.size)
        if mode == "P":
            continue
        border = tuple(rng.randint(0, 20) for _ in range(4))
        fill = tuple(rng.randint(0, 255) for _ in image.getbands())
        check(chain.run(image, [step("pad", *border, fill=fill)]),
              ImageOps.expand(image, border, fill[0] if len(fill) == 1 else fill),
              (image.size, border, fill))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone_as_pillow_does(chain, cases, orientation):
    for rng in cases(N):
        image = picture(rng, rng.choice(MODES), rng.randint(1, 60), rng.randint(1, 60))
        image.getexif()[0x0112] = orientation
        x, y = rng.randint(-5, 40), rng.randint(-5, 40)
        expected = ImageOps.exif_transpose(image)
        check(chain.run(image, [step("orient")], orientation=orientation), expected,
              image.size)
        check(chain.run(image, [step("orient"), step("crop", x, y, 30, 20), step("orient")],
                        orientation=orientation),
              expected.crop((x, y, x + 30, y + 20)), (image.size, x, y))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_before_resize(chain, cases, orientation):
    for rng in cases(N):
        image = picture(rng, rng.choice(MODES), side(rng), side(rng))
        image.getexif()[0x0112] = orientation
        to, filter = (side(rng), side(rng)), rng.choice(FILTERS)
        box = (rng.randint(0, 30), rng.randint(0, 30), rng.randint(1, 60), rng.randint(1, 60))
        expected = ImageOps.exif_transpose(image).resize(to, Image.Resampling[filter])
        check(chain.run(image, [step("orient"), step("resize", *to, filter=filter),
                                step("crop", *box)], orientation=orientation),
              expected.crop((*box[:2], box[0] + box[2], box[1] + box[3])),
              (image.mode, image.size, to, filter, box))


def draw_step(rng, image):
    """A step on pixels, and the picture after it."""
    op = rng.choice(["resize", "resize_short", "crop", "center_crop", "pad", "flip_x", "flip_y",
                     "convert"])
    if op == "resize":
        to, filter = (side(rng), side(rng)), rng.choice(FILTERS)
        return step(op, *to, filter=filter), image.resize(to, Image.Resampling[filter])
    if op == "resize_short":
        to = rng.randint(1, 70)
        most = max(image.size) * to // min(image.size)
        if most > 1000:
            return draw_step(rng, image)
        return step(op, to), transforms.Resize(to)(image)
    if op == "crop":
        x, y = rng.randint(-9, image.width), rng.randint(-9, image.height)
        wide, high = rng.randint(1, 120), rng.randint(1, 120)
        return step(op, x, y, wide, high), image.crop((x, y, x + wide, y + high))
    if op == "center_crop":
        wide, high = rng.randint(1, 120), rng.randint(1, 120)
        return step(op, wide, high), transforms.CenterCrop((high, wide))(image)
    if op == "pad":
        border = [rng.randint(0, 9) for _ in range(4)]
        fill = tuple(rng.randint(0, 255) for _ in image.getbands())
        return (step(op, *border, fill=fill),
                ImageOps.expand(image, tuple(border), fill[0] if len(fill) == 1 else fill))
    if op == "convert":
        mode = rng.choice(["L", "RGB", "RGBA", "LA"])
        return step(op, mode), image.convert(mode)
    return step(op), (ImageOps.mirror if op == "flip_x" else ImageOps.flip)(image)


def test_steps_in_any_order_equal_pillow(chain, cases):
    for rng in cases(20 * N):
        image = picture(rng, rng.choice(["1", "L", "LA", "RGB", "RGBA"]), side(rng), side(rng))
        steps, after = [], image
        for _ in range(rng.randint(1, 5)):
            another, after = draw_step(rng, after)
            steps.append(another)
        check(chain.run(image, steps), after, (image.mode, image.size, steps))


def test_floats_are_converted_as_pillow_does(chain, cases):
    for rng in cases(N):
        image, to = picture(rng, "F", side(rng), side(rng)), (side(rng), side(rng))
        for mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
            check(chain.run(image, [step("resize", *to), step("convert", mode)]),
                  image.resize(to, Image.Resampling.BILINEAR).convert(mode), (image.size, to, mode))


KEYS = {"P": [None, 3, bytes([255, 0, 255, 255]), bytes(range(0, 256, 32))], "1": [None, 0, 255],
        "L": [None, 3, 0], "RGB": [None, (1, 0, 1), (0, 0, 0)], "I;16": [None, 3, 0]}


def keyed(rng, mode):
    """A PNG of few colours, of which one may be transparent, or, of a palette, several a little."""
    n = 12 * 9 * {"RGB": 3, "I;16": 2}.get(mode, 1)
    values = bytes(rng.randrange(2 if mode in ("RGB", "I;16") else 8) for _ in range(n))
    image = Image.frombytes("L" if mode == "1" else mode, (12, 9), values)
    if mode == "P":
        image.putpalette(rng.randbytes(24))
    key = rng.choice(KEYS[mode])
    out = io.BytesIO()
    (image.convert("1") if mode == "1" else image).save(
        out, "PNG", **({} if key is None else {"transparency": key}))
    return out.getvalue()


def draw_keeping_step(rng, image):
    """A step after which the transparent colour is known still."""
    op = rng.choice(["pad", "center_crop", "crop", "flip_x", "convert", "resize"])
    x, y, wide, high = (rng.randint(*r) for r in ((-2, 4), (-2, 4), (3, 14), (3, 14)))
    if op == "pad":
        border = [rng.choice([0, 0, 1, 3]) for _ in range(4)]
        fill = rng.randint(0, 8)
        return (step(op, *border, fill=[fill] * len(image.getbands())),
                transforms.Pad(border, fill=fill)(image))
    if op == "center_crop":
        return step(op, wide, high), transforms.CenterCrop((high, wide))(image)
    if op == "crop":
        return step(op, x, y, wide, high), image.crop((x, y, x + wide, y + high))
    if op == "convert":
        mode = rng.choice(["L", "RGB"])
        return step(op, mode), image.convert(mode)
    if op == "resize":
        return step(op, wide, high, filter="NEAREST"), image.resize((wide, high), 0)
    return step(op), ImageOps.mirror(image)


@pytest.mark.parametrize("mode", KEYS)
def test_transparent_colours_are_kept(chain, cases, mode):
    for rng in cases(3 * N):
        data = keyed(rng, mode)
        steps, after = [], load(data)
        for _ in range(rng.randint(1, 4)):
            another, after = draw_keeping_step(rng, after)
            steps.append(another)
        for to in ("RGBA", "RGB", "L"):
            check(chain.run(data, [*steps, step("convert", to)]), after.convert(to),
                  (mode, steps, to))
