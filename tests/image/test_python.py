# SPDX-License-Identifier: Apache-2.0
"""sconce.image: the library from Python, beside Pillow and torchvision."""

import functools
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy
import pytest
import torch
from PIL import GifImagePlugin, Image, ImageOps
from torchvision import transforms as theirs
from torchvision.transforms import functional

from image.draw import picture, side
from sconce import image
from sconce.image import library, recognise, transforms
from sconce.image.source import File, Held
from ts.torch_handler import transforms as ours
from ts.torch_handler.vision_handler import VisionHandler

N = 60    # cases of each kind
FILTERS = [theirs.InterpolationMode.NEAREST, theirs.InterpolationMode.BILINEAR,
           theirs.InterpolationMode.BICUBIC, theirs.InterpolationMode.LANCZOS,
           theirs.InterpolationMode.BOX, theirs.InterpolationMode.HAMMING]


def file_of(pillow, kind="png", **options):
    out = io.BytesIO()
    pillow.save(out, kind, **options)
    return out.getvalue()


def drawn(rng, mode="RGB"):
    return picture(rng, mode, side(rng), side(rng))


def some_steps(rng):
    """Transforms of torchvision, in an order that somebody might write."""
    def length():
        return rng.randint(1, 60)
    steps = [lambda: theirs.Resize(length(), rng.choice(FILTERS)),
             lambda: theirs.Resize((length(), length()), rng.choice(FILTERS)),
             lambda: theirs.CenterCrop(length()), lambda: theirs.CenterCrop((length(), length())),
             lambda: theirs.Grayscale(rng.choice([1, 3])),
             lambda: theirs.Pad(rng.choice([3, (1, 2), (1, 2, 3, 4)]), fill=rng.randint(0, 255))]
    return [rng.choice(steps)() for _ in range(rng.randint(0, 4))] + [theirs.ToTensor()]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK"])
def test_a_compose_of_somebody(cases, mode):
    done = 0
    for rng in cases(N):
        data = file_of(drawn(rng, mode), "jpeg" if mode == "CMYK" else "png")
        compose = theirs.Compose(some_steps(rng))
        found = recognise.fused(compose, data)
        try:
            expected = compose(Image.open(io.BytesIO(data)))
        except (ValueError, TypeError, OSError):
            assert found is None, compose
            continue
        if found is not None:
            done += 1
            assert torch.equal(found, expected), (mode, compose)
    assert done > N / 3


def test_normalized(cases):
    for rng in cases(N):
        data = file_of(drawn(rng), "jpeg", quality=rng.randint(20, 95))
        for module in (theirs, ours):
            compose = module.Compose([module.Resize(40), module.CenterCrop(32), module.ToTensor(),
                                      module.Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.4])])
            assert torch.equal(recognise.fused(compose, data),
                               compose(Image.open(io.BytesIO(data))))


class Own(theirs.Resize):
    pass


@pytest.mark.parametrize("compose", [
    theirs.Compose([theirs.Resize(8), theirs.Lambda(lambda x: x), theirs.ToTensor()]),
    theirs.Compose([theirs.RandomHorizontalFlip(), theirs.ToTensor()]),
    theirs.Compose([Own(8), theirs.ToTensor()]),
    theirs.Compose([theirs.Resize(8)]),                     # ends in no tensor
    theirs.Compose([theirs.ToTensor(), theirs.Resize(8)]),  # of a tensor, by another rule
    theirs.Compose([theirs.Pad(2, padding_mode="reflect"), theirs.ToTensor()]),
    theirs.Compose([theirs.ToTensor(), theirs.Normalize([0.5] * 2, [0.5] * 2)]),
    lambda picture: picture, None])
def test_what_is_not_known_runs_as_it_is_written(compose):
    data = file_of(Image.new("RGB", (20, 10)))
    assert recognise.fused(compose, data) is None


def test_what_is_changed_later_counts():
    data = file_of(Image.new("RGB", (20, 10), (1, 2, 3)))
    compose = theirs.Compose([theirs.ToTensor()])
    assert recognise.fused(compose, data).shape == (3, 10, 20)
    compose.transforms.insert(0, theirs.CenterCrop(4))
    assert recognise.fused(compose, data).shape == (3, 4, 4)
    compose.transforms.insert(0, theirs.ColorJitter())
    assert recognise.fused(compose, data) is None


