# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime as an engine, beside ONNX Runtime in Python."""

import importlib.util
import os
import random
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, save

from engines.engine import BUILD, Engine, EngineError, Raw, RunError, this_python

FLOAT = TensorProto.FLOAT
TYPES = {"f4": FLOAT, "f8": TensorProto.DOUBLE, "f2": TensorProto.FLOAT16, "b1": TensorProto.BOOL,
         "u1": TensorProto.UINT8, "u2": TensorProto.UINT16, "u4": TensorProto.UINT32,
         "u8": TensorProto.UINT64, "i1": TensorProto.INT8, "i2": TensorProto.INT16,
         "i4": TensorProto.INT32, "i8": TensorProto.INT64}
FAKE = BUILD / "tests" / "engines" / "fake_onnxruntime.so.1"


def package(name):
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def model(path, nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, "test", inputs, outputs, list(constants))
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), path)
    return path


def same(path, kind=FLOAT, shape=("n", 3), result=None):
    """`y` = `x`"""
    return model(path, [helper.make_node("Identity", ["x"], ["y"])], [value("x", kind, shape)],
                 [value("y", kind, shape if result is None else result)])


ROWS = np.arange(6, dtype="f4").reshape(2, 3)


# ---- real models ----

def test_magika(onnx):
    path, = package("magika").glob("models/*/model.onnx")
    rows = np.random.default_rng(1).integers(0, 257, (3, 2048), dtype="i4")
    wanted, = onnxruntime.InferenceSession(path).run(None, {"bytes": rows})
    result = onnx.call(path, [rows], instances=2, repeat=3, threads=2)
    np.testing.assert_allclose(result.outputs()[0], wanted, rtol=1e-4, atol=1e-5)
    assert result.info["runtime"] == "ONNX Runtime" and result.info["devices"] == "cpu"
    assert "CPU" in result.info["features"] and result.report["memory"] > 1 << 20


@pytest.mark.parametrize("lend", [None, 100_000])
def test_silero(onnx, lend):
    path = package("silero_vad") / "data" / "silero_vad.onnx"
    random_ = np.random.default_rng(2)
    inputs = {"input": random_.standard_normal((1, 512), "f4") / 9,
              "state": random_.standard_normal((2, 1, 128), "f4"), "sr": np.array(16000)}
    wanted = onnxruntime.InferenceSession(path).run(None, inputs)
    signature = onnx.call(path).signature
    outputs = onnx.run(path, *(inputs[s["name"]] for s in signature["inputs"]), lend=lend)
    for got, expected in zip(outputs, wanted):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


# ---- types, shapes, memory ----

@pytest.mark.parametrize("shape", [("n", 3), (2, 3), (None, 3)])
@pytest.mark.parametrize("lend", [None, 2, 100_000])
@pytest.mark.parametrize("dtype", [*TYPES, "BF16"])
def test_each_type(onnx, tmp_path, dtype, shape, lend):
    if dtype == "BF16":
        sent = Raw("BF16", (2, 3), b"\x80\x3f\0\0\xc0\xff" * 2)
        path = same(tmp_path / "same.onnx", TensorProto.BFLOAT16, shape)
    else:
        sent = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
        path = same(tmp_path / "same.onnx", TYPES[dtype], shape)
    output, = onnx.run(path, sent, lend=lend, instances=2, repeat=2)
    np.testing.assert_array_equal(output, np.array([[1, 0, np.nan]] * 2) if dtype == "BF16"
                                  else sent)


@pytest.mark.parametrize("lend", [None, 100_000])
def test_texts(onnx, tmp_path, lend):
    path = same(tmp_path / "same.onnx", TensorProto.STRING, ("n",))
    texts = [b"", b"a\0b", b"\0", "ü".encode(), b"x" * 1000, b"\xff"]
    output, = onnx.run(path, np.array(texts, object), lend=lend)
    assert list(output) == texts
    output, = onnx.run(path, np.array([], object), lend=lend)
    assert output.shape == (0,)


@pytest.mark.parametrize("data", [b"\1\0\0\0a\1\0\0", b"\1\0\0\0a\xff\xff\xff\xffb",
                                  b"\1\0\0\0a\1\0\0\0bc"])
def test_texts_that_are_broken(onnx, tmp_path, data):
    path = same(tmp_path / "same.onnx", TensorProto.STRING, ("n",))
    run, = onnx.call(path, [Raw("BYTES", (2,), data)]).runs
    assert "tensor of BYTES" in run["error"] and run["bad_input"]


