# SPDX-License-Identifier: Apache-2.0
"""ONNX models out of packages, served from bare files, beside ONNX Runtime in Python."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from e2e.gate import background
from e2e.runtimes import run_model
from e2e.server import eventually

pytestmark = pytest.mark.engines

JSON = {"Content-Type": "application/json"}
RAW = {"Content-Type": "application/octet-stream", "Accept": "application/octet-stream"}
# Runs models: a line {"model", "inputs": {name: [type, values]}} each, answered by a line.
REFERENCE = """
import json, sys
import numpy as np
import onnxruntime
for line in sys.stdin:
    ask = json.loads(line)
    session = onnxruntime.InferenceSession(ask["model"])
    inputs = {name: np.array(values, dtype=kind) for name, (kind, values) in ask["inputs"].items()}
    outputs = session.run(None, inputs)
    print(json.dumps({o.name: v.tolist() for o, v in zip(session.get_outputs(), outputs)}))
"""
# The inputs under names of our own, and of two outputs one.
STEPS = """
pipeline:
  - from_json: {member: audio, as: audio}
  - from_json: {from: request, member: state, as: state}
  - from_json: {from: request, member: rate, datatype: INT64}
  - reshape: {shape: [], as: rate}
  - infer: {inputs: {input: audio, state: state, sr: rate}, rows: false, output: output}
  - encode_json