@pytest.mark.parametrize("owner, name", [
    (theirs.CenterCrop, "forward"), (theirs.ToTensor, "__call__"), (theirs.Compose, "__call__"),
    (functional, "center_crop"), (functional, "to_tensor"), (ours.CenterCrop, "__call__"),
    (Image, "open"), (Image.Image, "crop")])
def test_functions_that_others_were_put_in_the_place_of(monkeypatch, owner, name):
    data = file_of(Image.new("RGB", (20, 10), (1, 2, 3)))
    composes = [m.Compose([m.CenterCrop(4), m.ToTensor()]) for m in (theirs, ours)]
    assert all(recognise.fused(c, data) is not None for c in composes)
    before = getattr(owner, name)
    monkeypatch.setattr(owner, name, functools.wraps(before)(lambda *args: before(*args)))
    assert any(recognise.fused(c, data) is None for c in composes)


def test_gifs_may_be_wanted_in_colour(monkeypatch):
    data = file_of(Image.effect_noise((20, 10), 90).convert("P"), "gif")
    compose = theirs.Compose([theirs.ToTensor()])
    assert recognise.fused(compose, data).equal(compose(Image.open(io.BytesIO(data))))
    monkeypatch.setattr(GifImagePlugin, "LOADING_STRATEGY",
                        GifImagePlugin.LoadingStrategy.RGB_ALWAYS)
    assert recognise.fused(compose, data) is None


def test_a_transform_that_does_something_of_its_own():
    data = file_of(Image.effect_noise((20, 10), 90))
    crop = theirs.CenterCrop(4)
    compose = theirs.Compose([crop, theirs.ToTensor()])
    for hook in (crop.register_forward_hook(lambda crop, args, picture: picture.rotate(90)),
                 crop.register_forward_pre_hook(lambda crop, args: (args[0].rotate(90),))):
        assert recognise.fused(compose, data) is None
        hook.remove()
    assert recognise.fused(compose, data) is not None
    crop.forward = lambda picture: picture
    assert recognise.fused(compose, data) is None


def test_what_is_padded_with():
    rgb, grey = (file_of(Image.effect_noise((9, 7), 90).convert(m)) for m in ("RGB", "L"))
    for fill in (7, (7,), [7]):
        compose = theirs.Compose([theirs.Pad((1, 2), fill=fill), theirs.ToTensor()])
        for data in (rgb, grey):
            assert recognise.fused(compose, data).equal(compose(Image.open(io.BytesIO(data))))
    compose = theirs.Compose([theirs.Pad(1, fill=(1, 2, 3)), theirs.ToTensor()])
    assert recognise.fused(compose, grey) is None   # which torchvision does not take


def test_defaults_of_torch():
    """Those of a handler's, for its model: pictures stay where the library can write them."""
    data = file_of(Image.effect_noise((20, 10), 90))
    compose, own = (m.Compose([m.CenterCrop(4), m.ToTensor()]) for m in (theirs, ours))
    wanted = compose(Image.open(io.BytesIO(data)))
    with torch.device("meta"):
        assert recognise.fused(compose, data).equal(wanted)
    torch.set_default_dtype(torch.float64)
    try:
        assert recognise.fused(compose, data) is None
        assert recognise.fused(own, data).equal(wanted)
    finally:
        torch.set_default_dtype(torch.float32)
    assert recognise.fused(compose, data).equal(wanted)


@pytest.mark.parametrize("most,taken", [(None, True), (99, False), (100, True), (10 ** 9, True)])
def test_the_limit_of_pillow_holds(monkeypatch, most, taken):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    found = recognise.fused(ours.Compose([ours.ToTensor()]), file_of(Image.new("L", (20, 10))))
    assert (found is not None) == taken


@pytest.mark.parametrize("data", [
    b"", b"no picture", file_of(Image.effect_noise((40, 40), 90))[:-200],
    file_of(Image.new("RGB", (9, 9)), "tiff")])
def test_what_is_no_picture_to_us_is_left_to_pillow(data):
    assert recognise.fused(ours.Compose([ours.ToTensor()]), data) is None
    with pytest.raises(image.ImageError, match="[a-z]"):
        transforms.Compose([transforms.ToTensor()])(data)


