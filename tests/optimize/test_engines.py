# SPDX-License-Identifier: Apache-2.0
"""`sconce optimize` of models that engines serve without a handler."""

import json
import re
import subprocess
import sys
import zipfile

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from optimize.conftest import BIN, PATIENCE, SLOW
from optimize.test_optimize import WRONG_USAGE, result_of, row_of

from sconce.optimize.server import Server

SIZE = 384      # of a product of constants, which ONNX Runtime computes each time if it is told so
FEW = ("--rounds", 1, "--seconds", 1, "--instances", 1)


def slow_onnx(place):
    """outputs `scores` = image · w + what a compiler finds out once."""
    chance = np.random.default_rng(3)
    square = chance.standard_normal((SIZE, SIZE)).astype(np.float32)
    constants = {"w": chance.standard_normal((4, 3)).astype(np.float32), "a": square, "b": square.T,
                 "small": np.float32([1e-6])}
    steps = [("MatMul", ["a", "b"], "c0"), ("MatMul", ["c0", "b"], "c1"),
             ("MatMul", ["c1", "a"], "c2"), ("ReduceMean", ["c2"], "mean"),
             ("Mul", ["mean", "small"], "shift"), ("MatMul", ["image", "w"], "y"),
             ("Add", ["y", "shift"], "scores")]
    graph = helper.make_graph(
        [helper.make_node(op, inputs, [output], **({"keepdims": 0} if op == "ReduceMean" else {}))
         for op, inputs, output in steps], "slow",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(v, k) for k, v in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              str(place))
    place.with_name(place.name + ".yaml").write_text("engine: {optimization: none}\n")
    return place


class Served:
    """A model folder behind a server: what it answers, by which engine, and what its log says."""

    def __init__(self, folder, body):
        server = Server("net", folder)
        try:
            server.scale(1)
            self.engine = server.describe()["workers"][0]["engine"]
            self.answer = json.loads(server.predict(json.dumps(body).encode(), "application/json",
                                                    "application/json"))
            self.complaint = server.uses_original()
        finally:
            server.stop()


def test_a_bare_model_becomes_an_archive_that_has_both(workshop):
    slow_onnx(workshop.folder / "net.onnx")
    samples = workshop.samples([[1, 2, 3, 4]], {"image": [[0, 1, 0, -1]]})
    (samples / "no.json").write_text("[[1]]")
    np.save(samples / "a.npy", np.float32([[5, 6, 7, 8]]))
    np.savez(samples / "b.npz", image=np.float32([[0, 0, 1, 1]]))
    done = workshop.run("net.onnx", "--samples", samples, "--candidates", "openvino", *FEW)
    assert done.returncode == 0, done.stderr
    assert "sample left out: no.json: image has the shape [1, 1], not [-1, 4]" in done.stderr
    with zipfile.ZipFile(workshop.folder / "net-optimized.mar") as archive:
        archive.extractall(workshop.folder / "made")
    made = workshop.folder / "made"
    facts = json.loads((made / "optimized" / "optimized.json").read_text())
    assert facts["engine"] == "openvino"
    assert facts["samples"]["files"] == ["0.json", "1.json", "a.npy", "b.npz.npy"]
    assert facts["serving"]["instances"] == 1 and facts["serving"]["threads"] >= 1
    assert "optimization: none" in (made / "model-config.yaml").read_text()

    body = [[1, 2, 3, 4], [4, 3, 2, 1]]
    new = Served(made, body)
    assert new.engine == "openvino" and new.complaint is None
    facts["device"] = "cuda"
    (made / "optimized" / "optimized.json").write_text(json.dumps(facts))
    old = Served(made, body)
    assert old.engine == "onnx"
    assert old.complaint == "it was made for cuda, and this worker has cpu"
    assert np.allclose(new.answer, old.answer, rtol=1e-4)
    (made / "model-config.yaml").write_text("optimized: false\n")
    assert Served(made, body).complaint is None


class TwoInputs(torch.nn.Module):
    def forward(self, ids, unused, weights):
        del unused
        return {"sum": (ids.float() * weights).sum(1), "twice": weights * 2}


def test_torchscript_keeps_its_names(workshop):
    """Also of an input that it does not use, which exporters leave out."""
    module = torch.jit.trace(TwoInputs(), (torch.ones(2, 3, dtype=torch.int64), torch.ones(2, 2),
                                           torch.rand(2, 3)), strict=False)
    module.save(str(workshop.folder / "net.pt"))
    samples = workshop.samples(
        {"ids": [[1, 2, 3]], "unused": [[0, 0]], "weights": [[1, 2, 3]]},
        {"inputs": [{"name": "ids", "shape": [1, 3], "datatype": "INT64", "data": [4, 5, 6]},
                    {"name": "unused", "shape": [1, 2], "datatype": "FP32", "data": [1, 1]},
                    {"name": "weights", "shape": [1, 3], "datatype": "FP32", "data": [4, 5, 6]}]})
    done = workshop.run("net.pt", "--samples", samples, "--json", *FEW)
    assert done.returncode in (0, 3), done.stderr
    result = result_of(done)
    for name in ("onnx", "openvino"):
        row = row_of(result, name)
        assert row.get("error") is None and row["within"], row
        assert row["throughput"] > 0


