# SPDX-License-Identifier: Apache-2.0
"""Finding and loading a handler: ts.model_loader, by the rules of the server's own loader."""

import asyncio
import sys

import pytest

from ts.model_loader import ModelLoader, ModelLoaderFactory, TsModelLoader
from ts.model_service.model_service import SingleNodeService
from ts.service import PREDICTION_METRIC, PredictionException, Service, emit_metrics
from ts.torch_handler.request_envelope.json import JSONEnvelope
from ts.utils.util import list_classes_from_module

MANIFEST = '{"model": {"modelName": "m", "configFile": "model-config.yaml"}}'


@pytest.fixture
def load(tmp_path, monkeypatch):
    """load(source, handler, file=…): writes the file, loads the handler."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)

    def run(source, handler=None, file="the_handler.py", **options):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return ModelLoaderFactory.get_model_loader().load(
            "m", str(tmp_path), file if handler is None else handler, None, 1, **options)

    yield run
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


CLASS = """
class Handler:
    def initialize(self, context):
        self.context = context
    def handle(self, data, context):
        return [(data, context is self.context)]
"""
FUNCTIONS = """
calls = []
def handle(data, context):
    calls.append(data)
    return ["handle"]
def infer(data, context):
    calls.append(data)
    return ["infer"]
"""


def test_factory():
    assert isinstance(ModelLoaderFactory.get_model_loader(), TsModelLoader)
    assert issubclass(TsModelLoader, ModelLoader)


@pytest.mark.parametrize("handler", ["the_handler.py", "the_handler", "./the_handler.py",
                                     "any/where/the_handler.py"])
def test_class(load, handler):
    service = load(CLASS, handler)
    assert service._entry_point("x", service.context) == [("x", True)]


@pytest.mark.parametrize("handler,name", [("the_handler.py", "handle"), ("the_handler", "handle"),
                                          ("the_handler.py:infer", "infer"),
                                          ("the_handler:infer", "infer")])
def test_functions_are_called_once_to_load(load, handler, name):
    service = load(FUNCTIONS, handler)
    assert service._entry_point.__name__ == name
    assert sys.modules["the_handler"].calls == [None]


def test_handler_in_a_folder_of_the_archive(load):
    service = load(CLASS, file="deep/below/nested_handler.py")
    assert service._entry_point("x", None) == [("x", False)]


def test_a_named_function_that_is_not_there_leaves_the_class(load):
    assert load(CLASS, "the_handler.py:wrong")._entry_point("x", None) == [("x", False)]


def test_imported_classes_do_not_count(load):
    service = load("from collections import OrderedDict, Counter\n" + CLASS)
    assert type(service._entry_point.__self__).__name__ == "Handler"


def test_classes_beside_the_handler(load):
    """TorchServe takes only one class in all; the others here have no handle()."""
    helpers = "class Helper:\n    pass\n\nclass Base:\n    def handle(self, data, context):\n" \
              "        return data\n"
    service = load(helpers + CLASS.replace("class Handler", "class Handler(Base)"))
    assert type(service._entry_point.__self__).__name__ == "Handler"


def test_class_without_initialize(load):
    assert load("class H:\n    def handle(self, data, context):\n        return [1]\n")


def test_coroutine_function_is_awaited_when_it_loads(load):
    service = load("calls = []\nasync def handle(data, context):\n    calls.append(data)\n"
                   "    return data\n")
    assert sys.modules["the_handler"].calls == [None]
    assert asyncio.get_event_loop_policy().get_event_loop().run_until_complete(
        service._entry_point([1], None)) == [1]


@pytest.mark.parametrize("source,handler,text", [
    ("x = 1\n", "the_handler.py", r"Expected only one class in custom service code or a function "
     r"entry point \[\]: the_handler has neither a function handle\(data, context\) nor"),
    (FUNCTIONS.replace("def handle", "def other"), "the_handler:wrong",
     r"Expected only one class .* a function wrong\(data, context\)"),
    (CLASS + CLASS.replace("class Handler", "class Second"), "the_handler",
     r"Expected only one class .* \['Handler', 'Second'\]"),
    ("class Handler:\n    def predict(self):\n        pass\n", "the_handler",
     r"Expect handle method in class <class 'the_handler.Handler'>"),
    (CLASS, "", "names no handler"),
])
def test_what_has_no_entry_point(load, source, handler, text):
    with pytest.raises(ValueError, match=text):
        load(source, handler)


def test_handler_that_is_nowhere(load):
    with pytest.raises(ImportError, match="nowhere"):
        load(CLASS, "nowhere.py")


def test_what_the_handler_lacks_is_named(load):
    """And not that there is no default handler of its name."""
    with pytest.raises(ImportError, match="a_package_nobody_has"):
        load("import a_package_nobody_has\n" + CLASS)


def test_envelope(load):
    service = load("def handle(data, context):\n    return data\n", envelope="json")
    assert isinstance(service._entry_point.__self__, JSONEnvelope)
    assert service._entry_point([{"body": {"instances": [1]}}], None) == ['{"predictions": [1]}']


def test_envelope_that_is_not_there(load):
    with pytest.raises(ValueError, match="body, json, kserve or kservev2"):
        load(FUNCTIONS, envelope="paper")


# ---- services ----

def test_context_of_a_service(load, tmp_path):
    pytest.importorskip("yaml")
    (tmp_path / "MAR-INF").mkdir()
    (tmp_path / "MAR-INF/MANIFEST.json").write_text(MANIFEST)
    (tmp_path / "model-config.yaml").write_text("handler:\n  size: 3\n")
    context = load(FUNCTIONS).context
    assert context.model_yaml_config == {"handler": {"size": 3}}
    assert context.manifest["model"]["modelName"] == "m"
    assert context.system_properties == {
        "model_dir": str(tmp_path), "gpu_id": None, "batch_size": 1, "server_name": "MMS",
        "server_version": "0.12.0", "limit_max_image_pixels": True}


def test_requests_as_torchserve_has_them():
    request = {"requestId": b"123", "headers": [{"name": b"x-a", "value": b"1"}], "parameters": [
        {"name": "table", "value": "a,b", "contentType": "text/csv"}]}
    headers, rows, ids = Service.retrieve_data_for_inference([request])
    assert rows == [{"table": "a,b"}] and ids == {0: "123"}
    assert headers[0].get_request_property("table") == {"content-type": "text/csv"}
    assert headers[0].get_request_property("x-a") == "1"
    with pytest.raises(ValueError, match="Received invalid inputs"):
        Service.retrieve_data_for_inference(None)


def test_names_that_handlers_import(caplog):
    assert PREDICTION_METRIC == "PredictionTime"
    error = PredictionException("no such call", 404)
    assert (error.message, error.error_code, str(error)) == ("no such call", 404,
                                                             "no such call : 404")
    assert PredictionException("x").error_code == 500
    with caplog.at_level("INFO"):
        emit_metrics(None)
        emit_metrics({"Visits": 1})
    assert caplog.messages == ["[METRICS]Visits"]


# ---- handlers of old ----

OLD = """
from ts.model_service.model_service import SingleNodeService

class Old(SingleNodeService):
    def _preprocess(self, data):
        return data[0]
    def _inference(self, data):
        return {k: v + 1 for k, v in data.items()}
"""


def test_single_node_service(load, tmp_path):
    (tmp_path / "MAR-INF").mkdir()
    (tmp_path / "MAR-INF/MANIFEST.json").write_text('{"Model": {"Signature": "signature.json"}}')
    (tmp_path / "signature.json").write_text(
        '{"input_type": "application/json", "inputs": [{"data_name": "image"}]}')
    service = load(OLD)
    assert service._entry_point([{"image": b"{'a': 1}"}], service.context) == [{"a": 2}]
    assert service._entry_point([{"body": {"b": 2}}], service.context) == [{"b": 3}]
    classes = list_classes_from_module(sys.modules["the_handler"], SingleNodeService)
    assert [c.__name__ for c in classes] == ["Old"]
    (tmp_path / "signature.json").unlink()
    with pytest.raises(ValueError, match="lacks signature.json"):
        service._entry_point.__self__.initialize(service.context)