"""


@pytest.fixture(scope="session")
def models(packages, tmp_path_factory):
    """A store of bare files."""
    store = tmp_path_factory.mktemp("store")
    for source, name in ((packages["onnxruntime"] / "datasets/mul_1.onnx", "mul"),
                         (packages["onnxruntime"] / "datasets/logreg_iris.onnx", "iris"),
                         (packages["magika"] / "models/standard_v3_3/model.onnx", "magika"),
                         (packages["silero_vad"] / "data/silero_vad.onnx", "silero"),
                         (packages["silero_vad"] / "data/silero_vad.onnx", "vad")):
        shutil.copy(source, store / f"{name}.onnx")
    (store / "magika.onnx.yaml").write_text("batchSize: 8\nmaxBatchDelay: 20\n"
                                            "minWorkers: 2\nmaxWorkers: 2\n")
    (store / "vad.onnx.yaml").write_text(STEPS)
    return store


@pytest.fixture(scope="module")
def server(module_serve, python, models):
    return module_serve(store=models, python=python,
                        load_models="mul.onnx,magika.onnx,silero.onnx,vad.onnx")


def reference(python, model, **inputs):
    return run_model(python, REFERENCE, model, **inputs)


def close(a, b):
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == pytest.approx(b, rel=1e-5, abs=2e-5)    # batches are summed in another order


def test_an_example(server, python, models):
    values = [[1, 2], [3, 4], [5, 6]]
    wanted = reference(python, models / "mul.onnx", X=["float32", values])
    assert server.predict("mul", json.dumps(values), headers=JSON).json() == wanted["Y"]
    described, = server.describe("mul")
    assert described["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [3, 2]}]
    assert described["workers"][0]["runtime"] == "ONNX Runtime"


def test_several_inputs_and_outputs_and_a_scalar(server, python, models):
    inputs = {"input": [[0.01 * (i % 7) for i in range(512)]], "state": [[[0.0] * 128]] * 2,
              "sr": 16000}
    kinds = {"input": "float32", "state": "float32", "sr": "int64"}
    wanted = reference(python, models / "silero.onnx",
                       **{name: [kinds[name], value] for name, value in inputs.items()})
    answer = server.predict("silero", json.dumps(inputs), headers=JSON).json()
    assert answer.keys() == wanted.keys() and all(close(answer[k], wanted[k]) for k in wanted)
    del inputs["sr"]
    refused = server.predict("silero", json.dumps(inputs), headers=JSON)
    assert refused.status_code == 400 and 'input "sr" is missing' in refused.json()["message"]


def test_a_pipeline_with_several_inputs(server, python, models):
    audio, state = [[0.01 * (i % 7) for i in range(512)]], [[[0.0] * 128]] * 2
    wanted = reference(python, models / "silero.onnx", input=["float32", audio],
                       state=["float32", state], sr=["int64", 16000])
    body = {"audio": audio, "state": state, "rate": [16000]}
    assert close(server.predict("vad", json.dumps(body), headers=JSON).json(), wanted["output"])
    refused = server.predict("vad", json.dumps({**body, "audio": [audio]}), headers=JSON)
    assert refused.status_code == 400
    assert refused.json()["message"] == 'input "input" must have 2 dimensions, but has 3'


def test_raw_bytes_are_what_json_says(server, python, models):
    row = [i % 251 for i in range(2048)]
    wanted = reference(python, models / "magika.onnx", bytes=["int32", [row]])["target_label"]
    assert close(server.predict("magika", json.dumps([row]), headers=JSON).json(), wanted)
    raw = b"".join(v.to_bytes(4, "little") for v in row)
    answer = server.predict("magika", raw, headers=RAW)
    assert answer.headers["x-tensor-shape"] == "1,214"
    assert len(answer.content) == 214 * 4


def test_requests_are_stacked(server, python, models):
    rows = [[(i * k) % 251 for i in range(2048)] for k in range(1, 33)]
    wanted = reference(python, models / "magika.onnx", bytes=["int32", rows])["target_label"]
    futures = [background(server.predict, "magika", json.dumps([row]), headers=JSON)
               for row in rows]
    for future, row in zip(futures, wanted):
        assert close(future.result().json(), [row])


def test_nothing_is_lost_when_it_is_killed(server):
    row = json.dumps([[1] * 2048])
    wanted = server.predict("magika", row, headers=JSON).json()
    before = server.worker_pids("magika")[0]
    futures = [background(server.predict, "magika", row, headers=JSON) for _ in range(50)]
    os.kill(before, signal.SIGKILL)
    futures += [background(server.predict, "magika", row, headers=JSON) for _ in range(50)]
    answers = [f.result() for f in futures]
    assert {(a.status_code, a.text if a.status_code != 200 else "") for a in answers} == {(200, "")}
    assert all(close(a.json(), wanted) for a in answers)
    eventually(lambda: before not in server.worker_pids("magika"), "another process")


@pytest.mark.parametrize("content, words", [
    (b"", "oad"),
    (b"junk" * 100, "oad"),
    (None, "oad"),
])
def test_broken_files_say_so(serve, python, models, tmp_path, content, words):
    if content is None:
        whole = (models / "magika.onnx").read_bytes()
        content = whole[:len(whole) // 2]
    (tmp_path / "broken.onnx").write_bytes(content)
    server = serve(store=tmp_path, python=python, load_models=None)
    answer = server.register("broken.onnx", initial_workers=1, synchronous="true")
    assert answer.status_code == 500
    assert "Failed to start workers" in answer.json()["message"]
    assert words in answer.json()["message"]


TIMES = """
import sys
from onnx import TensorProto, helper, save
path, factor = sys.argv[1:]
x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy")
by = helper.make_tensor("by", TensorProto.FLOAT, [1], [float(factor)])
graph = helper.make_graph([helper.make_node("Mul", ["x", "by"], ["y"])], "times", [x], [y], [by])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
"""


@pytest.mark.skipif(os.cpu_count() < 2, reason="one processor is not shared out anew")
def test_a_file_that_is_another_by_now(serve, python, tmp_path):
    """Fewer threads load the model again; what has come in its place is for the next start."""
    store, other = tmp_path / "store", tmp_path / "other.onnx"
    store.mkdir()
    for path, factor in ((store / "times.onnx", "2"), (other, "0")):
        subprocess.run([python, "-c", TIMES, path, factor], check=True)
    server = serve(store=store, python=python, load_models="times.onnx")
    os.replace(other, store / "times.onnx")
    answer = server.manage("PUT", "/models/times?min_worker=2&max_worker=2&synchronous=true")
    assert answer.status_code == 200
    eventually(lambda: "its file has changed since" in server.log("model_log.log"), "a line")
    assert server.predict("times", "[3]", headers=JSON).json() == [6.0]


def test_what_is_no_tensor_is_told(serve, python, models):
    server = serve(store=models, python=python, load_models=None)
    answer = server.register("iris.onnx", initial_workers=1, synchronous="true")
    assert answer.status_code == 500 and "zipmap=False" in answer.json()["message"]


def test_a_runtime_that_is_missing_is_named(serve, models):
    server = serve(store=models, load_models=None)
    answer = server.register("mul.onnx", initial_workers=1, synchronous="true")
    assert answer.status_code == 500
    assert "ONNX Runtime is not installed: " in answer.json()["message"]
    assert "-m pip install onnxruntime" in answer.json()["message"]


def state_of_threads(pid):
    """A letter for each, as ps shows them."""
    return "".join(path.read_text().rpartition(")")[2].split()[0]
                   for path in Path(f"/proc/{pid}/task").glob("*/stat"))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
def test_nothing_is_at_work_once_runs_have_other_threads(serve, python, models):
    """The session of runs that are alone has gone, for any other has as many threads."""
    many = len(os.sched_getaffinity(0))
    server = serve(store=models, python=python, load_models="mul.onnx",
                   default_workers_per_model=many)

    def is_alone():
        server.predict("mul", "[[1, 2], [3, 4], [5, 6]]", headers=JSON)
        return "a run that is alone uses" in server.log("model_log.log")

    eventually(is_alone, "a session for runs that are alone")
    server.manage("PUT", "/models/mul?min_worker=1&max_worker=1&synchronous=true")
    eventually(lambda: "all runs together use" in server.log("model_log.log"), "a session")
    pid, = server.worker_pids("mul")
    eventually(lambda: {*state_of_threads(pid)} == {"S"}, lambda: state_of_threads(pid))


def test_another_number_of_instances(serve, python, models, tmp_path):
    """Their threads are another session's, and nobody notices."""
    shutil.copy(models / "magika.onnx", tmp_path)
    server = serve(store=tmp_path, python=python, load_models="magika.onnx")
    row = json.dumps([[1] * 2048])
    wanted = server.predict("magika", row, headers=JSON).json()
    before, = server.describe("magika")[0]["workers"]

    def scale(n):
        futures = [background(server.predict, "magika", row, headers=JSON) for _ in range(20)]
        reply = server.manage("PUT", f"/models/magika?min_worker={n}&max_worker={n}"
                                     "&synchronous=true")
        assert reply.status_code == 200
        eventually(lambda: len(server.describe("magika")[0]["workers"]) == n, f"{n} instances")
        assert all(close(f.result().json(), wanted) for f in futures)
        assert {w["pid"] for w in server.describe("magika")[0]["workers"]} == {before["pid"]}

    for n in (3, 1, 2):
        scale(n)
    if before["threads"] > 1:
        eventually(lambda: "all runs together use" in server.log("model_log.log"), "a session")
