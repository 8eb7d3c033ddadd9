# SPDX-License-Identifier: Apache-2.0
"""BaseHandler: every format of model, devices, torch.compile, profiles, explanations."""

import json
import sys
import types
import zipfile

import pytest

import torch

from ts.torch_handler import base_handler, model_files                    # noqa: E402
from ts.torch_handler.base_handler import BaseHandler                     # noqa: E402
from ts.torch_handler.unit_tests.test_utils.mock_context import MockContext   # noqa: E402
from ts.utils.util import PredictionException                             # noqa: E402

EAGER = """
import torch


class Argmax(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        return torch.argmax(self.factor * x, 1)
"""


class Double(torch.nn.Module):
    def forward(self, x):
        return 2 * x


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "argmax.py").write_text(EAGER)
    torch.save({"factor": torch.ones(1)}, tmp_path / "model.pt")
    yield tmp_path
    sys.modules.pop("argmax", None)


def context(folder, **options):
    options.setdefault("model_file", "argmax.py")
    return MockContext(model_dir=str(folder), **options)


def started(folder, config=None, **options):
    made = context(folder, **options)
    made.model_yaml_config = config or {}
    handler = BaseHandler()
    handler.initialize(made)
    return handler, made


def script(folder):
    torch.jit.trace(Double(), torch.ones(1, 2)).save(str(folder / "double.pt"))
    return started(folder, model_file=None, model_pt_file="double.pt")


# ---- formats ----

def test_eager_model(folder):
    handler, made = started(folder)
    assert handler.handle([[1.0, 2.0]], made) == [1]
    assert handler.handle([[1.0, 2.0], [4.0, 3.0]], made) == [1, 0]
    assert handler.initialized and not handler.model.training and handler.mapping is None
    assert handler.get_device() == torch.device("cpu") and handler.map_location == "cpu"


def test_weights_of_the_archive_are_used(folder):
    torch.save({"factor": -torch.ones(1)}, folder / "model.pt")
    handler, made = started(folder)
    assert handler.handle([[1.0, 2.0]], made) == [0]


def test_eager_model_without_weights(folder):
    handler, made = started(folder, model_pt_file=None)
    assert handler.model_pt_path is None and handler.handle([[1.0, 2.0]], made) == [1]


def test_torchscript(folder):
    (folder / "index_to_name.json").write_text(json.dumps({"0": "cat"}))
    handler, made = script(folder)
    assert handler.handle([[1.0, 2.0]], made) == [[2.0, 4.0]]
    assert handler.mapping == {"0": "cat"}


def test_exported_program(folder):
    batch = torch.export.Dim("batch")
    program = torch.export.export(Double(), (torch.ones(3, 2),), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "double.pt2")
    handler, made = started(folder, model_file=None, model_pt_file="double.pt2")
    assert handler.handle([[1.0, 2.0], [3.0, 4.0]], made) == [[2.0, 4.0], [6.0, 8.0]]


@pytest.mark.parametrize("gpu,index", [(None, -1), (2, 2)])
def test_compiled_program(folder, monkeypatch, gpu, index):
    """Compiling one takes longer than all tests here, so it is only looked at."""
    with zipfile.ZipFile(folder / "double.pt2", "w") as package:
        package.writestr("double/data/aotinductor/model/x.wrapper.so", b"")
    loaded = []
    monkeypatch.setattr(torch._inductor, "aoti_load_package",
                        lambda path, device_index: loaded.append((path, device_index)) or Double())
    device = torch.device("cpu") if gpu is None else torch.device("cuda", gpu)
    path = str(folder / "double.pt2")
    model = model_files.exported_model(path, device.type, device)
    assert loaded == [(path, index)] and model(torch.ones(1)).tolist() == [2.0]


def test_library_of_aot_inductor(folder, monkeypatch):
    (folder / "model.so").touch()
    loaded = []
    monkeypatch.setattr(torch._export, "aot_load",
                        lambda *arguments: loaded.append(arguments) or Double(), raising=False)
    with pytest.raises(RuntimeError, match="aot_compile: true"):
        started(folder, model_file=None, model_pt_file="model.so")
    with pytest.raises(RuntimeError, match="aot_compile: true"):
        started(folder, {"pt2": {"export": {"aot_compile": False}}}, model_file=None,
                model_pt_file="model.so")
    handler, made = started(folder, {"pt2": {"export": {"aot_compile": True}}}, model_file=None,
                            model_pt_file="model.so")
    assert loaded == [(str(folder / "model.so"), "cpu")]
    assert handler.handle([[1.0]], made) == [[2.0]]


