# SPDX-License-Identifier: Apache-2.0
"""Steps on pictures done by a GPU, for a model that runs there. The GPU is a stand-in: this
processor, with memory at addresses of its own (image/cuda_standin.c, engines/placed.c). What a real
one makes is compared in image/gpu_real of the unit tests, where there is one."""

import io
import json
import os
import shutil
import subprocess
import sys

import pytest

from e2e.server import BIN
from e2e.test_other_pictures import drawn, saved

BUILD = BIN.parent
STEPS = """
minWorkers: 1
maxWorkers: 1
pipeline:
  - decode_image
  - resize: 9
  - center_crop: 7
  - to_tensor
  - normalize: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
  - batch
  - infer
  - encode_json
"""
FILES = [saved(drawn("RGB"), "JPEG"), saved(drawn("RGB"), "PNG"), saved(drawn("RGB"), "TIFF"),
         saved(drawn("CMYK"), "JPEG"), saved(drawn("L"), "PNG"), saved(drawn("RGB"), "JPEG")[:300]]


DECODER = {"SCONCE_NVJPEG": str(BUILD / "src/image/nvjpeg_standin.so")}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "m"
    (folder / "MAR-INF").mkdir(parents=True)
    (folder / "m.placed").write_text("")
    (folder / "c.yaml").write_text(STEPS)
    model = {"modelName": "m", "serializedFile": "m.placed", "configFile": "c.yaml"}
    (folder / "MAR-INF/MANIFEST.json").write_text(json.dumps({"runtime": "native", "model": model}))
    return folder


def run(model, *arguments, files=FILES, **environment):
    paths = []
    for i, data in enumerate(files):
        paths.append(model.parent / f"{i}")
        paths[-1].write_bytes(data)
    engines = model.parent / "engines"
    engines.mkdir(exist_ok=True)
    shutil.copy(BUILD / "tests/engines/placed.so", engines)
    return subprocess.run(
        [BIN / "sconce", "pipeline", "run", "--python", sys.executable, *arguments, model, *paths],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "SCONCE_ENGINE_PATH": str(engines),
             "SCONCE_IMAGE_CUDA": str(BUILD / "src/image/cuda_standin.so"), **DECODER,
             **environment})


def test_answers_are_those_of_the_processor(model):
    here, there = run(model), run(model, "--device", "cuda:0")
    assert here.stdout == there.stdout and len(here.stdout.splitlines()) == 3
    assert there.stderr.count("placed: 1 rows from the GPU") == 3
    assert "Steps on pictures are done by the GPU: a stand-in" in there.stderr
    assert "from the GPU" not in here.stderr and "Steps on pictures" not in here.stderr


def test_a_gpu_that_fails_is_not_asked_again(model):
    """Nobody but the log hears of it."""
    here = run(model)
    there = run(model, "--device", "cuda:0", SCONCE_STANDIN_BROKEN="1")
    assert here.stdout == there.stdout
    assert there.stderr.count("The processor does the steps on pictures from now on: CUDA: ") == 1
    assert "from the GPU" not in there.stderr


@pytest.mark.parametrize("device,library,why", [
    ("cuda:7", None, "there is no GPU 7"), ("cuda:0", "/nowhere.so", "/nowhere.so: cannot open")])
def test_what_is_missing_is_said_once(model, device, library, why):
    more = {"SCONCE_IMAGE_CUDA": library} if library else {}
    there = run(model, "--device", device, **more)
    assert there.stdout == run(model).stdout
    assert there.stderr.count(f"Steps on pictures are done by the CPU: {why}") == 1


def test_it_is_shown(model):
    steps = [BIN / "sconce", "pipeline", "show", model]
    for device, line in (("cpu", None), ("cuda:0", "GPU: a stand-in"), ("cuda:7", "CPU: there is")):
        shown = subprocess.run(
            [*steps, "--device", device], capture_output=True, text=True, check=True, timeout=60,
            env={**os.environ, "SCONCE_IMAGE_CUDA": str(BUILD / "src/image/cuda_standin.so")})
        assert (f"steps on pictures: {line}" in shown.stdout) == bool(line)
        assert bool(line) == ("steps on pictures" in shown.stdout)


