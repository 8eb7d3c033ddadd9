# SPDX-License-Identifier: Apache-2.0
"""Around the steps of handlers: micro-batches, times, small helpers."""

import threading

import pytest

from ts.handler_utils.micro_batching import MicroBatching
from ts.handler_utils.timer import timed
from ts.handler_utils.utils import import_class, send_intermediate_predict_response
from ts.protocol import otf_message_handler
from ts.utils.packages import require
from ts.utils.timeit_decorator import timeit
from ts.utils.util import (PT2Backend, check_valid_pt2_backend, deprecated, load_label_mapping,
                           map_class_to_label)


class Metrics:
    def __init__(self):
        self.times = {}

    def add_time(self, name, value, idx=None, unit="ms"):
        self.times[name] = value


class Context:
    def __init__(self, config=None, **headers):
        self.metrics = Metrics()
        self.model_yaml_config = config
        self.headers = headers

    def get_request_header(self, idx, key):
        return self.headers.get(key)


class Handler:
    """Doubles, and notes which parts of a batch it has seen."""

    def __init__(self, size, **options):
        self.context = None
        self.seen = set()
        self.handle = MicroBatching(self, size, **options)

    def preprocess(self, data):
        self.seen.add(self.handle.get_micro_batch_idx())
        return data

    def inference(self, data):
        return [2 * x for x in data]

    def postprocess(self, data):
        if "bad" * 2 in data:
            raise KeyError("bad")
        return data

    def describe_handle(self):
        return "described"

    def explain_handle(self, prepared, data):
        return ["explained"] * len(data)

    def _is_describe(self):
        return bool(self.context.headers.get("describe"))

    def _is_explain(self):
        return bool(self.context.headers.get("explain"))


@pytest.fixture
def handler(request):
    made = Handler(**getattr(request, "param", {"size": 2}))
    yield made
    made.handle.shutdown()
    assert made.handle.thread_groups == {"preprocess": [], "inference": [], "postprocess": []}


# ---- micro-batches ----

@pytest.mark.parametrize("handler", [{"size": 1}, {"size": 8}, {"size": 3, "parallelism": {
    "inference": 4, "postprocess": 2}}], indirect=True)