def test_onnx(folder, monkeypatch):
    class Options:
        def add_session_config_entry(self, key, value):
            self.entry = key, value

    class Session:
        def __init__(self, path, sess_options, providers):
            self.path, self.options, self.providers = path, sess_options, providers

        def get_inputs(self):
            return [types.SimpleNamespace(name="x")]

        def get_outputs(self):
            return [types.SimpleNamespace(name="y")]

        def run(self, outputs, feeds):
            return [2 * feeds["x"]]

    runtime = types.ModuleType("onnxruntime")
    runtime.SessionOptions, runtime.InferenceSession = Options, Session
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    model = started(folder, model_file=None, model_pt_file="net.onnx")[0].model
    assert model.path == str(folder / "net.onnx")
    assert model.options.intra_op_num_threads == torch.get_num_threads()
    assert model.providers == ["CPUExecutionProvider"]
    assert base_handler.setup_ort_session("net.onnx", "cuda").providers == [
        "CUDAExecutionProvider", "CPUExecutionProvider"]
    # As the handlers of ONNX models call it, and as those of modules do.
    assert model.run(None, {"x": 3}) == [6]
    assert model(torch.tensor([1.0])).tolist() == model(x=torch.tensor([1.0])).tolist() == [2.0]


def test_onnx_without_its_runtime(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="net.onnx needs the package onnxruntime"):
        started(folder, model_file=None, model_pt_file="net.onnx")


@pytest.mark.parametrize("options,error,text", [
    ({"model_file": "absent.py"}, RuntimeError, "lacks absent.py"),
    ({"model_file": None, "model_pt_file": None}, RuntimeError, "no model to load"),
    ({"model_file": None, "model_pt_file": "model.h5"}, RuntimeError,
     r"model.h5 cannot be loaded: it must end in .pt "),
    ({"model_file": "two.py"}, ValueError, "must define one class, the model, but has B, C|C, B"),
    ({"model_file": "none.py"}, ValueError, "must define one class, the model, but has none"),
])
def test_what_is_no_model(folder, options, error, text):
    (folder / "two.py").write_text("class B:\n    pass\nclass C:\n    pass\n")
    (folder / "none.py").write_text("")
    with pytest.raises(error, match=text):
        started(folder, **options)


# ---- devices ----

class Cuda:
    def __init__(self, monkeypatch, capability):
        self.precision = None
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch, "set_float32_matmul_precision",
                            lambda precision: setattr(self, "precision", precision))


@pytest.mark.parametrize("capability,precision", [((7, 5), None), ((8, 0), "high")])
def test_gpu_of_the_worker(monkeypatch, capability, precision):
    cuda = Cuda(monkeypatch, capability)
    for gpu in (3, "3"):
        assert base_handler._accelerator(gpu) == ("cuda", torch.device("cuda:3"))
    model_files.use_tensor_cores(torch.device("cuda:3"))
    assert cuda.precision == precision


def test_no_gpu_for_this_worker(monkeypatch):
    Cuda(monkeypatch, (8, 0))
    assert base_handler._accelerator(None) == ("cpu", torch.device("cpu"))


