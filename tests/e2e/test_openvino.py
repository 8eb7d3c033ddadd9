# SPDX-License-Identifier: Apache-2.0
"""Models of several formats, served from bare files by OpenVINO, beside OpenVINO in Python."""

import json
import math
import os
import shutil
import struct
import sys
from pathlib import Path

import pytest

from e2e.gate import background
from e2e.runtimes import run_model
from e2e.server import BIN, eventually

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from engines import openvino_models as written      # noqa: E402

pytestmark = pytest.mark.engines

JSON = {"Content-Type": "application/json"}
RAW = {"Content-Type": "application/octet-stream", "Accept": "application/octet-stream"}
WEIGHTS = [0.25 * i - 1.5 for i in range(12)]
ROW = [1.0, 2.0, 3.0, 4.0]
PRODUCT = [sum(ROW[i] * WEIGHTS[3 * i + j] for i in range(4)) for j in range(3)]
FAKE = BIN.parent / "tests" / "engines" / "fake_openvino.so.1"
# Runs a model: {"model", "inputs": {name: [type, values]}} on standard input.
REFERENCE = """
import json, sys
import numpy as np
import openvino
ask = json.load(sys.stdin)
model = openvino.Core().compile_model(ask["model"], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
inputs = {name: np.array(values, dtype=kind) for name, (kind, values) in ask["inputs"].items()}
print(json.dumps({o.get_any_name(): v.tolist() for o, v in model(inputs).items()}))
"""


@pytest.fixture(scope="session")
def models(packages, tmp_path_factory):
    """A store of bare files and folders."""
    store = tmp_path_factory.mktemp("store")
    written.ir_linear(store / "own.xml", WEIGHTS)
    written.saved_model(store / "tf", WEIGHTS)
    written.tflite(store / "lite.tflite", WEIGHTS)
    written.paddle(store / "paddle.pdmodel", 2.5)
    shutil.copy(packages["magika"] / "models/standard_v3_3/model.onnx", store / "magika.onnx")
    shutil.copy(packages["silero_vad"] / "data/silero_vad_op18_ifless.onnx", store / "silero.onnx")
    for name, more in (("magika", "batchSize: 8\nmaxBatchDelay: 20\n"), ("silero", "")):
        (store / f"{name}.onnx.yaml").write_text(
            f"{more}minWorkers: 2\nmaxWorkers: 2\nengine: openvino\n")
    return store


@pytest.fixture(scope="module")
def server(module_serve, python, models):
    return module_serve(store=models, python=python, load_models="all")


def reference(python, model, **inputs):
    return run_model(python, REFERENCE, model, **inputs)


def close(a, b):
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == pytest.approx(b, rel=1e-4, abs=2e-5)


@pytest.mark.parametrize("model, rows, answer", [
    ("own", [ROW], [PRODUCT]), ("tf", [ROW], [PRODUCT]), ("lite", [ROW] * 2, [PRODUCT] * 2),
    ("paddle", [ROW], [[2.5 * x for x in ROW]])])
def test_each_format(server, model, rows, answer):
    assert server.predict(model, json.dumps(rows), headers=JSON).json() == answer
    worker = server.describe(model)[0]["workers"][0]
    assert worker["engine"] == "openvino" and worker["runtime"] == "OpenVINO"


def test_what_was_found_out_is_kept_where_nobody_else_writes(serve, python, tmp_path):
    store, kept, opened = (tmp_path / name for name in ("models", "kept", "open"))
    for folder in (store, opened):
        folder.mkdir()
    opened.chmod(0o777)
    written.ir_linear(store / "own.xml", WEIGHTS)
    server = serve(store=store, python=python, cache_dir=kept)
    assert server.predict("own", json.dumps([ROW]), headers=JSON).json() == [PRODUCT]
    assert ".tried" in {path.suffix for path in kept.iterdir()}
    server = serve(store=store, python=python, cache_dir=opened)
    assert server.predict("own", json.dumps([ROW]), headers=JSON).json() == [PRODUCT]
    server.logged("model_log.log", "is not used as a cache: ",
                  "can be written to by every user; cache_dir names another")
    assert not list(opened.iterdir())


def test_names_of_tensorflow_serving(server):
    answer = server.predict("tf", json.dumps({"inputs": {"row": [ROW]}}), headers=JSON)
    assert answer.json() == {"outputs": [PRODUCT]}
    described, = server.describe("tf")
    assert described["inputs"] == [{"name": "row", "datatype": "FP32", "shape": [-1, 4]}]


def test_requests_are_stacked(server, python, models):
    rows = [[(i * k) % 251 for i in range(2048)] for k in range(1, 25)]
    wanted = reference(python, models / "magika.onnx", bytes=["int32", rows])["target_label"]
    futures = [background(server.predict, "magika", json.dumps([row]), headers=JSON)
               for row in rows]
    for future, row in zip(futures, wanted):
        assert close(future.result().json(), [row])