def test_a_scalar_and_no_rows(onnx, tmp_path):
    assert onnx.run(same(tmp_path / "one.onnx", shape=()), np.float32(-3))[0] == -3
    output, = onnx.run(same(tmp_path / "rows.onnx"), np.zeros((0, 3), "f4"))
    assert output.shape == (0, 3)


def test_any_number_of_dimensions(onnx, tmp_path):
    path = model(tmp_path / "any.onnx", [helper.make_node("Identity", ["x"], ["y"])],
                 [value("x", FLOAT, None)], [value("y", FLOAT, None)])
    result = onnx.call(path, [ROWS], [ROWS[0]])
    assert result.signature["inputs"][0]["shape"] is None
    assert (result.outputs(0)[0] == ROWS).all() and (result.outputs(1)[0] == ROWS[0]).all()
    scalar = onnx.call(same(tmp_path / "one.onnx", shape=())).signature["inputs"][0]
    assert scalar["shape"] == []


@pytest.mark.parametrize("lend", [None, 100_000])
def test_a_size_that_is_not_what_its_name_says(onnx, tmp_path, lend):
    """`n` rows are promised, and twice as many come."""
    path = model(tmp_path / "twice.onnx", [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)],
                 [value("x", FLOAT, ("n", 3))], [value("y", FLOAT, ("n", 3))])
    output, = onnx.run(path, ROWS, lend=lend, repeat=3)
    assert (output == np.concatenate([ROWS, ROWS])).all()


def test_values_that_are_no_tensors(onnx, tmp_path):
    path = package("onnxruntime") / "datasets" / "logreg_iris.onnx"
    with pytest.raises(EngineError, match='output "probabilities" is a sequence.*zipmap=False'):
        onnx.call(path)
    with pytest.raises(EngineError, match='input "x" has elements of ONNX\'s type .* not served'):
        onnx.call(same(tmp_path / "odd.onnx", TensorProto.FLOAT8E4M3FN))


def test_inputs_that_do_not_fit_are_the_clients_fault(onnx, tmp_path):
    path = same(tmp_path / "same.onnx")
    result = onnx.call(path, [np.zeros((2, 4), "f4")], [ROWS, ROWS], [ROWS])
    for group in range(2):
        with pytest.raises(RunError) as error:
            result.outputs(group)
        assert error.value.bad_input
    assert (result.outputs(2)[0] == ROWS).all() and not result.log


# ---- stacking ----

def test_which_models_are_stacked(onnx, tmp_path):
    def batches(name, shape, result, **config):
        path = same(tmp_path / f"{name}.onnx", shape=shape, result=result)
        result = onnx.call(path, config=config)
        return result.signature["batches"], "".join(line for _, line in result.log)

    assert batches("named", ("n", 3), ("n", 3)) == (True, "")
    assert batches("unnamed", (None, 3), (None, 3)) == (True, "")
    assert batches("fixed", (1, 3), (1, 3)) == (False, "")
    may, log = batches("boxes", ("n", 3), ("found", 3))
    assert not may and '("n" and "found")' in log and "`batches: true`" in log
    assert batches("told", ("n", 3), ("found", 3), batches=True) == (True, "")
    assert batches("told_not", ("n", 3), ("n", 3), batches=False) == (False, "")
    with pytest.raises(EngineError, match="the first dimension of each input"):
        batches("wrong", (1, 3), (1, 3), batches=True)


# ---- settings ----

@pytest.mark.parametrize("config, words", [
    ({"optimization": "fast"}, "none of all, extended, basic, none"),
    ({"optimization": 5}, "optimization: is no text"),
    ({"precision": "fp8"}, "none of fp32, tf32, bf16"),
    ({"precision": "bf16"}, "OpenVINO"),
    ({"arena": "no"}, "arena: is neither true nor false"),
    ({"batches": 1}, "batches: is neither"),
    ({"session": [1]}, "session: is no mapping"),
    ({"session": {"session.intra_op.allow_spinning": []}}, "is no text or number"),
    ({"providers": "CPU"}, "providers: is no list"),
    ({"providers": [5]}, "providers: is no list"),
    ({"providers": ["Quantum"]}, "Quantum cannot be used; the library has .*CPU"),
    ({"providers": [{"XNNPACK": 5}]}, "options of a provider are no mapping")])
