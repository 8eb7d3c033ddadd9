# SPDX-License-Identifier: Apache-2.0
"""Continuous batching: requests join and leave a batch between the steps of the handler."""

import json
import os
import signal

import pytest

from e2e.archives import HANDLERS, make_mar
from e2e.client import Broken, encode
from e2e.gate import background
from e2e.server import assert_error, eventually

GATE = {"gate_at.py": (HANDLERS / "gate.py").read_text()}


def make_countdown(folder, handler="countdown.py", **config):
    config = {"minWorkers": 1, "maxWorkers": 1, "batchSize": 3, "continuousBatching": "true",
              **config}
    make_mar(folder, "countdown", handler,
             config="".join(f"{k}: {v}\n" for k, v in config.items()), files=GATE)


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    make_countdown(module_tmp / "countdown")
    return module_serve(store=module_tmp / "countdown")


def count(server, start, **more):
    return server.predict("countdown", json.dumps({"from": start, **more}))


def waits(server, n):
    return lambda: server.describe("countdown")[0]["jobQueueStatus"]["pendingRequests"] == n


def test_steps_are_streamed(server):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/countdown", '{"from": 3}'))
        head = raw.head()
        assert head.header("transfer-encoding") == "chunked"
        assert head.header("ts_stream_next") == "true"
        assert [raw.chunk() for _ in range(4)] == [b"2/1 ", b"1/1 ", b"0/1 ", b""]


def test_a_request_of_one_step_is_not_streamed(server):
    answer = count(server, 1)
    assert answer.text == "0/1 "
    assert answer.headers["content-length"] == "4"
    assert answer.headers["ts_stream_next"] == "false"


def test_requests_join_between_steps_up_to_the_batch_size(server, gate):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/countdown", gate.body(**{"from": 3})))
        gate.wait_entered(1)
        others = [background(count, server, 2) for _ in range(3)]
        eventually(waits(server, 1))    # two have gone to the worker, three is all it takes
        gate.open()
        raw.head()
        assert raw.chunk() == b"2/1 "
        gate.wait_entered(2)
        gate.open()
        assert raw.chunk() == b"1/3 "
        gate.wait_entered(3)
        gate.open()
        assert raw.chunk() == b"0/3 "
        assert raw.chunk() == b""
    texts = sorted(f.result().text for f in others)
    assert texts[:2] == ["1/3 0/3 ", "1/3 0/3 "] or texts[1:] == ["1/3 0/3 ", "1/3 0/3 "]


def test_many_at_once(server):
    calls = [background(count, server, n % 7 + 1) for n in range(40)]
    for n, call in enumerate(calls):
        left = [piece.split("/")[0] for piece in call.result().text.split()]
        assert left == [str(i) for i in range(n % 7, -1, -1)]


def test_a_client_that_leaves_frees_its_place(server, gate):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/countdown",
                        gate.body(**{"from": 1000000}, tag="left")))
        gate.wait_entered(1)
        gate.open()
        raw.head()
        raw.chunk()
        gate.wait_entered(2)
    eventually(lambda: server.metric("sconce_requests_cancelled_total", model_name="countdown"))
    gate.open()
    assert count(server, 1).text.startswith("0/")
    described = eventually(lambda: server.manage(
        "GET", "/models/countdown?customized=true").json()[0]["customizedMetadata"]["gone"])
    assert described == ["left"]


def test_a_step_that_fails_fails_the_requests_in_it(server):
    assert_error(count(server, 13), 503, "InternalServerException", "Prediction failed")
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/countdown", '{"from": 15}'))
        with pytest.raises(Broken):
            raw.response()
    assert count(server, 2).text == "1/1 0/1 "


def test_worker_that_dies_in_the_middle_of_a_stream(serve, tmp_path, gate):
    make_countdown(tmp_path)
    server = serve(store=tmp_path)
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/countdown", gate.body(**{"from": 5})))
        gate.wait_entered(1)
        gate.open()
        raw.head()
        raw.chunk()
        gate.wait_entered(2)
        waiting = background(count, server, 2)
        os.kill(server.worker_pids("countdown")[0], signal.SIGKILL)
        with pytest.raises(Broken):
            raw.chunk()
    # What had not begun to be answered is run by the next worker.
    assert waiting.result().text == "1/1 0/1 "


def test_large_pieces(serve, tmp_path):
    make_countdown(tmp_path, handler='''
class Blocks:
    def __init__(self):
        self.left = {}

    def handle(self, data, context):
        ids = [context.get_request_id(i) for i in range(len(data))]
        for ident, row in zip(ids, data):
            if row:
                self.left[ident] = int(bytes(row["body"]))
            self.left[ident] -= 1
        context.stopping_criteria = {
            i: lambda out, ident=ident: self.left[ident] == 0 for i, ident in enumerate(ids)}
        return [bytes([65 + self.left[ident]]) * 200000 for ident in ids]
''')
    server = serve(store=tmp_path)
    calls = [background(server.predict, "countdown", str(n)) for n in (3, 1, 5, 2)]
    for n, call in zip((3, 1, 5, 2), calls):
        expected = b"".join(bytes([65 + i]) * 200000 for i in range(n - 1, -1, -1))
        assert call.result().content == expected


def test_an_id_that_comes_again_is_another_request(serve, tmp_path):
    """A client's own id, in a retry of a gateway. As TorchServe's examples do, the handler keeps
    what it knows by request id until its own criterion says that the request is over."""
    make_countdown(tmp_path, handler='''
class Keeps:
    def __init__(self):
        self.left = {}

    def handle(self, data, context):
        ids = list(context.request_ids.values())
        for ident, row in zip(ids, data):
            if ident not in self.left:
                self.left[ident] = int(bytes(row["body"]))
            self.left[ident] -= 1
        context.stopping_criteria = [
            lambda out, ident=ident: self.left[ident] == 0 and not self.left.pop(ident)
            for ident in ids]
        return ["%d " % self.left[ident] for ident in ids]
''')
    server = serve(store=tmp_path)
    own = {"x-request-id": "mine"}
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/countdown", "1000000", own))
        assert raw.head().header("x-request-id") == "mine"
        assert raw.chunk() == b"999999 "
    eventually(lambda: server.metric("sconce_requests_cancelled_total", model_name="countdown"))

    def again():
        with server.raw() as raw:
            raw.send(encode("POST", "/predictions/countdown", "2", own))
            return raw.head().header("x-request-id") == "mine" and [raw.chunk(), raw.chunk()]

    assert eventually(again, "its id is free again") == [b"1 ", b"0 "]


def test_sequences_of_streams(serve, tmp_path):
    """With both modes the next request of a sequence may begin while the one before streams."""
    make_countdown(tmp_path, sequenceBatching="true", sequenceMaxIdleMSec=60000,
                   maxNumSequence=4, maxSequenceJobQueueSize=4, minWorkers=2, maxWorkers=2)
    server = serve(store=tmp_path)
    headers = {"ts_request_sequence_id": "s"}
    calls = [background(server.predict, "countdown", '{"from": 4}', headers=headers)
             for _ in range(4)]
    for call in calls:
        assert [p.split("/")[0] for p in call.result().text.split()] == ["3", "2", "1", "0"]
