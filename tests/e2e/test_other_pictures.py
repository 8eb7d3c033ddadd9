# SPDX-License-Identifier: Apache-2.0
"""Pictures that only Pillow reads, in pipelines: the same pixels as Pillow gives, without a server
and with one; and what is said where there is no Pillow."""

import io
import json
import subprocess
import sys

import numpy
import pytest
from PIL import Image, ImageOps

from e2e.server import BIN, eventually
from e2e.test_pipeline import make

PIXELS = """
minWorkers: 1
maxWorkers: 1
pipeline:
  - decode_image
  - to_tensor: bytes
  - batch
  - infer
  - encode_json
"""
COLOURS = PIXELS.replace("- to_tensor", "- convert: RGB\n  - to_tensor")
SMALL = PIXELS.replace("- to_tensor", "- resize: 7\n  - to_tensor")
TURNED = PIXELS.replace("- to_tensor", "- orient\n  - convert: RGB\n  - to_tensor")


def drawn(mode):
    values = numpy.random.default_rng(len(mode)).integers(0, 256, (17, 23, 4), "u1")
    return Image.fromarray(values, "RGBA").convert("RGB").convert(mode)


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def grey(numbers):
    return Image.fromarray(numpy.arange(391).reshape(17, 23).astype(numbers) * 100)


FILES = [saved(drawn(mode), form, **options) for mode, form, options in (
    ("L", "TIFF", {}), ("RGB", "TIFF", {"compression": "tiff_lzw"}), ("RGBA", "TIFF", {}),
    ("LAB", "TIFF", {}), ("CMYK", "TIFF", {"compression": "packbits"}), ("P", "TIFF", {}),
    ("LA", "TGA", {}),
    ("RGB", "PPM", {}), ("P", "PCX", {}), ("RGB", "SGI", {}), ("RGBA", "DDS", {}),
    ("RGB", "JPEG2000", {}))]
OTHERS = [saved(image, "TIFF") for image in (drawn("1"), drawn("LAB"), drawn("YCbCr"), grey("i4"),
                                             grey("f4"), grey("u2"))]


def opened(data):
    return Image.open(io.BytesIO(data))


def rows(image):
    """What the steps give of it, in JSON."""
    values = numpy.asarray(image)
    values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return values.tolist()


def run(folder, files, python=sys.executable, **options):
    paths = []
    for i, data in enumerate(files):
        paths.append(folder.parent / f"{folder.name}-{i}")
        paths[-1].write_bytes(data)
    return subprocess.run([BIN / "sconce", "pipeline", "run", "--python", python, folder, *paths],
                          capture_output=True, text=True, check=False, timeout=120, **options)


def answers(folder, files):
    ran = run(folder, files)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_pixels(tmp_path):
    assert answers(make(tmp_path / "m", PIXELS), FILES) == [rows(opened(data)) for data in FILES]


def test_colours(tmp_path):
    files = FILES + OTHERS
    assert answers(make(tmp_path / "m", COLOURS), files) == [
        rows(opened(data).convert("RGB")) for data in files]


def test_floats(tmp_path):
    """Of mode F: any numbers, which no step cuts to bytes unless it is asked to."""
    steps = PIXELS.replace("- to_tensor: bytes", "- resize: 7\n  - to_tensor")
    got, = answers(make(tmp_path / "m", steps), [saved(grey("f4"), "TIFF")])
    small = numpy.asarray(grey("f4").resize((9, 7), Image.Resampling.BILINEAR))
    assert numpy.array_equal(numpy.array(got, "f4"), small[None])
    grey_steps = PIXELS.replace("- to_tensor", "- resize: 7\n  - convert: L\n  - to_tensor")
    got, = answers(make(tmp_path / "l", grey_steps), [saved(grey("f4"), "TIFF")])
    assert got == rows(Image.fromarray(small).convert("L"))


def test_what_is_not_converted_later(tmp_path):
    lab, floats = saved(drawn("LAB"), "TIFF"), saved(grey("f4"), "TIFF")
    ran = run(make(tmp_path / "m", SMALL.replace("- to_tensor", "- convert: RGB\n  - to_tensor")),
              [lab])
    assert ("a picture of mode LAB cannot be converted to RGB here: convert it "
            "before other steps\n") in ran.stderr
    ran = run(make(tmp_path / "f", PIXELS), [floats])
    assert "a picture of floats (mode F) has no bytes: convert it to L first\n" in ran.stderr


def test_resized(tmp_path):
    files = [data for data in FILES if opened(data).mode != "P"]
    # 17 rows become 7, and 23 columns 7 * 23 // 17.
    assert answers(make(tmp_path / "m", SMALL), files) == [
        rows(opened(data).resize((9, 7), Image.Resampling.BILINEAR)) for data in files]


def test_turned(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    data = saved(drawn("RGB"), "JPEG2000", exif=exif), saved(drawn("RGB"), "AVIF", exif=exif)
    assert answers(make(tmp_path / "m", TURNED), data) == [
        rows(ImageOps.exif_transpose(opened(d)).convert("RGB")) for d in data]


def test_turned_before_it_is_converted(tmp_path):
    """What only Pillow converts, with a step before that changes no pixel."""
    assert answers(make(tmp_path / "m", TURNED), OTHERS) == [
        rows(opened(data).convert("RGB")) for data in OTHERS]


def test_what_pillow_does_not_read_either(tmp_path):
    ran = run(make(tmp_path / "m", PIXELS), [b"no picture", FILES[1][:300], FILES[0]])
    assert ran.returncode == 1
    assert "m-0: step 1, decode_image: this is no picture that Pillow knows\n" in ran.stderr
    assert "m-1: step 1, decode_image: " in ran.stderr
    assert json.loads(ran.stdout) == rows(opened(FILES[0]))


@pytest.fixture
def bare_python(tmp_path):
    """An interpreter that has no Pillow."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/PIL.py").write_text("raise ImportError(\"No module named 'PIL'\")\n")
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path}/hidden:$PYTHONPATH exec {sys.executable} '
                      '"$@"\n')
    script.chmod(0o755)
    return script


def test_served(serve, tmp_path):
    make(tmp_path / "store/colours", COLOURS)
    server = serve(store=tmp_path / "store", load_models="all", python=sys.executable)
    for _ in range(2):
        assert server.predict("colours", FILES[1]).json() == rows(opened(FILES[1]))
    refused = server.predict("colours", b"no picture")
    assert refused.status_code == 400
    assert refused.json()["message"] == (
        "step 1, decode_image: this is no picture that Pillow knows")


def test_without_pillow(serve, tmp_path, bare_python):
    make(tmp_path / "store/colours", COLOURS)
    server = serve(store=tmp_path / "store", load_models="all", python=bare_python)
    refused = server.predict("colours", FILES[1])
    assert refused.status_code == 400
    assert refused.json()["message"] == (
        "step 1, decode_image: this is no picture that is known: JPEG, PNG, WebP, GIF or BMP")
    eventually(lambda: "No module named 'PIL': install Pillow for" in server.console)
    good = server.predict("colours", saved(drawn("RGB"), "PNG"))
    assert good.json() == rows(drawn("RGB"))