def test_settings_that_are_wrong(onnx, tmp_path, config, words):
    with pytest.raises(EngineError, match=words):
        onnx.call(same(tmp_path / "same.onnx"), config=config)


@pytest.mark.parametrize("config", [
    {"optimization": "none"}, {"optimization": "basic", "arena": False}, {"providers": ["CPU"]},
    {"session": {"session.intra_op.allow_spinning": True, "session.set_denormal_as_zero": 1}}])
def test_settings_that_are_right(onnx, tmp_path, config):
    result = onnx.call(same(tmp_path / "same.onnx"), [ROWS], config=config, repeat=2)
    assert (result.outputs()[0] == ROWS).all() and not result.log


def test_a_setting_that_nobody_knows(onnx, tmp_path):
    result = onnx.call(same(tmp_path / "same.onnx"), [ROWS], config={"optimisation": "none"})
    assert result.log[0][0] == 2 and "optimisation: is no setting; there are:" in result.log[0][1]


@pytest.mark.parametrize("device, words", [
    ("cuda:0", "no CUDA provider .*-m pip install onnxruntime-gpu in place of onnxruntime"),
    ("cuda:x", "has cpu and cuda:N"), ("tpu", "has cpu and cuda:N")])
def test_devices_that_are_not_there(onnx, tmp_path, device, words):
    if onnx.call().info["devices"] != "cpu":
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(EngineError, match=words):
        onnx.call(same(tmp_path / "same.onnx"), device=device)


# ---- runs ----

def squares(path, times):
    """`y` = `x`, `times` times multiplied with itself."""
    nodes = [helper.make_node("MatMul", [f"x{i}" if i else "x", "x"], [f"x{i + 1}"])
             for i in range(times)]
    nodes.append(helper.make_node("Identity", [f"x{times}"], ["y"]))
    return model(path, nodes, [value("x", FLOAT, (512, 512))], [value("y", FLOAT, (512, 512))])


def test_a_run_that_is_cancelled(onnx, tmp_path):
    path = squares(tmp_path / "long.onnx", 300)
    run, = onnx.call(path, [np.eye(512, dtype="f4")], cancel=True).runs
    assert "error" in run and not run["bad_input"]


def test_another_number_of_threads(onnx, tmp_path):
    path = squares(tmp_path / "long.onnx", 3)
    eye = np.eye(512, dtype="f4")
    result = onnx.call(path, [eye], [eye], [eye], retune=2, instances=2,
                       repeat=5, config={"threads_alone": 1})
    assert all((result.outputs(i)[0] == eye).all() for i in range(3))
    assert result.log == [[1, "all runs together use 3 threads from now on"]]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
def test_a_run_that_is_alone(onnx, tmp_path):
    """It gets a session with the threads of both, once that has been seen to be of use."""
    path = model(tmp_path / "short.onnx", [helper.make_node("Abs", ["x"], ["y"])],
                 [value("x", FLOAT, (2, 3))], [value("y", FLOAT, (2, 3))])
    runs = [[-ROWS]] * 60
    for options, wanted in (({"instances": 2}, True), ({"instances": 2, "threads": 2}, False),
                            ({"instances": 1}, False),
                            ({"instances": 2, "config": {"threads_alone": 1}}, False)):
        result = onnx.call(path, *runs, **options)
        assert all((result.outputs(i)[0] == ROWS).all() for i in range(len(runs)))
        assert result.log == [[1, "a run that is alone uses 2 threads from now on"]] * wanted
    with pytest.raises(EngineError, match="threads_alone: is no number from 1"):
        onnx.call(path, *runs, config={"threads_alone": 0})


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
@pytest.mark.parametrize("instances", [1, 2])
def test_runs_alone_and_side_by_side_while_threads_and_instances_change(onnx, tmp_path, instances):
    path = squares(tmp_path / "net.onnx", 1)
    values = np.random.default_rng(7).standard_normal((512, 512)).astype("f4") / 16
    runs = [[values]] * 64
    result = onnx.call(path, *runs, instances=instances, repeat=4, restless=16)
    for run in result.runs:
        output, = map(result.array, run["outputs"])
        np.testing.assert_allclose(output, values @ values, rtol=1e-3, atol=1e-4)
    assert [1, "a run that is alone uses 2 threads from now on"] in result.log


