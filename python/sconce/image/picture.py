# SPDX-License-Identifier: Apache-2.0
"""Pictures with the face of Pillow's. What is asked of one is kept until its pixels are, and then
done in one pass."""

import io
import os

from sconce.image import dlpack, library, run, steps
from sconce.image.source import File, Held


def open(file):     # the name that it has in Pillow
    """A picture from a path, a file, or the bytes of one. Its head is read; the rest later."""
    if isinstance(file, (str, os.PathLike)):
        with io.open(file, "rb") as f:
            file = f.read()
    elif hasattr(file, "read"):
        file = file.read()
    return Picture(File(file))


class Picture:
    """Never changed: each call returns another one."""

    def __init__(self, source, todo=()):
        self.source, self.todo = source, tuple(todo)
        self._info = run.foresee(self.todo, source.info)

    @classmethod
    def of_pillow(cls, image):
        """From one of Pillow's, whose pixels are copied."""
        if image.mode in ("1", "P"):    # their bytes mean more than Pillow tells
            image = image.convert("RGB" if image.mode == "P" else "L")
        return cls(Held.of(image.mode, image.size, image.tobytes()))

    mode = property(lambda self: library.MODES[self._info.mode])
    width = property(lambda self: self._info.width)
    height = property(lambda self: self._info.height)
    size = property(lambda self: (self.width, self.height))
    format = property(lambda self: library.FORMATS[self._info.format]
                      if isinstance(self.source, File) and not self.todo else None)

    def _then(self, step):
        return Picture(self.source, (*self.todo, step))

    def convert(self, mode):
        return self if mode == self.mode else self._then(steps.convert(mode))

    def resize(self, size, resample=steps.BICUBIC):
        return self._then(steps.resize(size[0], size[1], resample))

    def crop(self, box):
        return self._then(steps.crop(*box))

    def transpose(self, method):
        return self._then(steps.flip(method))

    def exif_transpose(self):
        """Turned as its file says; Pillow has it in ImageOps."""
        return self._then(steps.orient())

    def load(self):
        """With the pixels in memory: what is asked from here on does not decode again."""
        return Picture(run.picture(self.source, self.todo))

    def tobytes(self):
        """Channels one after the other, row by row."""
        done = self if isinstance(self.source, Held) and not self.todo else self.load()
        return bytes(done.source.bands())

    def tensor(self, *more, scaled=False, out=None):
        """The tensor that these further steps end in, by default one of bytes."""
        return run.tensor(self.source, self.todo + (more or (steps.to_bytes(),)), scaled, out)

    @property
    def __array_interface__(self):
        """For numpy.asarray(): height × width, × channels where there are several."""
        bands = library.BANDS[self._info.mode]
        wide = self.mode == "I;16"
        return {"version": 3, "typestr": "<u2" if wide else "|u1", "data": self.tobytes(),
                "shape": (self.height, self.width) + ((bands,) if bands > 1 else ())}

    def __dlpack_device__(self):
        return dlpack.CPU

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """For numpy.from_dlpack(), torch.from_dlpack() and others: height × width, × channels where
        there are several, on the pixels of the library, which stay as long as the tensor does.

        Pixels that are computed for it are the tensor's own. Those of a picture that has them in
        memory are shared, and not to be written; to who cannot be told so a copy is given."""
        dlpack.check(stream, dl_device)
        versioned = max_version is not None and max_version[0] >= 1
        shared = isinstance(self.source, Held) and not self.todo
        if shared and copy is False and not versioned:
            raise BufferError("who asks for DLPack before version 1.0 cannot be told that a "
                              "picture is not to be written; let it be copied")
        shared = shared and versioned and not copy
        held = self.source if shared else run.picture(self.source, self.todo)
        return dlpack.capsule(held, versioned, read_only=shared)

    def to_pillow(self):
        from PIL import Image
        if self.mode in ("1", "P"):
            return self.convert("RGB" if self.mode == "P" else "L").to_pillow()
        return Image.frombytes(self.mode, self.size, self.tobytes())

    def __repr__(self):
        return "<sconce.image.Picture mode=%s size=%dx%d>" % (self.mode, self.width, self.height)