def test_int8_is_calibrated_by_the_names_of_the_model(workshop):
    slow_onnx(workshop.folder / "net.onnx")
    rows = np.random.default_rng(1).standard_normal((8, 1, 4)).round(2).tolist()
    done = workshop.run("net.onnx", "--samples", workshop.samples(*rows), "--allow", "int8",
                        "--candidates", "onnx-int8", "--json", *FEW)
    row = row_of(result_of(done), "onnx-int8")
    assert row.get("error") is None and 0 < row["difference"] < 0.5, row


@pytest.fixture(scope="session")
def built():
    """What the engine `torch` needs, which no model waits for that has a handler."""
    subprocess.run([BIN / "sconce", "engines", "build", "torch", "--python", sys.executable],
                   check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("candidate,engine", [
    ("onnx", "onnx"), ("torchscript-frozen", "torch"), ("aotinductor", "torch")])
def test_what_is_made_under_a_handler_is_for_engines_too(workshop, candidate, engine):
    """Where one stands in for the handler."""
    done = workshop.run(workshop.model(), "--shape", "1,4", "--candidates", candidate)
    assert done.returncode == 0, done.stderr
    made = workshop.folder / "made"
    with zipfile.ZipFile(workshop.folder / "net-optimized.mar") as archive:
        archive.extractall(made)
    (made / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(
        {"runtime": "native", "model": {"modelName": "net"}}))
    served = Served(made, [[1, 2, 3, 4]])
    assert served.engine == engine and served.complaint is None
    assert len(served.answer[0]) == 3


def test_outputs_keep_the_names_that_pipelines_know(workshop):
    """As image_segmenter's knows `out`: without it no engine would stand in for the handler."""
    model = workshop.model(SLOW.replace("return self.layer(x)",
                                        "return {'out': self.layer(x), 'more': [x + 1, x + 2]}"))
    (model / "MAR-INF" / "MANIFEST.json").write_text(
        (model / "MAR-INF" / "MANIFEST.json").read_text().replace(
            '"modelFile"', '"configFile": "model-config.yaml", "modelFile"'))
    (model / "model-config.yaml").write_text(
        "pipeline: [from_json, {infer: {output: out}}, encode_json]\n")
    done = workshop.run(model, "--shape", "1,4", "--candidates", "openvino")
    assert done.returncode == 0, done.stderr
    made = workshop.folder / "made"
    with zipfile.ZipFile(workshop.folder / "net-optimized.mar") as archive:
        archive.extractall(made)
    served = Served(made, [[1, 2, 3, 4]])
    assert served.engine == "openvino" and served.complaint is None
    assert len(served.answer[0]) == 3


def test_a_sample_that_the_original_refuses_is_left_out(workshop):
    """Here by its size, which only the engine finds out."""
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "m"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2, "k"])],
        [numpy_helper.from_array(np.int64([0, 2, -1]), "shape")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              str(workshop.folder / "net.onnx"))
    done = workshop.run("net.onnx", "--samples", workshop.samples([[1, 2]], [[1, 2, 3]]), "--json",
                        "--candidates", "onnx", *FEW)
    assert done.returncode == 3, done.stderr
    assert "warning: sample left out: 1.json: " in done.stderr
    assert row_of(result_of(done), "onnx")["error"] == \
        "it is not for such a model, or is what the original is"


def torchscript_without_types(place):
    torch.jit.script(torch.nn.Linear(4, 3)).save(str(place))


@pytest.mark.parametrize("name,write,arguments,text", [
    ("net.onnx", slow_onnx, ["--rounds", 0], "--rounds 0: a model without a handler runs in a"),
    ("net.onnx", slow_onnx, ["--device", "cuda"], "are optimized for processors only"),
    ("net.onnx", slow_onnx, ["--shape", "1,5"], "--shape: image has the shape [1, 5], not [-1, 4]"),
    ("net.onnx", slow_onnx, ["--shape", "1,4", "1"], "the model has 1 inputs (image)"),
    ("net.onnx", slow_onnx, ["--allow", "fp8"],
     "--allow fp8: there is no such precision; there are bf16, fp16, int8"),
    ("net.pt2", lambda place: place.write_bytes(b"x"), [], "net.pt2 is compiled already"),
    ("net.pt", torchscript_without_types, ["--shape", "1,4"],
     "does not say which type and shape input has"),
    ("net.onnx", lambda place: place.write_bytes(b"x"), [], "the original model does not run: "),
    ("net.onnx", lambda place: place.write_bytes(b"\x0a\x08location\x12\x0b../../etc/x"), [],
     "net.onnx"),
])
def test_what_is_no_model_to_optimize(workshop, name, write, arguments, text):
    write(workshop.folder / name)
    done = workshop.run(name, *arguments)
    assert done.returncode == (2 if re.search(WRONG_USAGE, text) else 1), done.stderr
    assert text in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert workshop.left_behind() == []


def test_what_one_engine_runs_only(workshop):
    import openvino

    slow_onnx(workshop.folder / "a.onnx")
    openvino.save_model(openvino.convert_model(str(workshop.folder / "a.onnx")),
                        str(workshop.folder / "net.xml"), compress_to_fp16=False)
    done = workshop.run("net.xml")
    assert done.returncode == 1
    assert "net.xml is served by OpenVINO already" in done.stderr
    assert "only --allow bf16 could gain something" in done.stderr
    done = workshop.run("net.xml", "--allow", "bf16", "--json", *FEW)
    assert "error" not in row_of(result_of(done), "openvino-bf16"), done.stderr
