# SPDX-License-Identifier: Apache-2.0
"""`sconce optimize`: what it writes is faster and right, and what is not is refused."""

import json
import re
import signal
import subprocess
import threading
import zipfile

import numpy as np
import pytest

from e2e.server import eventually
from sconce.in_process import Model
from sconce.optimize.server import Server

SAMPLES = [{"x": [0.1, 0.2, 0.3, 0.4]}, {"x": [1, -1, 2, -2]}]


def result_of(done):
    assert done.stdout.count("\n") == 1, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def row_of(result, name):
    return next(r for r in result["candidates"] if r["name"] == name)


def answers(path, *documents):
    model = Model(path)
    try:
        return [model.predict(d).json() for d in documents], model.handler.model
    finally:
        model.close()


def test_the_fastest_that_is_exact_is_written(workshop):
    source = workshop.model()
    done = workshop.run(source, "--samples", workshop.samples(*SAMPLES), "--rounds", 1,
                        "--seconds", 1, "--instances", 1, "--candidates",
                        "torchscript-frozen,onnx,openvino")
    assert done.returncode == 0, done.stderr
    for text in ("CANDIDATE", "1 CLIENT", "OpenVINO", "chosen", "times as fast as the original"):
        assert text in done.stdout
    assert workshop.left_behind() == ["net-optimized.html", "net-optimized.mar"]
    report = (workshop.folder / "net-optimized.html").read_text()
    assert "<svg" in report and "ONNX Runtime" in report and "://" not in report

    with zipfile.ZipFile(workshop.folder / "net-optimized.mar") as archive:
        facts = json.loads(archive.read("optimized/optimized.json"))
        assert {"net.py", "handler.py", "MAR-INF/MANIFEST.json"} <= set(archive.namelist())
    assert facts["original"]["archive"] == "net" and len(facts["original"]["sha256"]) == 64
    assert set(facts["figures"]) == {"original", "torchscript-frozen", "onnx", "openvino"}
    assert facts["figures"]["original"]["latency_ms"] > 0
    assert facts["samples"] == {"made_up": False, "calls": 2, "files": ["0.json", "1.json"]}

    before, _ = answers(source, *SAMPLES)
    after, model = answers(workshop.folder / "net-optimized.mar", *SAMPLES)
    assert "compiled model" in repr(model)
    for wanted, found in zip(before, after):
        assert found["best"] == wanted["best"]
        assert found["scores"] == pytest.approx(wanted["scores"], abs=1e-5)


CONTROL_FLOW = """
import torch

def busy():
    for _ in range(300000):
        pass

class Net(torch.nn.Module):
    def forward(self, x):
        busy()
        return x * 2 if x.sum() > 0.5 else x * 3
"""


def test_what_is_wrong_is_refused(workshop):
    """A trace keeps one side of a branch; the samples take both."""
    source = workshop.model(CONTROL_FLOW)
    samples = workshop.samples({"x": [1.0, 1, 1, 1]}, {"x": [-1.0, 1, -1, 1]})
    arguments = [source, "--samples", samples, "--rounds", 0, "--candidates", "torchscript"]
    done = workshop.run(*arguments)
    assert done.returncode == 3, done.stderr
    assert "Nothing was chosen: TorchScript is faster, but its outputs differ" in done.stdout
    assert "--accept takes it nevertheless" in done.stdout
    assert workshop.left_behind() == []
    result = result_of(workshop.run(*arguments, "--accept", "--json", "--output", "mine.mar"))
    assert result["chosen"] == "torchscript" and not row_of(result, "torchscript")["within"]
    assert result["output"] == str(workshop.folder / "mine.mar")
    assert workshop.left_behind() == ["mine.html", "mine.mar"]


NAMED = """
import torch

@torch.jit.ignore
def busy():
    for _ in range(300000):
        pass

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.words = torch.nn.Embedding(50, 8)

    def forward(self, ids, mask, scale=1.0):
        busy()
        mean = (self.words(ids) * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        return {"mean": mean * scale, "longest": mean.amax(dim=1)}
"""

NAMED_HANDLER = """
import torch
from ts.torch_handler.base_handler import BaseHandler

class Handler(BaseHandler):
    def preprocess(self, data):
        self.scale = data[0].get("body").get("scale", 1.0)
        ids = torch.tensor([row.get("body")["ids"] for row in data])
        return {"ids": ids, "mask": torch.ones_like(ids, dtype=torch.float32)}

    def inference(self, inputs):
        return self.model(**inputs, scale=self.scale)

    def postprocess(self, output):
        return [{"mean": m.tolist(), "longest": float(n)}
                for m, n in zip(output["mean"], output["longest"])]
"""


def test_named_inputs_dicts_and_lengths(workshop):
    source = workshop.model(NAMED, NAMED_HANDLER)
    samples = workshop.samples({"ids": [1, 2, 3]}, {"ids": [4, 5, 6, 7, 8]})
    for candidate in ("onnx", "aotinductor"):
        output = workshop.folder / (candidate + ".mar")
        result = result_of(workshop.run(source, "--samples", samples, "--rounds", 0, "--json",
                                        "--candidates", candidate, "--output", output))
        assert result["chosen"] == candidate, result
        # Lengths and a scale that no sample had: the second is the original's to answer.
        asked = [{"ids": [1, 2, 3]}, {"ids": list(range(9))}, {"ids": [1, 2], "scale": 2.0}]
        before, _ = answers(source, *asked)
        after, model = answers(output, *asked)
        assert "compiled model" in repr(model)
        for wanted, found in zip(before, after):
            assert found["mean"] == pytest.approx(wanted["mean"], abs=1e-5)
            assert found["longest"] == pytest.approx(wanted["longest"], abs=1e-5)