def test_several_inputs_and_outputs(server, python, models):
    inputs = {"input": [[0.01 * (i % 7) for i in range(512)]], "state": [[[0.1] * 128]] * 2,
              "sr": 16000}
    kinds = {"input": "float32", "state": "float32", "sr": "int64"}
    wanted = reference(python, models / "silero.onnx",
                       **{name: [kinds[name], value] for name, value in inputs.items()})
    answer = server.predict("silero", json.dumps(inputs), headers=JSON).json()
    assert answer.keys() == wanted.keys() and all(close(answer[k], wanted[k]) for k in wanted)
    inputs["sr"] = 1 << 40
    refused = server.predict("silero", json.dumps(inputs), headers=JSON)
    assert refused.status_code == 400 and "beyond 32 bits" in refused.json()["message"]


@pytest.mark.parametrize("body", [[[1, 2, 3]], [["a"] * 4], [[1, 2, 3, 4], [1]], 5])
def test_what_does_not_fit_is_the_clients_fault(server, body):
    answer = server.predict("own", json.dumps(body), headers=JSON)
    assert answer.status_code == 400 and 'input "x"' in answer.json()["message"]


def test_not_a_number_comes_through(server):
    answer = server.predict("own", struct.pack("<4f", *[math.nan] * 4),
                            headers={**RAW, "x-tensor-shape": "1,4"})
    assert all(map(math.isnan, struct.unpack("<3f", answer.content)))


def test_another_number_of_instances(server):
    answer = server.manage("PUT", "/models/own?min_worker=2&max_worker=2&synchronous=true")
    assert answer.status_code == 200
    eventually(lambda: len(server.describe("own")[0]["workers"]) == 2, "two instances")
    futures = [background(server.predict, "own", json.dumps([ROW]), headers=JSON)
               for _ in range(40)]
    assert all(future.result().json() == [PRODUCT] for future in futures)


def test_a_file_that_is_another_by_now(serve, python, tmp_path):
    """More instances compile the model again; what has come in its place is for the next start."""
    store, other = tmp_path / "store", tmp_path / "other"
    for folder, weights in ((store, WEIGHTS), (other, [0.0] * 12)):
        folder.mkdir()
        written.ir_linear(folder / "own.xml", weights)
    server = serve(store=store, python=python, load_models="own.xml")
    for name in ("own.bin", "own.xml"):
        os.replace(other / name, store / name)
    answer = server.manage("PUT", "/models/own?min_worker=3&max_worker=3&synchronous=true")
    assert answer.status_code == 200
    futures = [background(server.predict, "own", json.dumps([ROW]), headers=JSON)
               for _ in range(20)]
    assert all(future.result().json() == [PRODUCT] for future in futures)


def test_a_runtime_that_is_missing_is_named(serve, models):
    server = serve(store=models, load_models=None)
    answer = server.register("own.xml", initial_workers=1, synchronous="true")
    assert answer.status_code == 500
    assert "OpenVINO is not installed: " in answer.json()["message"]
    assert "-m pip install openvino" in answer.json()["message"]


@pytest.fixture
def crashing(tmp_path, packages):
    """A Python whose OpenVINO crashes when it compiles, and which has ONNX Runtime or not."""
    def make(*others):
        found = tmp_path / "lib/python3.11/site-packages"
        (found / "openvino/libs").mkdir(parents=True)
        shutil.copy(FAKE, found / "openvino/libs/libopenvino_c.so.1")
        for name in others:
            (found / name).symlink_to(packages[name])
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/python").symlink_to(sys.executable)
        return str(tmp_path / "bin/python")
    return make


def test_a_runtime_that_crashes_costs_a_line(serve, models, crashing):
    server = serve(store=models, python=crashing(), load_models=None)
    answer = server.register("own.xml", initial_workers=1, synchronous="true")
    assert answer.status_code == 500
    assert "OpenVINO 2025.4.1 crashes on this processor" in answer.json()["message"]


def test_another_engine_is_taken_then(serve, models, crashing, tmp_path, packages):
    """An engine that comes first and crashes: here OpenVINO as the first of those for ONNX."""
    store = tmp_path / "store"
    store.mkdir()
    shutil.copy(models / "magika.onnx", store / "net.onnx")
    folder = tmp_path / "engines"
    folder.mkdir()
    shutil.copy(BIN.parent / "engines/openvino.so", folder / "aa.so")
    server = serve(store=store, python=crashing("onnxruntime"), load_models="net.onnx",
                   environment={"SCONCE_ENGINE_PATH": str(folder)})
    answer = server.predict("net", json.dumps([[1] * 2048]), headers=JSON)
    assert answer.status_code == 200 and len(answer.json()[0]) == 214
    assert server.describe("net")[0]["workers"][0]["engine"] == "onnx"
    server.logged("model_log.log",
                  "onnx runs the model; another would have: OpenVINO 2025.4.1 crashes on this")


@pytest.mark.parametrize("name, content", [
    ("a.xml", b"<net version='11'><layers></net>"), ("a.tflite", b"\0" * 64), ("a.pdmodel", b"x"),
    ("tf/saved_model.pb", b"\xff" * 50)])
def test_broken_files_say_so(serve, python, tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    server = serve(store=tmp_path, python=python, load_models=None)
    answer = server.register(name.split("/")[0], initial_workers=1, synchronous="true")
    assert answer.status_code == 500
    assert "Failed to start workers" in answer.json()["message"]
