# SPDX-License-Identifier: Apache-2.0
"""Pictures as tensors of others, by DLPack: where their pixels are, and how long."""

import ctypes
import gc
import io
import subprocess
import sys
import threading
import weakref

import numpy
import pytest
import torch
from PIL import Image

from image.draw import picture, side
from sconce import image
from sconce.image.source import Held

MODES = ["L", "LA", "RGB", "RGBA", "CMYK", "I;16"]


def noise(mode="RGB", size=(31, 20)):
    pillow = Image.effect_noise(size, 90)
    if mode == "I;16":
        return pillow.convert("I").point(lambda v: v * 257).convert("I;16")
    return pillow.convert("RGBA").convert(mode)


def file_of(pillow):
    out = io.BytesIO()
    pillow.save(out, "png")
    return out.getvalue()


class Older:
    """As somebody asks who knows the first DLPack only."""

    def __init__(self, of):
        self.of = of

    def __dlpack_device__(self):
        return self.of.__dlpack_device__()

    def __dlpack__(self, stream=None, max_version=None, **options):
        return self.of.__dlpack__(stream=stream, **options)


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


@pytest.mark.parametrize("mode", MODES)
def test_pixels_of_each_mode(cases, mode):
    for rng in cases(10):
        pillow = picture(rng, mode, side(rng), side(rng)) if mode not in ("CMYK", "I;16") \
            else noise(mode, (side(rng), side(rng)))
        expected = numpy.asarray(pillow)
        found = image.Picture.of_pillow(pillow)
        for source in (found, Older(found), found.crop((0, 0, *found.size))):
            for taken in (numpy.from_dlpack(source), torch.from_dlpack(source).numpy()):
                assert taken.dtype == expected.dtype and numpy.array_equal(taken, expected)


def test_files_of_one_bit_and_of_palettes():
    for mode in ("1", "P"):
        pillow = Image.effect_noise((31, 20), 90).convert(mode)
        found = numpy.from_dlpack(image.open(file_of(pillow)))
        expected = numpy.asarray(pillow)
        assert numpy.array_equal(found, expected * 255 if mode == "1" else expected)


def test_nothing_is_copied():
    held = image.open(file_of(noise())).load()
    first, second = numpy.from_dlpack(held), torch.from_dlpack(held)
    assert first.ctypes.data == second.data_ptr() == numpy.from_dlpack(held).ctypes.data
    assert first.strides == (128, 4, 1) and first.shape == second.shape == (20, 31, 3)
    assert first.ctypes.data % 64 == 0


def test_what_is_shared_is_not_to_be_written():
    held = image.open(file_of(noise())).load()
    before, shared = held.tobytes(), numpy.from_dlpack(held)
    assert not shared.flags.writeable
    with pytest.raises(BufferError, match="let it be copied"):
        held.__dlpack__(copy=False)
    for own in (numpy.from_dlpack(held, copy=True), torch.from_dlpack(Older(held)).numpy(),
                numpy.from_dlpack(held.resize((31, 20)))):
        assert own.flags.writeable and own.ctypes.data != shared.ctypes.data
        own[:] = 7
        assert own.sum() == 7 * 31 * 20 * 3 and held.tobytes() == before


@pytest.mark.parametrize("of", [lambda p: p, Older])
@pytest.mark.parametrize("take", [numpy.from_dlpack, torch.from_dlpack])
def test_tensors_outlive_their_picture(of, take):
    pillow = noise(size=(300, 200))
    expected = numpy.asarray(pillow)
    held = image.Picture.of_pillow(pillow).load()
    gone = weakref.ref(held.source)
    tensors = [take(of(held)), take(of(held))[10:20]]
    del held
    gc.collect()
    assert gone() is None
    scribble = [numpy.full(300 * 200 * 4, 255, "u1") for _ in range(8)]
    assert numpy.array_equal(tensors[0], expected)
    del tensors[0]
    assert numpy.array_equal(tensors[0], expected[10:20]) and scribble


def test_a_tensor_may_end_in_another_thread():
    tensors = [torch.from_dlpack(image.Picture.of_pillow(noise())) for _ in range(50)]
    thread = threading.Thread(target=tensors.clear)
    thread.start()
    thread.join()
    assert not tensors


@pytest.mark.parametrize("use", [
    lambda p: torch.from_dlpack(p), lambda p: numpy.from_dlpack(p), lambda p: p.__dlpack__(),
    lambda p: p.__dlpack__(max_version=(1, 0)), lambda p: torch.from_dlpack(Older(p))],
    ids=["torch", "numpy", "left", "left versioned", "older"])
def test_nothing_is_left_behind(use):
    """10,000 pictures of 40 kB, of which half are shared, would be 400 MB."""
    turned = image.Picture(Held.of("RGBA", (100, 100), bytes(40000))).transpose(
        image.FLIP_LEFT_RIGHT)
    for i in range(11000):
        if i == 1000:
            gc.collect()
            before = resident()
        use(turned if i % 2 else turned.load())
    gc.collect()
    assert resident() - before < 8 << 20


def test_who_asks_wrongly():
    found = image.Picture.of_pillow(noise())
    assert found.__dlpack_device__() == (1, 0)
    assert numpy.from_dlpack(found, device="cpu").shape == (20, 31, 3)
    with pytest.raises(BufferError, match="memory of the CPU"):
        found.__dlpack__(dl_device=(2, 0))
    with pytest.raises(ValueError, match="no streams"):
        found.__dlpack__(stream=1)
    with pytest.raises(image.ImageError):
        numpy.from_dlpack(image.open(file_of(noise())[:-100]))


def test_names_tell_the_version():
    name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
        ("PyCapsule_GetName", ctypes.pythonapi))
    found = image.Picture.of_pillow(noise())
    assert name(found.__dlpack__()) == name(found.__dlpack__(max_version=(0, 8))) == b"dltensor"
    assert name(found.__dlpack__(max_version=(1, 0))) == b"dltensor_versioned"
    assert name(found.__dlpack__(max_version=(2, 1))) == b"dltensor_versioned"


def test_python_may_end_before_them():
    code = ("import torch, numpy, sys\nfrom sconce import image\n"
            f"p = image.open({file_of(noise())!r}).load()\n"
            "sys.kept = [torch.from_dlpack(p), numpy.from_dlpack(p), p.__dlpack__(), p]\n"
            "sys.kept.append(sys.kept)\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