# ---- the handlers that archives derive from ----

class Handler(VisionHandler):
    image_processing = theirs.Compose([theirs.Resize(16), theirs.CenterCrop(12),
                                       theirs.ToTensor()])
    device = torch.device("cpu")


class Method(Handler):
    def image_processing(self, pillow):
        return torch.full((1,), float(pillow.width))


@pytest.fixture
def opened(monkeypatch):
    """A list that has something for each picture that the handlers have Pillow open."""
    times = []
    monkeypatch.setattr("ts.torch_handler.vision_handler.Image", SimpleNamespace(
        open=lambda *args: times.append(1) or Image.open(*args)))
    return times


def test_handlers_take_it(monkeypatch, opened):
    data = file_of(Image.effect_noise((50, 40), 90).convert("RGB"), "jpeg")
    expected = Handler.image_processing(Image.open(io.BytesIO(data)))
    found = Handler().preprocess([{"body": bytearray(data)}, {"data": data}])
    assert not opened and torch.equal(found, torch.stack([expected, expected]))
    assert Method().preprocess([{"body": data}]).item() == 50
    assert len(opened) == 1
    monkeypatch.setenv("SCONCE_IMAGE", "off")
    assert torch.equal(Handler().preprocess([{"body": data}])[0], expected)
    assert len(opened) == 2


def test_native_never_in_the_model_turns_it_off(monkeypatch, opened):
    data = file_of(Image.new("RGB", (20, 20)))
    handler = Handler()
    monkeypatch.setattr("ts.torch_handler.base_handler.BaseHandler.initialize",
                        lambda self, context: setattr(self, "model_yaml_config",
                                                      {"native": "never"}))
    handler.initialize(type("Context", (), {"system_properties": {
        "limit_max_image_pixels": True}}))
    handler.preprocess([{"body": data}])
    assert opened


# ---- the face of Pillow ----

def test_pictures(cases):
    for rng in cases(N):
        pillow = drawn(rng, rng.choice(["L", "LA", "RGB", "RGBA"]))
        data = file_of(pillow)
        found = image.open(data)
        assert (found.size, found.mode, found.format) == (pillow.size, pillow.mode, "PNG")
        assert numpy.array_equal(numpy.asarray(found), numpy.asarray(pillow))
        to, box = (rng.randint(1, 50), rng.randint(1, 50)), (-2, 3, 20, 30)
        filters = rng.choice([image.NEAREST, image.BILINEAR, image.BICUBIC, image.LANCZOS])
        done = found.convert("RGB").resize(to, filters).crop(box).transpose(image.FLIP_LEFT_RIGHT)
        expected = pillow.convert("RGB").resize(to, filters).crop(box).transpose(
            Image.Transpose.FLIP_LEFT_RIGHT)
        assert done.size == expected.size
        assert done.tobytes() == expected.tobytes() == done.load().load().tobytes()
        assert numpy.array_equal(numpy.asarray(done.to_pillow()), numpy.asarray(expected))
        assert found.size == pillow.size    # nothing changes