def test_gpu_of_intel(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    assert base_handler._accelerator(1)[0] == "cpu"
    monkeypatch.setenv("TS_IPEX_GPU_ENABLE", "true")
    assert base_handler._accelerator(1) == ("xpu", torch.device("xpu:1"))


# ---- torch.compile ----

@pytest.mark.parametrize("pt2,expected", [
    ("inductor", {"backend": "inductor"}),
    ({"backend": "eager", "mode": "default"}, {"backend": "eager", "mode": "default"}),
    ({"mode": "reduce-overhead"}, {"mode": "reduce-overhead"}),
    ({"compile": {"enable": True}}, {}),
    ({"compile": {"enable": True, "backend": "inductor", "mode": "max-autotune"}},
     {"backend": "inductor", "mode": "max-autotune"}),
    ({"compile": {"enable": False, "backend": "inductor"}}, None),
    ({"compile": {"backend": "inductor"}}, None),
    ({"compile": {"enable": True, "backend": "magic"}}, None),
    ("magic", None),
    ({"export": {"aot_compile": False}}, None),
    ("", None), (None, None),
])
def test_torch_compile(folder, monkeypatch, caplog, pt2, expected):
    calls = []
    caplog.set_level("INFO")
    monkeypatch.setattr(torch, "compile", lambda model, **options: calls.append(options) or model)
    handler, made = started(folder, {"pt2": pt2})
    assert calls == ([] if expected is None else [expected])
    said = ", ".join(f"{k} {v}" for k, v in (expected or {}).items())
    assert (f"Compiled model with {said}" in caplog.messages) == (expected is not None)
    assert handler.handle([[1.0, 2.0]], made) == [1]


def test_torch_compile_that_fails_is_no_failure(folder, monkeypatch, capsys):
    def fail(model, **options):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", fail)
    handler, made = started(folder, {"pt2": {"compile": {"enable": True}}})
    assert "no compiler here" in capsys.readouterr().out
    assert handler.handle([[1.0, 2.0]], made) == [1]


def test_pt2_that_is_neither_text_nor_mapping(folder):
    with pytest.raises(ValueError, match="pt2 .* is a string or a mapping"):
        started(folder, {"pt2": ["inductor"]})


def test_compiled_model_answers(folder):
    handler, made = started(folder, {"pt2": {"compile": {"enable": True, "backend": "eager"}}})
    assert handler.model is not None and hasattr(handler.model, "_orig_mod")
    assert handler.handle([[1.0, 2.0]], made) == [1]


def test_ipex(folder, monkeypatch, capsys):
    monkeypatch.setenv("TS_IPEX_ENABLE", "true")
    monkeypatch.setitem(sys.modules, "intel_extension_for_pytorch", None)
    assert started(folder)[0].model is not None
    assert "not installed" in capsys.readouterr().out
    ipex = types.ModuleType("intel_extension_for_pytorch")
    ipex.optimize = lambda model: ("optimized", model)
    monkeypatch.setitem(sys.modules, "intel_extension_for_pytorch", ipex)
    assert started(folder)[0].model[0] == "optimized"


def test_what_is_available():
    assert base_handler.PROFILER_AVAILABLE and base_handler.PT2_AVAILABLE
    assert isinstance(base_handler.XLA_AVAILABLE, bool)
    with pytest.raises(AttributeError, match="NOTHING_AVAILABLE"):
        base_handler.NOTHING_AVAILABLE  # noqa: B018


# ---- requests ----

def test_times_and_profile(folder):
    handler, made = script(folder)
    handler.handle([[1.0]], made)
    assert [m.name for m in made.metrics.store] == ["HandlerTime"]
    made.model_yaml_config["handler"] = {"profile": True}
    handler.handle([[1.0]], made)
    assert {m.name for m in made.metrics.store} == {
        "HandlerTime", "ts_handler_preprocess", "ts_handler_inference", "ts_handler_postprocess"}


def test_torch_profiler(folder, monkeypatch):
    monkeypatch.setenv("ENABLE_TORCH_PROFILER", "TRUE")
    monkeypatch.setattr(base_handler, "_PROFILES", str(folder / "profiles"))
    handler, made = started(folder)
    handler.manifest = None    # as where initialize() is a handler's own
    made.manifest["model"]["modelName"] = "argmax"
    assert handler.handle([[1.0, 2.0], [4.0, 3.0]], made) == [1, 0]
    trace, = (folder / "profiles/argmax").iterdir()
    names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
    assert {"preprocess", "inference", "postprocess"} <= names
    made.explain = True
    with pytest.raises(NotImplementedError, match="BaseHandler does not explain"):
        handler.handle([[1.0, 2.0]], made)


def test_describe(folder, monkeypatch):
    handler, made = script(folder)
    monkeypatch.setattr(made, "get_request_header", lambda i, key: "True" * (key == "describe"))
    assert handler.handle([{}], made) == [None]
    handler.describe_handle = lambda: {"classes": 2}
    assert handler.handle([{}], made) == [{"classes": 2}]


class Explaining(BaseHandler):
    def preprocess(self, data):
        return "prepared"

    def get_insights(self, tensor_data, raw, target=0):
        return [(tensor_data, raw, target)]


@pytest.mark.parametrize("row,seen", [
    ({"data": b"x", "target": 3}, (b"x", 3)), ({"body": b"y"}, (b"y", 0)),
    ({"body": b"y", "target": None}, (b"y", 0)), ([1.0], (None, 0))])
def test_explanations(folder, row, seen):
    made = context(folder)
    made.explain = True
    handler = Explaining()
    assert handler.handle([row, row], made) == [("prepared", *seen)]
    assert handler.explain is True


def test_explanations_of_captum_need_captum(monkeypatch):
    from ts.torch_handler.explain import attribution

    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(PredictionException, match="an explanation needs the package captum"):
        attribution("IntegratedGradients")