# ---- JPEGs decoded there: nvJPEG is a stand-in, too, which decodes as libjpeg does ----

TELL = {"SCONCE_STANDIN_NVJPEG": "tell"}
DECODED = "nvjpeg_standin: decoded"


def jpeg(turned=False, **options):
    picture = drawn("RGB")
    exif = picture.getexif()
    if turned:
        exif[0x0112] = 6
    out = io.BytesIO()
    picture.save(out, "JPEG", exif=exif, **options)
    return out.getvalue()


@pytest.fixture
def decoding(model):
    """The same, with the step that decodes changed."""
    def change(step):
        (model / "c.yaml").write_text(STEPS.replace("decode_image", step, 1))
        return model
    return change


def test_jpegs_are_decoded_by_it(decoding):
    here = run(decoding("decode_image"))
    there = run(decoding("decode_image: {device: gpu}"), "--device", "cuda:0", **TELL)
    assert here.stdout == there.stdout and len(here.stdout.splitlines()) == 3
    assert there.stderr.count(DECODED) == 1
    assert there.stderr.count("JPEG files are decoded by the GPU: nvJPEG 7.8.9") == 1


@pytest.mark.parametrize("steps,decoded", [("", 2), ("\n  - orient", 1)])
def test_orientation_is_that_of_the_processor(decoding, steps, decoded):
    files = [jpeg(turned=True), jpeg(), jpeg(progressive=True)]
    here = run(decoding("decode_image" + steps), files=files)
    there = run(decoding("decode_image: {device: gpu}" + steps), "--device", "cuda:0", files=files,
                **TELL)
    assert here.returncode == there.returncode == 0, there.stderr
    assert here.stdout == there.stdout and len(here.stdout.splitlines()) == 3
    assert there.stderr.count(DECODED) == decoded
    assert there.stderr.count("where nvJPEG does not: it is not baseline") == 1


@pytest.mark.parametrize("device,more,why", [
    ("cpu", {}, "CPU: the model does not run on a GPU"),
    ("cuda:7", {}, "CPU: there is no GPU 7"),
    ("cuda:0", {"SCONCE_NVJPEG": "/nowhere.so"}, "CPU: /nowhere.so: cannot open"),
    ("cuda:0", {"SCONCE_STANDIN_NVJPEG": "nvjpegCreateSimple:7"},
     "CPU: nvjpegCreateSimple: it does not support the GPU"),
    ("cuda:0", {}, "GPU: nvJPEG 7.8.9")])
def test_the_decoder_is_said_and_shown(decoding, device, more, why):
    model = decoding("decode_image: {device: gpu}")
    there = run(model, "--device", device, **more)
    assert there.stdout == run(model).stdout
    assert there.stderr.count(f"JPEG files are decoded by the {why}") == 1
    shown = subprocess.run(
        [BIN / "sconce", "pipeline", "show", model, "--device", device], capture_output=True,
        text=True, check=True, timeout=60, env={
            **os.environ, "SCONCE_IMAGE_CUDA": str(BUILD / "src/image/cuda_standin.so"), **DECODER,
            **more})
    assert f"decoding of JPEG: {why}" in shown.stdout
    assert "device=gpu" in shown.stdout


def test_a_decoder_that_fails_is_not_asked_again(decoding):
    here = run(decoding("decode_image"))
    there = run(decoding("decode_image: {device: gpu}"), "--device", "cuda:0",
                SCONCE_STANDIN_NVJPEG="nvjpegDecode:6")
    assert here.stdout == there.stdout
    assert there.stderr.count("The processor decodes JPEG files from now on: nvjpegDecode: ") == 1
    assert there.stderr.count("rows from the GPU") == 3


def test_it_does_not_decode_smaller(decoding):
    wrong = run(decoding("decode_image: {device: gpu, scaled: true}"))
    assert wrong.returncode and "scaled: true and device: gpu exclude each other" in wrong.stderr
    wrong = run(decoding("decode_image: {device: tpu}"))
    assert wrong.returncode and "device must be cpu or gpu" in wrong.stderr
