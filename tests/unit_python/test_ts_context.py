# SPDX-License-Identifier: Apache-2.0
"""ts.context: what handlers ask of it and tell it."""

import copy

import pytest

from ts.context import Context, RequestProcessor


class Request:
    """As the worker has them."""

    def __init__(self, uuid, **headers):
        self.uuid, self.ident, self.headers, self.read = uuid, uuid + ".1", headers, 0

    def read_headers(self):
        self.read += 1
        return self.headers


@pytest.fixture
def context():
    made = Context("net", "/models/net", {"model": {}}, 4, 1, "0.12.0", False, None, {"a": 1})
    made.begin_batch([Request("id-0", accept="x/y"), Request("id-1", accept="z")])
    return made


def test_model_and_server():
    made = Context("net", "/models/net", {"model": {}}, 4, 1, "0.12.0", False, None, {"a": 1})
    assert made.system_properties == {
        "model_dir": "/models/net", "gpu_id": 1, "batch_size": 4, "server_name": "MMS",
        "server_version": "0.12.0", "limit_max_image_pixels": False}
    assert (made.model_name, made.manifest, made.model_yaml_config) == (
        "net", {"model": {}}, {"a": 1})
    assert made.get_request_id() is None and made.stopping_criteria is None


def test_requests(context):
    assert context.request_ids == {0: "id-0.1", 1: "id-1.1"}
    assert [context.get_request_id(), context.get_request_id(1), context.get_request_id(2)] == [
        "id-0.1", "id-1.1", None]
    assert context.metrics.request_ids == {0: "id-0", 1: "id-1"}    # for lines in logs
    assert context.get_request_header(1, "accept") == "z"
    assert context.get_request_header(0, "Accept") is None
    assert context.get_all_request_header(0) == {"accept": "x/y"}


def test_headers_are_read_when_they_are_asked_for():
    request = Request("id", a="1")
    made = Context("net", "/", {}, 1, None, None)
    made.begin_batch([request])
    assert request.read == 0
    assert made.get_request_header(0, "a") == made.get_all_request_header(0)["a"] == "1"
    assert request.read == 1


def test_answers(context):
    context.set_response_status(404, "Not here", idx=1)
    context.set_response_content_type(0, "text/plain")
    context.set_response_header(0, "x-a", "1")
    assert [context.get_response_status(i) for i in (0, 1)] == [(200, None), (404, "Not here")]
    assert context.get_response_content_type(0) == "text/plain"
    assert context.get_response_content_type(1) is None
    assert context.get_response_headers(0) == {"content-type": "text/plain", "x-a": "1"}
    context.set_all_response_status(202)
    assert [context.get_response_status(i) for i in (0, 1)] == [(202, ""), (202, "")]


def test_request_processors_by_the_name_that_scripts_set():
    made = Context("net", "/", {}, 1, None, None)
    made._request_processor = [RequestProcessor({"a": "b"})]
    assert made.get_request_header(0, "a") == "b"
    assert made._request_processor is made.request_processor


def test_request_processor():
    processor = RequestProcessor({"a": "1"})
    assert processor.get_request_property("a") == "1"
    assert processor.get_request_properties() == {"a": "1"}
    assert processor.get_response_header("b") is None
    processor.add_response_property("b", "2")
    assert processor.get_response_header("b") == "2"
    assert processor.get_response_headers() == {"b": "2"}
    processor.report_status(500, "why")
    assert (processor.get_response_status_code(), processor.get_response_status_phrase()) == (
        500, "why")


def test_sequence_of_a_request(monkeypatch):
    monkeypatch.setenv("TS_REQUEST_SEQUENCE_ID", "x-session")
    made = Context("net", "/", {}, 1, None, None)
    assert (made.header_key_sequence_id, made.header_key_sequence_start,
            made.header_key_sequence_end) == (
        "x-session", "ts_request_sequence_start", "ts_request_sequence_end")
    made.begin_batch([Request("id", **{"x-session": "s7"})])
    assert made.get_sequence_id(0) == "s7"


def test_cache_stays_from_batch_to_batch(context):
    assert context.cache == {}
    context.cache["s7"] = {"turns": 1}
    context.begin_batch([Request("later")])
    beside = copy.copy(context)    # a batch of a coroutine handler
    beside.cache["s7"]["turns"] += 1
    assert context.cache == {"s7": {"turns": 2}}
    context.cache = {}             # handlers of TorchServe make their own
    assert copy.copy(context).cache is context.cache


def test_contexts_are_equal_when_all_is(context):
    assert context == copy.copy(context) and context != "context"
    other = copy.copy(context)
    other.model_name = "other"
    assert context != other
