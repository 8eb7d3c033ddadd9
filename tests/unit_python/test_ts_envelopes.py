# SPDX-License-Identifier: Apache-2.0
"""Envelopes: what a handler gets to see, and what becomes of its answer."""

import json

import pytest

from ts.context import Context, RequestProcessor
from ts.torch_handler.request_envelope.base import BaseEnvelope
from ts.torch_handler.request_envelope.body import BodyEnvelope
from ts.torch_handler.request_envelope.json import JSONEnvelope
from ts.torch_handler.request_envelope.kserve import KServeEnvelope

MODEL = {"model": {"modelName": "bert", "modelVersion": "2.0"}}


def context(**headers):
    made = Context("bert", "/", MODEL, 1, None, "x")
    made.request_ids = {0: "an-id"}
    made.request_processor = [RequestProcessor(headers)]
    return made


class Handler:
    """Remembers what it was given."""

    def __init__(self, answer=None):
        self.answer = answer

    def __call__(self, data, context):
        self.data = data
        return data if self.answer is None else self.answer


def test_body_takes_data_or_body():
    handler = Handler()
    answer = BodyEnvelope(handler).handle([{"data": b"1"}, {"body": b"2"}, {"other": 3}], None)
    assert answer == handler.data == [b"1", b"2", None]


def test_json_joins_the_instances_of_all_requests():
    handler = Handler()
    rows = [{"body": {"instances": [1, 2]}}, {"data": {"instances": [3]}}, {"instances": [4]}]
    answers = JSONEnvelope(handler).handle(rows, None)
    assert handler.data == [1, 2, 3, 4]
    assert [json.loads(a) for a in answers] == [{"predictions": [1, 2]}, {"predictions": [3]},
                                                {"predictions": [4]}]


def test_json_gives_no_request_what_belongs_to_another():
    rows = [{"body": {"instances": [1, 2]}}, {"body": {"instances": [3]}}]
    with pytest.raises(ValueError, match="2 predictions for 3 instances of 2 requests"):
        JSONEnvelope(Handler(["one", "three"])).handle(rows, None)
    # The instances of one request may well have one answer.
    assert JSONEnvelope(Handler(["sum"])).handle(rows[:1], None) == ['{"predictions": ["sum"]}']


def test_json_decodes_base64_of_instances_and_of_their_fields():
    handler = Handler([0, 0, 0])
    rows = [{"body": {"instances": [{"b64": "aGk="}, {"image": {"b64": "aGk="}, "n": 1},
                                    {"b64": "aGk=", "more": 1}]}}]
    JSONEnvelope(handler).handle(rows, None)
    assert handler.data == [b"hi", {"image": b"hi", "n": 1}, {"b64": "aGk=", "more": 1}]


@pytest.mark.parametrize("body", [{"instances": [[1], [2]]}, b'{"instances": [[1], [2]]}',
                                  bytearray(b'{"instances": [[1], [2]]}')])
def test_kserve_hands_over_the_instances_of_the_one_request(body):
    handler = Handler()
    assert KServeEnvelope(handler).handle([{"body": body}], context()) == [
        {"predictions": [[1], [2]]}]
    assert handler.data == [[1], [2]]


def test_kserve_names_explanations():
    envelope = KServeEnvelope(Handler())
    assert envelope.handle([{"data": {"instances": [1]}}], context(explain="True")) == [
        {"explanations": [1]}]


def test_nothing_is_passed_as_nothing():
    handler = Handler()
    assert KServeEnvelope(handler).handle(None, context()) is None
    assert handler.data is None


def test_an_envelope_of_ones_own():
    class Upper(BaseEnvelope):
        def parse_input(self, data):
            return [row["body"].upper() for row in data]

        def format_output(self, data):
            return [{"context": self.context, "got": data[0]}]

    assert Upper(Handler()).handle([{"body": "x"}], "the context") == [
        {"context": "the context", "got": "X"}]


class TestKServeV2:
    @pytest.fixture(autouse=True)
    def envelope(self):
        pytest.importorskip("numpy")
        from ts.torch_handler.request_envelope.kservev2 import KServev2Envelope
        self.class_ = KServev2Envelope

    def ask(self, document, answer=None, **headers):
        handler = Handler(answer)
        got = self.class_(handler).handle([{"body": document}], context(**headers))
        return handler.data, got

    def test_inputs_are_given_the_shape_they_name(self):
        tensor = {"name": "a", "shape": [2, 2], "datatype": "INT64", "data": [1, 2, 3, 4]}
        seen, _ = self.ask({"inputs": [tensor]}, [[1]])
        assert seen[0]["data"] == [[1, 2], [3, 4]] and seen[0]["name"] == "a"

    def test_of_bytes_the_first_element_is_passed(self):
        tensor = {"name": "a", "shape": [1], "datatype": "BYTES", "data": ["text", "more"]}
        seen, answers = self.ask(json.dumps({"inputs": [tensor]}).encode())
        assert seen[0]["data"] == "text" and len(answers) == 1

    def test_the_answer_names_request_model_and_inputs(self):
        tensors = [{"name": n, "shape": [1], "datatype": "FP32", "data": [1]} for n in "ab"]
        _, answers = self.ask({"id": "mine", "inputs": tensors}, [[[1, 2], [3, 4]], [0.5]])
        assert list(answers[0]) == ["id", "model_name", "model_version", "outputs"]
        assert answers == [{"id": "mine", "model_name": "bert", "model_version": "2.0", "outputs": [
            {"name": "a", "datatype": "INT64", "data": [1, 2, 3, 4], "shape": [4]},
            {"name": "b", "datatype": "FP64", "data": [0.5], "shape": [1]}]}]
        assert list(answers[0]["outputs"][0]) == ["name", "datatype", "data", "shape"]
        json.dumps(answers)

    @pytest.mark.parametrize("ident", [None, "", "  "])
    def test_without_an_id_the_request_has_the_servers(self, ident):
        tensor = {"name": "a", "shape": [1], "datatype": "BOOL", "data": [True]}
        _, answers = self.ask({"id": ident, "inputs": [tensor]}, [[True]])
        assert answers[0]["id"] == "an-id" and answers[0]["outputs"][0]["datatype"] == "BOOL"

    def test_text_is_bytes(self):
        tensor = {"name": "a", "shape": [1], "datatype": "BYTES", "data": ["x"]}
        _, answers = self.ask({"inputs": [tensor]}, ["word"])
        assert answers[0]["outputs"][0]["datatype"] == "BYTES"


def test_the_worker_puts_the_envelope_around_the_handler(front):
    f = front("def handle(data, context):\n  return data and [d['n'] for d in data]\n",
              envelope="json")
    f.run([b'{"instances": [{"n": 1}, {"n": 2}]}'], media="application/json")
    assert f.replies(1)[0].body == b'{"predictions": [1, 2]}'


def test_an_envelope_that_does_not_exist_is_told(front):
    f = front("def handle(data, context):\n  return data\n", envelope="kserve3")
    assert f.loaded_code == 500 and "kserve3" in f.loaded["message"]


def test_an_envelope_around_a_coroutine_is_refused(front):
    f = front("async def handle(data, context):\n  return data\n"
              "class H:\n  pass\n", envelope="body")
    assert f.loaded_code == 500 and "coroutine" in f.loaded["message"]