def test_a_transparent_colour_stays_one():
    """Over conversions, with the pixels in memory between them or not."""
    grey = Image.effect_noise((30, 20), 90)
    for mode, transparent in (("L", 128), ("RGB", (128, 128, 128)), ("P", 128)):
        out = io.BytesIO()
        grey.convert(mode).save(out, "png", transparency=transparent)
        pillow, found = Image.open(io.BytesIO(out.getvalue())), image.open(out.getvalue())
        expected = pillow.convert("RGB").convert("L").convert("RGBA").tobytes()
        assert 0 in expected[3::4] and 255 in expected[3::4]
        assert found.convert("RGB").convert("L").convert("RGBA").tobytes() == expected
        held = found.load().convert("RGB").load().convert("L").load()
        assert held.convert("RGBA").tobytes() == expected


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation(turn):
    pillow = Image.effect_noise((23, 11), 90).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = turn
    data = file_of(pillow, "jpeg", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    found = image.open(data).exif_transpose()
    assert found.size == expected.size and found.tobytes() == expected.tobytes()


def test_where_bytes_come_from(tmp_path):
    data = file_of(Image.effect_noise((30, 20), 90))
    (tmp_path / "a.png").write_bytes(data)
    expected = image.open(data).tobytes()
    for source in (bytearray(data), memoryview(data), memoryview(bytearray(data)),
                   io.BytesIO(data), tmp_path / "a.png", str(tmp_path / "a.png")):
        assert image.open(source).tobytes() == expected


def test_pictures_of_pillow():
    for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16"):
        pillow = Image.effect_noise((30, 20), 90).convert("L").convert(
            mode if mode != "LA" else "RGBA").convert(mode)
        plain = pillow.convert({"1": "L", "P": "RGB"}.get(mode, mode))
        assert image.Picture.of_pillow(pillow).tobytes() == plain.tobytes(), mode
    with pytest.raises(image.ImageError, match="mode HSV"):
        image.Picture.of_pillow(Image.new("HSV", (2, 2)))
    with pytest.raises(image.ImageError, match="5 bytes are no picture of 2 × 1 in mode RGB"):
        Held.of("RGB", (2, 1), b"12345")


@pytest.mark.parametrize("size", [(2000, 1000), (-2, -1), (0, 1), (1, 0)])
def test_pixels_are_as_many_as_there_are(size):
    claimed = type("Claimed", (bytes,), {"__len__": lambda _: 3 * size[0] * size[1]})
    with pytest.raises(image.ImageError, match="6 bytes are no picture of"):
        Held.of("RGB", size, claimed(b"123456"))


# ---- what comes out ----

def test_kinds_of_tensors():
    data = file_of(Image.effect_noise((30, 20), 90).convert("RGB"))
    steps = [transforms.Resize(9), transforms.ToTensor()]
    as_torch = transforms.Compose(steps)(data)
    as_numpy = transforms.Compose(steps, out="numpy")(data)
    view = transforms.Compose(steps, out="memoryview")(data)
    assert isinstance(as_torch, torch.Tensor) and as_torch.shape == (3, 9, 13)
    assert as_numpy.flags.writeable and numpy.array_equal(as_torch, as_numpy)
    assert view.shape == (3, 9, 13) and view[2, 8, 12] == as_numpy[2, 8, 12]
    assert image.open(data).tensor(out="numpy").dtype == numpy.uint8


def test_nothing_heavy_is_needed():
    """Without torch there is numpy, without that a memoryview; and neither is imported for it."""
    data = file_of(Image.new("L", (3, 2), 51))
    code = ("import sys; sys.modules['numpy'] = None\n"
            "from sconce.image import transforms\n"
            f"t = transforms.Compose([transforms.ToTensor()])({data!r})\n"
            "assert 'torch' not in sys.modules and 'PIL' not in sys.modules\n"
            "print(type(t).__name__, t.shape, round(t[0, 1, 2], 3))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "memoryview (1, 2, 3) 0.2\n", done.stderr


def test_threads():
    files = [file_of(Image.effect_noise((200 + i, 150), 90).convert("RGB"), "jpeg")
             for i in range(8)]
    compose = ours.imagenet()
    expected = [compose(Image.open(io.BytesIO(f))) for f in files]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: recognise.fused(compose, files[i % 8]), range(64)))
    assert all(torch.equal(found[i], expected[i % 8]) for i in range(64))


def test_limits():
    data = file_of(Image.new("L", (300, 300)))
    with pytest.raises(image.ImageError, match="pixels"):
        File(data, pixels=1000)


# ---- the library itself ----

def test_a_library_that_is_not_there_or_of_another_version(monkeypatch, tmp_path):
    monkeypatch.setenv("SCONCE_IMAGE_LIBRARY", str(tmp_path / "none.so"))
    library.load.cache_clear()
    try:
        assert not image.is_available()
        with pytest.raises(image.Unavailable, match="is not installed; looked for"):
            image.open(b"x")
        assert recognise.fused(ours.Compose([ours.ToTensor()]), b"x") is None
        (tmp_path / "none.so").write_bytes(b"no library")
        with pytest.raises(image.Unavailable, match="cannot be loaded"):
            image.open(b"x")
        monkeypatch.undo()
        monkeypatch.setattr(library, "VERSION", 999)
        with pytest.raises(image.Unavailable, match="another version"):
            image.open(b"x")
    finally:
        monkeypatch.undo()
        library.load.cache_clear()
    assert image.is_available()
