# SPDX-License-Identifier: Apache-2.0
"""The programs that these tests talk to: image_dump.c decodes, jpeg_make.c makes JPEGs."""

import subprocess
from typing import NamedTuple

import numpy

BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2}     # of a pixel; all others have 4


class Refused(Exception):
    """What a decoder said instead of a picture."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


class Picture(NamedTuple):
    format: str
    mode: str
    size: tuple
    orientation: int
    alpha: bool         # the palette has one
    colours: int
    pixels: numpy.ndarray       # height, width, bytes of a pixel
    palette: numpy.ndarray      # 256, 4


class Program:
    """A process that answers what it is asked, one thing after the other."""

    def __init__(self, path, environment, **options):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(10) == 0

    def ask(self, *request):
        for part in request:
            self.process.stdin.write(part)
        self.process.stdin.flush()
        answer = self.process.stdout.readline().decode()
        assert answer.endswith("\n"), f"it died: {self.process.wait(10)}"
        return answer[:-1]

    def read(self, n):
        return self.process.stdout.read(n)


class Decoder(Program):
    def decode(self, data, mode="-", rows=0, scale=(0, 0), pixels=0, memory=0):
        """A Picture, or raises Refused. `rows`: so many at a time; 0: all at once."""
        head = f"decode {mode} {rows} {scale[0]} {scale[1]} {pixels} {memory} {len(data)}\n"
        kind, rest = self.ask(head.encode(), data).split(" ", 1)
        if kind == "error":
            code, text = rest.split(" ", 1)
            raise Refused(int(code), text)
        form, mode, *numbers = rest.split(" ")
        width, height, orientation, alpha, colours = map(int, numbers)
        deep = BYTES.get(mode, 4)
        raw, palette = self.read(width * height * deep), self.read(1024)
        return Picture(form, mode, (width, height), orientation, bool(alpha), colours,
                       numpy.frombuffer(raw, "u1").reshape(height, width, deep),
                       numpy.frombuffer(palette, "u1").reshape(256, 4))


class JpegMaker(Program):
    SPACES = {"L": 1, "RGB": 2, "YCbCr": 3, "CMYK": 4, "YCCK": 5}
    KINDS = {"baseline": 0, "progressive": 1, "apart": 2}

    def make(self, samples, space, factors, quality=75, restart=0, kind="baseline",
             arithmetic=False, jfif=False, adobe=False):
        """Bytes of a file; None where libjpeg refuses. `samples`: height, width, components."""
        height, width, components = samples.shape
        head = (f"make {width} {height} {components} {self.SPACES[space]} {quality} {restart} "
                f"{self.KINDS[kind]} {arithmetic:d} {factors} {jfif + 2 * adobe}\n")
        n = int(self.ask(head.encode(), samples.tobytes()))
        return self.read(n) if n else None

    def lower(self, data, by):
        """The file without what is not read of it where it is decoded at 1/by of its size."""
        n = int(self.ask(f"lower {by} {len(data)}\n".encode(), data))
        return self.read(n) if n else None
