# SPDX-License-Identifier: Apache-2.0
"""OpenVINO as an engine, beside numpy, ONNX Runtime and OpenVINO in Python."""

import importlib.util
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from engines import openvino_models as models
from engines.engine import BUILD, REPOSITORY, Engine, EngineError, Raw, RunError, this_python

WEIGHTS = [0.25 * i - 1.5 for i in range(12)]
ROWS = np.arange(8, dtype="f4").reshape(2, 4)
PRODUCT = ROWS @ np.array(WEIGHTS, "f4").reshape(4, 3)
FAKE = BUILD / "tests" / "engines" / "fake_openvino.so.1"


def package(name):
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


@pytest.fixture
def linear(tmp_path):
    return models.ir_linear(tmp_path / "linear.xml", WEIGHTS)


# ---- formats ----

def test_an_own_model(openvino, linear):
    result = openvino.call(linear, [ROWS])
    assert (result.outputs()[0] == PRODUCT).all()
    assert result.signature == {
        "inputs": [{"name": "x", "dtype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "dtype": "FP32", "shape": [-1, 3]}], "batches": True}
    assert result.info["runtime"] == "OpenVINO" and result.info["devices"] == "cpu"
    assert "FP32" in result.info["features"]
    assert result.report["memory"] > 0 and not result.log


@pytest.mark.parametrize("folder", [False, True])
def test_a_saved_model(openvino, tmp_path, folder):
    openvino.chatty = True      # of sanitizers, only
    file = models.saved_model(tmp_path / "tf", WEIGHTS)
    result = openvino.call(file.parent if folder else file, [ROWS])
    assert (result.outputs()[0] == PRODUCT).all()
    assert [s["name"] for s in result.signature["inputs"]] == ["row"]
    assert [s["name"] for s in result.signature["outputs"]] == ["result"]
    assert result.signature["batches"]


def test_tensorflow_lite(openvino, tmp_path):
    result = openvino.call(models.tflite(tmp_path / "net.tflite", WEIGHTS), [ROWS])
    assert (result.outputs()[0] == PRODUCT).all()
    assert not result.signature["batches"]


def test_paddle(openvino, tmp_path):
    result = openvino.call(models.paddle(tmp_path / "net.pdmodel", 2.5), [ROWS])
    assert (result.outputs()[0] == 2.5 * ROWS).all()


# ---- real models ----

def test_magika(openvino):
    path, = package("magika").glob("models/*/model.onnx")
    rows = np.random.default_rng(1).integers(0, 257, (3, 2048), dtype="i4")
    wanted, = onnxruntime.InferenceSession(path).run(None, {"bytes": rows})
    output, = openvino.run(path, rows, instances=2, repeat=3)
    np.testing.assert_allclose(output, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name, batch", [
    ("silero_vad_op18_ifless", 1), ("silero_vad_op18_ifless", 3), ("silero_vad_openvino_16k", 1)])
def test_silero(openvino, name, batch):
    path = package("silero_vad") / "data" / f"{name}.onnx"
    random_ = np.random.default_rng(2)
    own = name.endswith("16k")
    inputs = {"input": random_.standard_normal((batch, 576 if own else 512), "f4") / 9,
              "state": random_.standard_normal((2, batch, 128), "f4"), "sr": np.array(16000)}
    if own:
        del inputs["sr"]
    wanted = onnxruntime.InferenceSession(path).run(None, inputs)
    signature = openvino.call(path).signature
    outputs = openvino.run(path, *(inputs[s["name"]] for s in signature["inputs"]))
    for got, expected in zip(outputs, wanted):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=2e-5)


@pytest.fixture(scope="module")
def efficientnet(tmp_path_factory):
    python = REPOSITORY / ".venv-demo/bin/python"
    if not python.exists():
        pytest.skip("`tools/setup.sh demo` installs what EfficientNet is exported with")
    path = tmp_path_factory.mktemp("export") / "efficientnet.onnx"
    subprocess.run([python, "-W", "ignore", Path(__file__).parent / "export_efficientnet.py", path,
                    package("onnx").parent], check=True, capture_output=True)
    return path


def test_efficientnet(openvino, efficientnet):
    images = np.random.default_rng(4).standard_normal((2, 3, 224, 224), "f4")
    wanted, = onnxruntime.InferenceSession(efficientnet).run(None, {"image": images})
    result = openvino.call(efficientnet, [images], [images[:1]], threads=2)
    assert result.signature["batches"]
    np.testing.assert_allclose(result.outputs(0)[0], wanted, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(result.outputs(1)[0], wanted[:1], rtol=1e-3, atol=1e-4)


def test_what_openvino_cannot_convert_is_told(openvino):
    path = package("silero_vad") / "data" / "silero_vad.onnx"
    with pytest.raises(EngineError, match="wasn't fully converted.*ReduceMean") as error:
        openvino.call(path)
    assert error.value.stage == "load" and "Exception from" not in str(error.value)


# ---- types, shapes, memory ----

@pytest.mark.parametrize("rows, lend", [("?", None), ("?", 2), ("?", 100_000), (1, None), (1, 2),
                                        (1, 100_000)])
@pytest.mark.parametrize("dtype, values", [
    ("boolean", np.array([[True, False, True]])), ("u8", np.array([[0, 7, 255]], "u1")),
    ("u16", np.array([[0, 7, 65535]], "u2")), ("u32", np.array([[0, 7, 2**31 - 1]], "u4")),
    ("u64", np.array([[0, 7, 2**31 - 1]], "u8")), ("i8", np.array([[-128, 7, 127]], "i1")),
    ("i16", np.array([[-32768, 7, 32767]], "i2")),
    ("i32", np.array([[-1, 7, 2**31 - 1]], "i4")),
    ("i64", np.array([[-1, -2**31, 2**31 - 1]], "i8")),
    ("f16", np.array([[0.5, -2, np.inf]], "f2")),
    ("f32", np.array([[0.1, -2, np.nan]], "f4")), ("f64", np.array([[0.5, -2, np.nan]], "f8")),
    ("bf16", Raw("BF16", (1, 3), b"\x80\x3f\0\0\xc0\xff"))])
def test_each_type(openvino, tmp_path, dtype, values, rows, lend):
    path = models.ir_same(tmp_path / "same.xml", dtype, (rows, 3))
    output, = openvino.run(path, values, lend=lend, instances=2, repeat=2)
    if dtype == "bf16":
        values = np.array([[1, 0, np.nan]], "f4")
    np.testing.assert_array_equal(output, values)
    assert output.dtype == values.dtype


@pytest.mark.parametrize("dtype, value", [("i64", 2**31), ("i64", -2**31 - 1), ("u64", 2**63),
                                          ("u32", 2**31)])
def test_numbers_that_would_be_cut(openvino, tmp_path, dtype, value):
    path = models.ir_same(tmp_path / "same.xml", dtype)
    values = np.array([[1, value, 2]], f"{dtype[0]}{models.SIZES[dtype]}")
    run, = openvino.call(path, [values]).runs
    assert '"x" has numbers beyond 32 bits' in run["error"] and run["bad_input"]


def test_a_scalar_and_no_rows(openvino, tmp_path, linear):
    ir = models.Ir()
    ir.output(ir.layer("Abs", [ir.input([], name="x")], names=' names="y"'))
    assert openvino.run(ir.write(tmp_path / "abs.xml"), np.float32(-3))[0] == 3
    output, = openvino.run(linear, np.zeros((0, 4), "f4"))
    assert output.shape == (0, 3)


def test_any_number_of_dimensions(openvino, tmp_path):
    ir = models.Ir()
    ir.output(ir.layer("Abs", [ir.input(["..."], name="x")], names=' names="y"'))
    with pytest.raises(EngineError, match="Parameter operation with dynamic rank"):
        openvino.call(ir.write(tmp_path / "abs.xml"))


def test_several_inputs_and_outputs_without_names(openvino, tmp_path):
    ir = models.Ir()
    a, b = ir.input([2], "f32"), ir.input(["?"], "f32")
    ir.output(ir.layer("Add", [a, b]))
    ir.output(ir.layer("Subtract", [a, b]))
    path = ir.write(tmp_path / "two.xml")
    left, right = np.array([1, 2], "f4"), np.array([10], "f4")
    result = openvino.call(path, [left, right], [left, np.zeros(3, "f4")], [left], [left, right])
    total, difference = result.outputs(0)
    assert (total == [11, 12]).all() and (difference == [-9, -8]).all()
    assert [s["name"] for s in result.signature["inputs"]] == ["input_0", "input_1"]
    assert [s["name"] for s in result.signature["outputs"]] == ["output_0", "output_1"]
    with pytest.raises(RunError) as error:      # sizes that do not fit are the client's
        result.outputs(1)
    assert error.value.bad_input
    with pytest.raises(RunError, match="takes 2 inputs, not 1") as error:
        result.outputs(2)
    assert error.value.bad_input
    assert (result.outputs(3)[0] == [11, 12]).all()


def test_sizes_within_bounds(openvino, tmp_path):
    """A size of the model may have bounds; the signature has no words for them."""
    ir = models.Ir()
    ir.output(ir.layer("Abs", [ir.input(["1..3"], name="x")]))
    result = openvino.call(ir.write(tmp_path / "abs.xml"), [np.ones(3, "f4")], [np.ones(4, "f4")])
    assert result.outputs()[0].shape == (3,)
    with pytest.raises(RunError) as error:
        result.outputs(1)
    assert error.value.bad_input


@pytest.mark.parametrize("dtype, words", [("string", "is text"), ("u4", "is not served")])
def test_types_that_are_not_served(openvino, tmp_path, dtype, words):
    ir = models.Ir()
    ir.output(ir.input([1], dtype, name="x"))
    with pytest.raises(EngineError, match=f'"x" .*{words}'):
        openvino.call(ir.write(tmp_path / "odd.xml"))


def test_rows_that_follow_from_content_are_not_stacked(openvino, tmp_path):
    ir = models.Ir()
    found = ir.layer("NonZero", [ir.input(["?", 3], name="x")], "opset3", output_type="i64")
    order = ir.constant([2], struct.pack("<2q", 1, 0), "i64")
    ir.output(ir.layer("Transpose", [found, order], names=' names="places"'))
    path = ir.write(tmp_path / "nonzero.xml")
    values = np.array([[0, 1, 0], [2, 0, 3]], "f4")
    result = openvino.call(path, [values])
    assert result.outputs()[0].tolist() == [[0, 1], [1, 0], [1, 2]]
    assert result.signature["outputs"][0]["shape"] == [-1, 2] and not result.signature["batches"]
    assert "requests are not stacked" in result.log[0][1]
    assert openvino.call(path, config={"batches": True}).signature["batches"]


# ---- settings ----

def test_exact_unless_allowed(openvino, tmp_path):
    path = models.ir_linear(tmp_path / "linear.xml", [1 / 3] * 12, rows=64)
    rows = np.random.default_rng(3).standard_normal((64, 4), "f4")
    wanted = rows @ np.full((4, 3), 1 / 3, "f4")
    exact, = openvino.run(path, rows)
    np.testing.assert_allclose(exact, wanted, rtol=1e-5, atol=1e-6)
    result = openvino.call(path, [rows], config={"precision": "bf16"})
    np.testing.assert_allclose(result.outputs()[0], wanted, rtol=0.1, atol=0.1)
    if "BF16" in result.info["features"]:
        assert np.abs(result.outputs()[0] - wanted).max() > 1e-5 and not result.log
    else:
        assert "has no bf16" in result.log[0][1]


@pytest.mark.parametrize("config, words", [
    ({"precision": "exact"}, "none of fp32, bf16, fp16"),
    ({"precision": 5}, "precision: is no text"),
    ({"properties": [1]}, "properties: is no mapping"),
    ({"properties": {"NOT_THERE": "1"}}, "NOT_THERE"),
    ({"properties": {"PERFORMANCE_HINT": []}}, "PERFORMANCE_HINT is no text"),
    ({"batches": 1}, "batches: is neither")])
def test_settings_that_are_wrong(openvino, linear, config, words):
    with pytest.raises(EngineError, match=words):
        openvino.call(linear, config=config)


def test_settings_of_openvino_itself(openvino, linear):
    result = openvino.call(linear, [ROWS], device="cuda:0",
                           config={"properties": {"PERFORMANCE_HINT": "LATENCY"}, "presision": 1})
    assert (result.outputs()[0] == PRODUCT).all()
    assert "presision: is no setting" in result.log[0][1]
    assert "does not run on cuda:0" in result.log[1][1]


def test_another_number_of_threads(openvino, linear):
    result = openvino.call(linear, [ROWS], [ROWS], [ROWS], retune=2, instances=2,
                           repeat=20, config={"threads_alone": 1})
    assert all((result.outputs(i)[0] == PRODUCT).all() for i in range(3))
    assert result.log == [[1, "2 runs at a time use 2 threads each from now on"]]


def test_nobody_asks_about_batches(openvino, linear):
    assert not openvino.call(linear, batch=1).signature["batches"]
    assert openvino.call(linear, batch=8).signature["batches"]
    assert openvino.call(linear, batch=1, config={"batches": True}).signature["batches"]


def squares(path, size, times):
    """`x` multiplied with itself, `times` times."""
    ir = models.Ir()
    x = layer = ir.input([size, size], name="x")
    for _ in range(times):
        layer = ir.layer("MatMul", [layer, x], transpose_a="false", transpose_b="false")
    ir.output(layer)
    return ir.write(path)


def test_a_run_that_is_cancelled(openvino, tmp_path):
    path = squares(tmp_path / "long.xml", 512, 200)
    run, = openvino.call(path, [np.eye(512, dtype="f4")], cancel=True).runs
    assert "error" in run and not run["bad_input"]


# ---- runs that are alone ----

SEVERAL = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
WIDE = [1, "a run that is alone uses 2 threads from now on"]


@SEVERAL
@pytest.mark.parametrize("options, wanted", [
    ({"instances": 2}, True), ({"instances": 2, "threads": 2}, False), ({"instances": 1}, False),
    ({"instances": 2, "config": {"threads_alone": 1}}, False),
    ({"instances": 2, "config": {"threads_alone": 2}}, True),
    ({"instances": 2, "config": {"properties": {"INFERENCE_NUM_THREADS": 1}}}, False),
    ({"instances": 2, "config": {"properties": {"NUM_STREAMS": 2}}}, False),
    ({"instances": 2, "config": {"properties": {"PERFORMANCE_HINT": "LATENCY"}}}, True)])
def test_a_run_that_is_alone(openvino, linear, options, wanted):
    """What it runs has the threads of both, once that has been seen to be of use."""
    runs = [[ROWS]] * 60
    result = openvino.call(linear, *runs, **options)
    assert all((result.outputs(i)[0] == PRODUCT).all() for i in range(len(runs)))
    assert result.log == [WIDE] * wanted


@pytest.mark.parametrize("value", [0, -1, "all", 1.5])
def test_threads_alone_that_are_wrong(openvino, linear, value):
    with pytest.raises(EngineError, match="threads_alone: is no number from 1"):
        openvino.call(linear, config={"threads_alone": value})


def near(result, wanted, **tolerance):
    """Runs with the threads of all may add in another order, so they are not the same bits."""
    for run in result.runs:
        output, = map(result.array, run["outputs"])
        np.testing.assert_allclose(output, wanted, **tolerance)


@SEVERAL
def test_what_runs_alone_compute(openvino, tmp_path):
    path = squares(tmp_path / "net.xml", 64, 3)
    values = np.random.default_rng(6).standard_normal((64, 64)).astype("f4") / 8
    runs = [[values]] * 64
    wanted, = openvino.run(path, values)
    # The last group has what is compiled for such runs: the first of the two to begin is alone.
    result = openvino.call(path, *runs, instances=2, **{"await": 1})
    assert result.log == [WIDE]
    near(result, wanted, rtol=1e-5, atol=1e-5)


@SEVERAL
def test_a_file_that_has_changed_is_not_compiled_again(openvino, linear):
    result = openvino.call(linear, *[[ROWS]] * 60, instances=2, touch=True)
    assert all((result.outputs(i)[0] == PRODUCT).all() for i in range(60))
    assert result.log == [[1, "a run that is alone has no more threads: its file has changed "
                              "since"]]
    result = openvino.call(linear, [ROWS], [ROWS], retune=2, touch=True)
    assert result.log == [[1, "stays compiled for 1 runs at a time and 1 threads: its file has "
                              "changed since"]]


@SEVERAL
@pytest.mark.parametrize("instances", [1, 2])
def test_runs_alone_and_side_by_side_while_threads_and_instances_change(openvino, tmp_path,
                                                                        instances):
    path = squares(tmp_path / "short.xml", 256, 3)
    values = np.random.default_rng(7).standard_normal((256, 256)).astype("f4") / 16
    runs = [[values]] * 64
    wanted = values @ values @ values @ values
    result = openvino.call(path, *runs, instances=instances, repeat=10, restless=16)
    near(result, wanted, rtol=1e-3, atol=1e-4)
    assert WIDE in result.log and all(level == 1 for level, _ in result.log)


@SEVERAL
def test_runs_that_are_cancelled_while_threads_and_instances_change(openvino, tmp_path):
    path = squares(tmp_path / "long.xml", 256, 30)
    eye = np.eye(256, dtype="f4")
    result = openvino.call(path, *[[eye]] * 64, instances=2, repeat=3, restless=16, cancel=True)
    for i, run in enumerate(result.runs):
        assert not run["bad_input"] if "error" in run else (result.outputs(i)[0] == eye).all()
    assert all(level == 1 for level, _ in result.log)


# ---- files that are wrong ----

def test_a_file_that_is_not_there(openvino, tmp_path):
    with pytest.raises(EngineError, match="none.xml") as error:
        openvino.call(tmp_path / "none.xml")
    assert error.value.stage == "load"


def test_weights_that_are_not_there(openvino, linear):
    linear.with_suffix(".bin").unlink()
    with pytest.raises(EngineError):
        openvino.call(linear)
    linear.with_suffix(".bin").write_bytes(b"\0" * 20)
    with pytest.raises(EngineError):
        openvino.call(linear)


def written(folder, kind):
    """A whole model of a kind, and the file of it that matters."""
    if kind == "xml":
        return models.ir_linear(folder / "net.xml", WEIGHTS)
    if kind == "pb":
        return models.saved_model(folder / "tf", WEIGHTS)
    if kind == "tflite":
        return models.tflite(folder / "net.tflite", WEIGHTS)
    if kind == "onnx":
        source, = package("magika").glob("models/*/model.onnx")
        return Path(shutil.copy(source, folder / "net.onnx"))
    return models.paddle(folder / "net.pdmodel", 2.5)


@pytest.mark.parametrize("kind", ["xml", "pb", "tflite", "pdmodel", "onnx"])
@pytest.mark.parametrize("content", [b"", b"junk" * 100, "half", "most"])
def test_broken_files(openvino, tmp_path, kind, content):
    path = written(tmp_path, kind)
    whole = path.read_bytes()
    if isinstance(content, str):
        content = whole[:len(whole) // 2 if content == "half" else -9]
    path.write_bytes(content)
    openvino.chatty = True
    with pytest.raises(EngineError) as error:
        openvino.call(path)
    assert error.value.stage == "load"


# ---- the runtime ----

def test_a_runtime_that_is_missing(tmp_path, linear):
    engine = Engine("openvino", tmp_path, python=None)
    with pytest.raises(EngineError, match="OpenVINO is not installed: python3 -m pip install "
                                          "openvino") as error:
        engine.call(linear)
    assert error.value.stage == "open"


def test_a_library_that_is_named(openvino, linear, tmp_path):
    path, engine = openvino.call().info["path"], openvino
    engine.options["python"] = None
    result = engine.call(linear, [ROWS], host_config={"library": path})
    assert (result.outputs()[0] == PRODUCT).all() and result.info["path"] == path
    with pytest.raises(EngineError, match="engine.library: .*none.so"):
        engine.call(linear, host_config={"library": str(tmp_path / "none.so")})
    other = next(package("onnxruntime").glob("capi/libonnxruntime.so.*"))
    with pytest.raises(EngineError, match="is no library of OpenVINO .*it has no ov_"):
        engine.call(linear, host_config={"library": str(other)})


def test_a_runtime_that_crashes_costs_a_sentence(tmp_path, linear):
    """A known fault of some versions on some processors."""
    engine = Engine("openvino", tmp_path, python=this_python(), host_config={"library": str(FAKE)})
    with pytest.raises(EngineError, match=r"OpenVINO 2025.4.1 crashes on this processor .*signal 8"
                                          ".*another engine, or another version") as error:
        engine.call(linear)
    assert error.value.stage == "open"


def test_what_has_been_tried_is_not_tried_again(tmp_path):
    """Only that it works is remembered, of this very library."""
    library, cache = tmp_path / "libopenvino_c.so", tmp_path / "cache"
    shutil.copy(FAKE, library)
    engine = Engine("openvino", tmp_path, python=this_python(), cache=cache,
                    host_config={"library": str(library)})
    with pytest.raises(EngineError, match="crashes on this processor"):
        engine.call()
    assert not list(cache.iterdir())
    engine.call(environment={"FAKE_OPENVINO_WORKS": "1"})
    assert [path.suffix for path in cache.iterdir()] == [".tried"]
    engine.call()
    os.utime(library, (1, 1))
    with pytest.raises(EngineError, match="crashes on this processor"):
        engine.call()


@pytest.mark.parametrize("kind", ["xml", "pb", "tflite", "pdmodel"])
def test_hostile_files(openvino, tmp_path, kind):
    """Whatever a byte is changed to, there is an answer."""
    path = written(tmp_path, kind)
    whole, chance = path.read_bytes(), random.Random(kind)
    openvino.chatty = True
    for _ in range(12):
        changed = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        path.write_bytes(bytes(changed))
        try:
            openvino.call(path, [ROWS])
        except (EngineError, AssertionError) as error:
            # OpenVINO may crash: that is why it has a process of its own.
            assert isinstance(error, EngineError) or "ended with -" in str(error)