DEADLY = """
import os
import signal
import torch

class Net(torch.nn.Module):
    def forward(self, x):
        if torch.jit.is_tracing():
            os.kill(os.getpid(), signal.SIGFPE)
        return x * 2
"""


def test_a_candidate_that_dies_ends_nothing_else(workshop):
    done = workshop.run(workshop.model(DEADLY), "--samples", workshop.samples(*SAMPLES),
                        "--rounds", 0, "--json", "--candidates", "torchscript,openvino-bf16")
    assert done.returncode == 3, done.stderr
    result = result_of(done)
    assert row_of(result, "torchscript")["error"] == "its process was ended by SIGFPE"
    assert row_of(result, "openvino-bf16")["error"] == "only with --allow bf16"
    assert row_of(result, "original")["difference"] == 0


def test_shapes_instead_of_samples(workshop):
    done = workshop.run(workshop.model(), "--shape", "2,4", "--candidates", "torchscript")
    assert done.returncode == 0, done.stderr
    assert "warning: the samples are made up" in done.stderr
    assert "* the model alone, without a server" in done.stdout


LOADS_ITSELF = """
def handle(data, context):
    return [1] * len(data or [])
"""


WRONG_USAGE = "there is no such (candidate|precision)|sizes and, where"


@pytest.mark.parametrize("arguments,text", [
    (["--samples", "gone"], "--samples gone: there is no such file or folder"),
    ([], "only you know what it is sent: --samples names a folder"),
    (["--shape", "2,x"], "--shape 2,x: sizes and, where it is not float32, a type"),
    (["--shape", "2,4", "--candidates", "abacus"], "there is no such candidate; there are aoti"),
    (["--shape", "2,4", "--allow", "int4"],
     "--allow int4: there is no such precision; there are bf16, fp16, int8"),
    (["--shape", "2,4", "--device", "cuda"], "--device cuda: PyTorch "),
    (["--shape", "2,4", "--output", "gone/x.mar"], "--output gone/x.mar: the folder is not there"),
    (["--shape", "2,4", "--output", "net"], "--output net: a folder is there"),
    (["--shape", "2,4", "--report", "gone/x.html"], "--report gone/x.html: the folder is not"),
])
def test_what_is_asked_wrongly(workshop, arguments, text):
    source = workshop.model()
    done = workshop.run(source, *arguments)
    assert done.returncode == (2 if re.search(WRONG_USAGE, text) else 1), done.stderr
    assert text in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert workshop.left_behind() == []


def test_what_ends_the_worker_is_left_for_the_original(workshop):
    """The handler's own process crashes over it, as over the code of another processor."""
    np.savez(workshop.samples() / "call.npz", np.float32([[1, 2, 3, 4]]))
    done = workshop.run(workshop.model(), "--samples", "samples", "--candidates",
                        "torchscript-frozen")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(workshop.folder / "net-optimized.mar") as archive:
        archive.extractall(workshop.folder / "made")
    with open(workshop.folder / "made" / "handler.py", "a") as handler:
        handler.write("import os\nfrom sconce.compiled import runtimes\n"
                      "runtimes.TorchScript.load = staticmethod(lambda *_: os.abort())\n")
    server = Server("net", workshop.folder / "made")
    try:
        server.scale(1)
        answer = server.predict(json.dumps(SAMPLES[0]).encode(), "application/json", "*/*")
        why = server.uses_original()
    finally:
        server.stop()
    assert len(json.loads(answer)["scores"]) == 3
    assert why == "the worker process was killed by signal 6 (Aborted) while loading"


def test_a_folder_of_the_same_name_is_somebody_elses(workshop):
    source = workshop.model()
    (source / "optimized").mkdir()
    (source / "optimized" / "words.txt").write_text("mine")
    done = workshop.run(source, "--shape", "2,4")
    assert done.returncode == 1, done.stdout
    assert "net has something of its own called `optimized`" in done.stderr
    assert (source / "optimized" / "words.txt").exists()


def test_a_handler_that_loads_by_itself(workshop):
    done = workshop.run(workshop.model(handler=LOADS_ITSELF), "--shape", "1")
    assert done.returncode == 1, done.stdout
    assert "has no self.model that can be called" in done.stderr


INITIALIZES_ITSELF = """
import torch

class Handler:
    def initialize(self, context):
        self.model = torch.nn.Linear(4, 3)

    def handle(self, data, context):
        return [1] * len(data)
"""


def test_a_handler_that_would_not_use_what_is_made(workshop):
    done = workshop.run(workshop.model(handler=INITIALIZES_ITSELF), "--shape", "1,4",
                        "--candidates", "torchscript")
    assert done.returncode == 1, done.stdout
    assert "loads self.model by itself, so a compiled one would not be used" in done.stderr
    assert workshop.left_behind() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_run_leaves_nothing(workshop, number):
    source = workshop.model(CONTROL_FLOW)
    # Tests may run under nohup, whose children do not hear of SIGHUP.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            workshop.command(source, "--samples", workshop.samples(*SAMPLES)), cwd=workshop.folder,
            env=workshop.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, text=True)
    finally:
        signal.signal(number, before)
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    try:
        for line in process.stderr:
            if line.startswith("building original"):
                process.send_signal(number)
                break
        _, said = process.communicate()
    finally:
        watchdog.cancel()
    assert process.returncode == 130 and "interrupted; nothing was written" in said
    assert workshop.left_behind() == []
    eventually(lambda: not workshop.processes())
