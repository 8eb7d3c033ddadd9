# SPDX-License-Identifier: Apache-2.0
"""What the process answers that reads pictures for the native worker
(python/sconce/image/pillow.py); worker/test_pillow.c has the other side,
e2e/test_other_pictures.py both."""

import io
import socket
import subprocess
import sys

import numpy
import pytest
from PIL import Image, features
from sconce.image import pillow

PIXELS = 178956970
NOT_WANTED = len(pillow.MODES)


class Reader:
    def __init__(self, python=sys.executable, **options):
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen([python, "-m", "sconce.image.pillow"], stdin=theirs,
                                            **options)
        self.hello = self.reply()

    def reply(self):
        head = pillow.REPLY.unpack(pillow.read(self.socket, pillow.REPLY.size))
        return (*head, bytes(pillow.read(self.socket, head[-1])))

    def ask(self, data, wanted=NOT_WANTED, most=PIXELS):
        self.socket.sendall(pillow.REQUEST.pack(60, wanted, most, len(data)) + data)
        return self.reply()

    def close(self):
        self.socket.close()
        assert self.process.wait(20) == 0


@pytest.fixture(scope="module")
def reader():
    reader = Reader()
    assert reader.hello[0] == pillow.READY
    yield reader
    reader.close()


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def drawn(mode, size=(23, 17)):
    """Some picture of that mode."""
    values = numpy.random.default_rng(len(mode) + size[0]).integers(0, 256, (size[1], size[0], 4),
                                                                    "u1")
    image = Image.fromarray(values, "RGBA")
    if mode in ("I;16", "I", "F"):
        return Image.fromarray(values[:, :, 0].astype({"I;16": "u2", "I": "i4", "F": "f4"}[mode])
                               * 199)
    return image.convert("RGB").convert(mode) if mode in ("P", "1", "CMYK", "LAB", "YCbCr") \
        else image.convert(mode)


