# SPDX-License-Identifier: Apache-2.0
"""Steps on pictures done by a GPU, for a model that runs there. The GPU is a stand-in: this
processor, with memory at addresses of its own (image/cuda_standin.c, engines/placed.c). What a real
one makes is compared in image/gpu_real of the unit tests, where there is one."""

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
             "SCONCE_IMAGE_CUDA": str(BUILD / "src/image/cuda_standin.so"), **environment})


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