@pytest.mark.parametrize("length", [1, 16, 17])
def test_micro_batches_come_back_in_order(handler, length):
    context = Context()
    assert handler.handle(list(range(length)), context) == [2 * i for i in range(length)]
    parts = -(-length // handler.handle.micro_batch_size)
    assert handler.seen == set(range(parts))
    assert handler.context is context and context.metrics.times["HandlerTime"] >= 0
    assert handler.handle.get_micro_batch_idx() is None


def test_steps_overlap(handler):
    """The second part is preprocessed while the first is in the model: else this never ends."""
    second = threading.Event()

    def preprocess(data):
        if data == [2]:
            second.set()
        return data

    def inference(data):
        assert second.wait(60)
        return data

    handler.preprocess, handler.inference = preprocess, inference
    handler.handle.micro_batch_size = 1
    assert handler.handle([1, 2], Context()) == [1, 2]


def test_what_a_step_raises_reaches_the_caller(handler):
    with pytest.raises(KeyError, match="bad"):
        handler.handle([1, 2, "bad", 3], Context())
    assert handler.handle([1, 2], Context()) == [2, 4]


def test_describe_and_explain_see_the_whole_batch(handler):
    assert handler.handle([1, 2, 3], Context(describe="True")) == ["described"]
    assert handler.handle([1, 2, 3], Context(explain="True")) == ["explained"] * 3


def test_threads_come_and_go(handler):
    batching = handler.handle

    def threads():
        return {step: len(group) for step, group in batching.thread_groups.items()}

    for wanted in ({"preprocess": 1, "inference": 2, "postprocess": 3},
                   {"preprocess": 2, "inference": 3, "postprocess": 4},
                   {"preprocess": 1, "inference": 1, "postprocess": 3}):
        batching.parallelism = wanted
        assert threads() == batching.parallelism == wanted
        assert batching([1, 2, 3], Context()) == [2, 4, 6]
    batching.parallelism = {"inference": 2}
    assert batching.parallelism == {"preprocess": 1, "inference": 2, "postprocess": 3}
    for wrong in ({"inference": 0}, {"training": 1}):
        with pytest.raises(ValueError, match="at least one thread"):
            batching.parallelism = wrong


# ---- times ----

class Timed:
    def __init__(self, context):
        self.context = context

    @timed
    def preprocess(self, data, more=0):
        """Adds."""
        return data + more


@pytest.mark.parametrize("config,measured", [
    ({"handler": {"profile": True}}, True), ({"handler": {"profile": False}}, False),
    ({"handler": {}}, False), ({"handler": None}, False), ({}, False), (None, False)])
def test_steps_are_timed_where_the_model_asks_for_it(config, measured):
    timed_handler = Timed(Context(config))
    assert timed_handler.preprocess(1, more=2) == 3
    assert list(timed_handler.context.metrics.times) == ["ts_handler_preprocess"] * measured
    assert timed_handler.preprocess.__doc__ == "Adds."


def test_without_a_context_nothing_is_timed():
    assert Timed(None).preprocess(1) == 1


def test_timeit(capsys):
    assert timeit(lambda x: x + 1)(1) == 2
    assert "took a total of" in capsys.readouterr().out


# ---- helpers ----

def test_import_class():
    assert import_class("collections.abc.Mapping").__name__ == "Mapping"
    assert import_class("abc.Mapping", "collections").__name__ == "Mapping"
    assert import_class("OrderedDict", module_prefix="collections").__name__ == "OrderedDict"
    for wrong in (("",), (None,), ("OrderedDict",), ("collections.Nothing",)):
        with pytest.raises(ImportError):
            import_class(*wrong)


def test_streaming_without_a_server():
    assert (otf_message_handler.send_intermediate_predict_response
            is send_intermediate_predict_response)
    with pytest.raises(RuntimeError, match="no server"):
        send_intermediate_predict_response(["x"], {0: "id"}, "", 200, Context())


def test_of_the_ranks_only_the_first_streams(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert send_intermediate_predict_response(["x"], {0: "id"}, "", 200, Context()) is None


def test_deprecated():
    @deprecated(version=1.0, replacement="other")
    def old():
        return 7

    with pytest.warns(PendingDeprecationWarning, match="old .*1.0.* other") as caught:
        assert (old(), old()) == (7, 7)
    assert len(caught) == 2


def test_a_package_that_is_not_there_is_named():
    assert require("json", "a test") is __import__("json")
    with pytest.raises(ImportError, match="a test needs the package a_package_nobody_has, .*"
                                          "requirements.txt") as failure:
        require("a_package_nobody_has.sub", "a test")
    assert failure.value.name == "a_package_nobody_has"


def test_backends_of_torch_compile(caplog):
    assert all(check_valid_pt2_backend(backend.value) for backend in PT2Backend)
    assert not check_valid_pt2_backend("magic") and "magic is not a supported" in caplog.text


# ---- labels ----

@pytest.mark.parametrize("text,mapping", [
    ('{"0": "cat", "1": "dog"}', {"0": "cat", "1": "dog"}),
    ('{"0": ["n01", "cat"]}', {"0": "cat"}),
    ('{"object_type_names": ["cat", "dog"]}', {"0": "cat", "1": "dog"}),
])
def test_label_mapping(tmp_path, text, mapping):
    (tmp_path / "index_to_name.json").write_text(text)
    assert load_label_mapping(str(tmp_path / "index_to_name.json")) == mapping


@pytest.mark.parametrize("text", ['["cat"]', '{"0": 1}', '{"0": [1]}'])
def test_label_mapping_that_is_none(tmp_path, text):
    (tmp_path / "index_to_name.json").write_text(text)
    with pytest.raises(Exception, match="index->name (JSON )?mapping"):
        load_label_mapping(str(tmp_path / "index_to_name.json"))


def test_no_label_mapping(tmp_path, caplog):
    assert load_label_mapping(str(tmp_path / "index_to_name.json")) is None
    assert "index_to_name.json' is missing" in caplog.text


def test_labels_of_classes():
    assert map_class_to_label([[0.5, 0.25]]) == [{"0": 0.5, "1": 0.25}]
    assert map_class_to_label([[0.5, 0.25]], {"0": "cat", "1": "dog"}) == [
        {"cat": 0.5, "dog": 0.25}]
    found = map_class_to_label([[0.5], [0.1]], {"0": "cat", "7": "dog"}, [[7], [0]])
    assert found == [{"dog": 0.5}, {"cat": 0.1}]
    with pytest.raises(Exception, match="to list"):
        map_class_to_label((0.5,))
    with pytest.raises(Exception, match="Mapping must be a dict"):
        map_class_to_label([[0.5]], ["cat"])