FILES = [*((mode, "TIFF", {"compression": how}) for how in
           (None, "packbits", "tiff_lzw", "tiff_adobe_deflate")
           for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16")),
         ("1", "TIFF", {"compression": "group4"}), ("RGB", "TIFF", {"compression": "jpeg"}),
         *((mode, "PPM", {}) for mode in ("1", "L", "RGB")),
         *((mode, "TGA", {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
         *((mode, "PCX", {}) for mode in ("1", "L", "P", "RGB")),
         *((mode, "SGI", {}) for mode in ("L", "RGB", "RGBA")),
         *((mode, "DDS", {}) for mode in ("L", "LA", "RGB", "RGBA")),
         ("RGBA", "ICO", {}), ("RGBA", "ICNS", {}), ("P", "GIF", {"transparency": 3}),
         ("RGB", "JPEG2000", {}), ("RGB", "AVIF", {}), ("RGB", "IM", {}), ("1", "XBM", {})]


LIBRARIES = {"JPEG2000": "jpg_2000", "AVIF": "avif"}    # which Pillow may be built without
CASES = [pytest.param(*case, id="-".join([*case[:2], *map(str, case[2].values())]))
         for case in FILES if case[1] not in LIBRARIES or features.check(LIBRARIES[case[1]])]


@pytest.mark.parametrize("mode,form,options", CASES)
def test_pixels_are_those_of_pillow(reader, mode, form, options):
    size = (32, 32) if form in ("ICO", "ICNS") else (23, 17)
    data = saved(drawn(mode, size), form, **options)
    theirs = Image.open(io.BytesIO(data))
    theirs.load()
    status, number, width, height, turned, flags, _, _, _, got = reader.ask(data)
    assert (status, pillow.MODES[number], (width, height), turned) == (0, theirs.mode,
                                                                       theirs.size, 1)
    if flags & pillow.PALETTE:
        palette, got = numpy.frombuffer(got[:1024], "u1").reshape(256, 4), got[1024:]
        index = numpy.frombuffer(got, "u1").reshape(height, width)
        assert (palette[index] == numpy.asarray(theirs.convert("RGBA"))).all()
        assert bool(flags & pillow.ALPHA) == (palette[:, 3] != 255).any()
    assert got == (theirs.convert("L") if theirs.mode == "1" else theirs).tobytes()


@pytest.mark.parametrize("mode", ["I", "F", "LAB", "YCbCr"])
def test_modes_that_others_do_not_convert_are_converted_where_that_is_wanted(reader, mode):
    data = saved(drawn(mode), "TIFF")
    theirs = Image.open(io.BytesIO(data))
    answer = reader.ask(data, pillow.MODES.index("RGB"))
    assert answer[:2] == (0, 5) and answer[-1] == theirs.convert("RGB").tobytes()
    answer = reader.ask(data)
    if mode in ("YCbCr", "LAB", "F"):
        assert answer[:2] == (0, {"YCbCr": 5, "LAB": 8, "F": 9}[mode])
        assert answer[-1] == theirs.tobytes()
    elif theirs.mode != "RGB":
        assert answer[0] == pillow.BAD and f"mode {theirs.mode} are not known" in str(answer[-1])


def test_a_colour_that_is_transparent(reader):
    for mode, value, key in (("RGB", (1, 2, 3), 0x030201), ("L", 7, 0x070707)):
        answer = reader.ask(saved(drawn(mode), "PNG", transparency=value))
        assert answer[5:7] == (pillow.KEYED, key)


def test_orientation(reader):
    exif = Image.Exif()
    exif[pillow.ORIENTATION] = 6
    assert reader.ask(saved(drawn("RGB"), "JPEG", exif=exif))[4] == 6
    exif[pillow.ORIENTATION] = 99
    assert reader.ask(saved(drawn("RGB"), "JPEG", exif=exif))[4] == 1


def test_what_is_wrong_is_said_in_words(reader):
    for data, words in ((b"no picture", b"no picture that Pillow knows"), (b"", b"no picture"),
                        (saved(drawn("RGB"), "TIFF")[:600], b"")):
        status, *_, said = reader.ask(data)
        assert status == pillow.BAD and words in said and said


def test_pixels_are_limited(reader):
    data = saved(Image.new("1", (3000, 1000)), "TIFF", compression="group4")
    assert reader.ask(data, most=3000000)[0] == pillow.READY
    status, *_, said = reader.ask(data, most=2999998)
    assert status == pillow.BAD and b"exceeds limit" in said


def test_without_pillow(tmp_path):
    (tmp_path / "PIL.py").write_text("raise ImportError(\"No module named 'PIL'\")\n")
    packages = ":".join([str(tmp_path), *(p for p in sys.path if p)])
    reader = Reader(env={"PYTHONPATH": packages, "TMPDIR": str(tmp_path)})
    assert reader.hello[0] == pillow.LACKS
    assert b"No module named 'PIL': install Pillow for" in reader.hello[-1]
    reader.close()


def test_it_ends_in_silence_with_a_worker_that_goes_while_it_is_greeted(monkeypatch):
    class Gone:
        def settimeout(self, _):
            pass

        def sendall(self, _):
            raise BrokenPipeError

    monkeypatch.setattr(pillow.socket, "socket", lambda fileno: Gone())
    monkeypatch.setattr(pillow, "leave_with_the_worker", lambda sock: None)
    pillow.main()


def test_it_ends_with_the_worker_in_the_middle_of_a_picture():
    reader = Reader()
    reader.socket.sendall(pillow.REQUEST.pack(60, NOT_WANTED, PIXELS, 1 << 20) + b"half")
    reader.close()


def test_it_ends_where_a_decoder_never_does():
    """By itself, were the worker gone without it having noticed."""
    reader = Reader(stderr=subprocess.DEVNULL)
    reader.socket.sendall(pillow.REQUEST.pack(1, NOT_WANTED, PIXELS, 1 << 20) + b"half")
    assert reader.process.wait(60) == 1
    reader.socket.close()