def test_the_runtime_speaks_through_the_log(onnx, tmp_path):
    """It warns of what no node uses; nothing of it goes to standard error."""
    unused = helper.make_tensor("unused", FLOAT, [1], [1.0])
    path = model(tmp_path / "unused.onnx", [helper.make_node("Identity", ["x"], ["y"])],
                 [value("x", FLOAT, (1,))], [value("y", FLOAT, (1,))], [unused])
    log = onnx.call(path).log
    assert any(level == 2 and line.startswith("ONNX Runtime: ") and "unused" in line
               for level, line in log)


# ---- files that are wrong ----

def test_a_file_that_is_not_there(onnx, tmp_path):
    with pytest.raises(EngineError, match="none.onnx") as error:
        onnx.call(tmp_path / "none.onnx")
    assert error.value.stage == "load"


@pytest.mark.parametrize("content", [b"", b"junk" * 100, "half", "most"])
def test_broken_files(onnx, tmp_path, content):
    path = squares(tmp_path / "net.onnx", 2)
    whole = path.read_bytes()
    if isinstance(content, str):
        content = whole[:len(whole) // 2 if content == "half" else -9]
    path.write_bytes(content)
    with pytest.raises(EngineError) as error:
        onnx.call(path)
    assert error.value.stage == "load"


def test_hostile_files(onnx, tmp_path):
    """Whatever a byte is changed to, there is an answer."""
    path = squares(tmp_path / "net.onnx", 1)
    whole, random_ = path.read_bytes(), random.Random(5)
    for _ in range(25):
        broken = bytearray(whole)
        for _ in range(random_.randint(1, 4)):
            broken[random_.randrange(len(broken))] = random_.randrange(256)
        path.write_bytes(broken)
        try:
            onnx.call(path, [np.zeros((512, 512), "f4")])
        except EngineError as error:
            assert error.stage == "load"


# ---- the runtime ----

def test_a_runtime_that_is_missing(tmp_path):
    engine = Engine("onnx", tmp_path, python=None)
    with pytest.raises(EngineError, match="ONNX Runtime is not installed: python3 -m pip install "
                                          "onnxruntime") as error:
        engine.call(same(tmp_path / "same.onnx"))
    assert error.value.stage == "open"


def test_a_library_that_is_named(onnx, tmp_path):
    path, found = same(tmp_path / "same.onnx"), onnx.call().info["path"]
    onnx.options["python"] = None
    result = onnx.call(path, [ROWS], host_config={"library": found})
    assert (result.outputs()[0] == ROWS).all() and result.info["path"] == found
    with pytest.raises(EngineError, match="engine.library: .*none.so"):
        onnx.call(path, host_config={"library": str(tmp_path / "none.so")})
    with pytest.raises(EngineError, match="engine.library: .*is no library of ONNX Runtime"):
        onnx.call(path, host_config={"library": "libm.so.6"})
    with pytest.raises(EngineError, match="library: is no text"):
        onnx.call(path, host_config={"library": 5})


@pytest.mark.parametrize("version, words", [
    ("1.31.1", "says that it is ONNX Runtime 1.31.1, but its interface is not the one"),
    ("1.10.0", "is ONNX Runtime 1.10.0; 1.11 or a later 1.x is needed"),
    ("2.0.0", "is ONNX Runtime 2.0.0; 1.11 or a later 1.x is needed"),
    ("new", "is ONNX Runtime new; 1.11 or a later 1.x is needed")])
def test_a_library_whose_table_is_not_known(tmp_path, version, words):
    """It has no names, so before it is trusted it is tried."""
    engine = Engine("onnx", tmp_path, python=None, host_config={"library": str(FAKE)})
    with pytest.raises(EngineError, match=words) as error:
        engine.call(environment={"FAKE_ORT_VERSION": version})
    assert error.value.stage == "open"


def test_an_interpreter_elsewhere_is_asked_and_remembered(onnx, tmp_path):
    """Its packages are not beside it."""
    python, cache = tmp_path / "bin" / "python", tmp_path / "cache"
    for folder in (python.parent, cache):
        folder.mkdir()
    asked = tmp_path / "asked"
    python.write_text(f"#!/bin/sh\necho >>'{asked}'\nexec '{this_python()}' \"$@\"\n")
    python.chmod(0o755)
    for _ in range(2):
        assert onnx.call(python=python, cache=cache).info["runtime"] == "ONNX Runtime"
    assert asked.read_text() == "\n"
