# SPDX-License-Identifier: Apache-2.0
"""Sequence batching: requests that share an id, their state in one worker."""

import os
import signal

import pytest

from e2e.archives import HANDLERS, make_mar
from e2e.client import encode
from e2e.gate import Gate, background
from e2e.server import assert_error, eventually

NAMES = {"seq": "ts_request_sequence_id", "start": "ts_request_sequence_start",
         "end": "ts_request_sequence_end"}
REFUSED = ('Model "ledger" has no worker to serve inference request. Please use scale workers API '
           'to add workers. If this is a sequence inference, please check if it is closed, or '
           'expired; or exceeds maxSequenceJobQueueSize')


def make_ledger(folder, **config):
    """An archive whose sequences end after a minute without requests, unless said otherwise."""
    config = {"minWorkers": 1, "maxWorkers": 1, "batchSize": 4, "sequenceBatching": "true",
              "sequenceMaxIdleMSec": 60000, "maxNumSequence": 4, "maxSequenceJobQueueSize": 10,
              **config}
    make_mar(folder, "ledger", "ledger.py",
             config="".join(f"{k}: {v}\n" for k, v in config.items()),
             files={"gate_at.py": (HANDLERS / "gate.py").read_text()})


def add(server, number, **headers):
    """Sends a number: seq="id", start=True, end=True."""
    sent = {NAMES[k]: "true" if v is True else v for k, v in headers.items() if v}
    body = number if isinstance(number, str) else str(number)
    return server.predict("ledger", body, headers=sent)


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    make_ledger(module_tmp / "ledgers", minWorkers=2, maxWorkers=2)
    return module_serve(store=module_tmp / "ledgers")


def test_a_sequence_keeps_its_state_and_its_worker(server):
    answers = [add(server, n, seq="a", start=n == 1, end=n == 4) for n in (1, 2, 3, 4)]
    assert [a.json()["sum"] for a in answers] == [1, 3, 6, 10]
    assert len({a.json()["pid"] for a in answers}) == 1
    assert {a.headers["ts_request_sequence_id"] for a in answers} == {"a"}


def test_sequences_are_spread_over_the_workers(server):
    pids = {add(server, 1, seq=name, start=True).json()["pid"] for name in ("b", "c")}
    assert pids == set(server.worker_pids("ledger"))
    for name in ("b", "c"):
        add(server, 1, seq=name, end=True)


def test_requests_of_a_sequence_run_in_order_one_at_a_time(server):
    add(server, 0, seq="d", start=True)
    calls = [background(add, server, 1, seq="d") for _ in range(8)]
    answers = [f.result().json() for f in calls]
    assert sorted(a["sum"] for a in answers) == list(range(1, 9))
    assert len({a["pid"] for a in answers}) == 1
    add(server, 0, seq="d", end=True)


def test_without_an_id_a_sequence_begins(server):
    answer = add(server, 5)
    ident = answer.headers["ts_request_sequence_id"]
    assert ident == "ts-seq-" + answer.headers["x-request-id"]
    assert add(server, 6, seq=ident, end=True).json()["sum"] == 11


def test_sequences_share_batches(serve, tmp_path, gate):
    make_ledger(tmp_path)
    server = serve(store=tmp_path)
    first = background(add, server, gate.body(add=0), seq="gate", start=True)
    gate.wait_entered()
    calls = [background(add, server, 1, seq=name, start=True) for name in "abc"]
    eventually(lambda: server.describe("ledger")[0]["jobQueueStatus"]["pendingRequests"] == 3)
    gate.open()
    assert first.result().json()["rows"] == 1
    assert [f.result().json()["rows"] for f in calls] == [3, 3, 3]


def test_more_sequences_than_allowed_are_refused_until_one_ends(serve, tmp_path):
    make_ledger(tmp_path, batchSize=1, maxNumSequence=2)
    server = serve(store=tmp_path)
    for name in "ab":
        assert add(server, 1, seq=name, start=True).status_code == 200
    assert_error(add(server, 1, seq="c", start=True), 503, "ServiceUnavailableException", REFUSED)
    add(server, 1, seq="a", end=True)
    assert add(server, 1, seq="c", start=True).json()["sum"] == 1


def test_more_waiting_requests_than_allowed_are_refused(serve, tmp_path, gate):
    make_ledger(tmp_path, maxSequenceJobQueueSize=1)
    server = serve(store=tmp_path)
    first = background(add, server, gate.body(add=1), seq="a", start=True)
    gate.wait_entered()
    second = background(add, server, 2, seq="a")
    eventually(lambda: server.describe("ledger")[0]["jobQueueStatus"]["pendingRequests"] == 1)
    assert add(server, 3, seq="a").status_code == 503
    gate.open()
    assert (first.result().json()["sum"], second.result().json()["sum"]) == (1, 3)


def test_an_idle_sequence_ends(serve, tmp_path):
    make_ledger(tmp_path, sequenceMaxIdleMSec=50, batchSize=1, maxNumSequence=1)
    server = serve(store=tmp_path)
    add(server, 1, seq="a", start=True)
    # There is room for one sequence: b can begin when a is over, of which the handler is told.
    answer = eventually(lambda: (lambda r: r.status_code == 200 and r)(
        add(server, 1, seq="b", start=True)))
    assert "a" in answer.json()["over"]


def test_a_sequence_ends_when_its_time_is_over(serve, tmp_path):
    make_ledger(tmp_path, sequenceTimeoutMSec=300)
    server = serve(store=tmp_path)
    add(server, 1, seq="a", start=True)
    eventually(lambda: "a" in add(server, 1, seq="watch", start=True).json()["over"])


@pytest.mark.parametrize("key", ["sequenceMaxIdleMSec", "sequenceTimeoutMSec"])
def test_the_state_of_an_expired_sequence_is_out_of_reach(serve, tmp_path, key):
    make_ledger(tmp_path, **{key: 100})
    server = serve(store=tmp_path)
    add(server, 1, seq="a", start=True)
    eventually(lambda: "a" in add(server, 1, seq="watch", start=True).json()["over"])
    for _ in range(2):
        assert_error(add(server, 1, seq="a"), 503, "ServiceUnavailableException", REFUSED)
    assert add(server, 5, seq="a", start=True).json()["sum"] == 5
    assert add(server, 1, seq="never seen").json()["sum"] == 1, "as TorchServe has it"


def test_the_handler_ends_a_sequence(serve, tmp_path):
    make_ledger(tmp_path, batchSize=1, maxNumSequence=1)
    server = serve(store=tmp_path)
    add(server, 99, seq="a", start=True)
    assert add(server, 1, seq="b", start=True).json()["over"] == ["a"]


def test_without_an_idle_time_there_are_no_sequences(serve, tmp_path):
    make_ledger(tmp_path, sequenceMaxIdleMSec=0)
    assert_error(add(serve(store=tmp_path), 1, seq="a", start=True), 503,
                 "ServiceUnavailableException", REFUSED)


def test_names_of_the_headers_can_be_set(serve, tmp_path):
    make_ledger(tmp_path)
    server = serve(store=tmp_path, ts_header_key_sequence_id="X-Seq",
                   ts_header_key_sequence_start="X-Seq-Start")
    answer = server.predict("ledger", "7", headers={"x-seq": "a", "X-Seq-Start": "true"})
    # TorchServe's handlers look headers up by their exact name.
    assert answer.status_code == 200
    answer = server.predict("ledger", "1", headers={"X-Seq": "a"})
    assert answer.headers["X-Seq"] == "a"


def test_killed_worker_takes_only_its_sequences_along(serve, tmp_path):
    make_ledger(tmp_path, minWorkers=2, maxWorkers=2)
    gate = Gate(tmp_path)
    server = serve(store=tmp_path)
    pids = {name: add(server, 1, seq=name, start=True).json()["pid"] for name in "ab"}
    running = background(add, server, gate.body(add=1), seq="a")
    gate.wait_entered()
    waiting = background(add, server, 1, seq="a")
    eventually(lambda: server.describe("ledger")[0]["jobQueueStatus"]["pendingRequests"] == 1)
    os.kill(pids["a"], signal.SIGKILL)
    # Their state is gone: run again elsewhere, they would be answered with a wrong sum.
    assert running.result().status_code == 507
    assert waiting.result().status_code == 507
    assert len(gate.entries()) == 1
    assert add(server, 1, seq="b").json()["sum"] == 2
    assert add(server, 1, seq="a").status_code == 503
    answer = eventually(lambda: (lambda r: r.status_code == 200 and r)(
        add(server, 5, seq="a", start=True)))
    assert answer.json()["sum"] == 5


def test_requests_that_are_lost_together(serve, tmp_path, gate):
    """The answer to the first closes the connection, on which the others are waiting, too."""
    make_ledger(tmp_path, batchSize=1)
    server = serve(store=tmp_path)
    pid = add(server, 1, seq="a", start=True).json()["pid"]
    running = background(add, server, gate.body(add=1), seq="a")
    gate.wait_entered()
    with server.raw() as raw:
        raw.send(b"".join(encode("POST", "/predictions/ledger", b"1",
                                 headers={NAMES["seq"]: "a", "Connection": last})
                          for last in ("close", "keep-alive", "keep-alive")))
        eventually(lambda: server.metric("sconce_queue_depth", model_name="ledger") >= 1)
        os.kill(pid, signal.SIGKILL)
        assert raw.response().status == 507
    assert running.result().status_code == 507
    eventually(lambda: add(server, 5, seq="a", start=True).status_code == 200)


def test_a_start_whose_client_leaves_has_started_nothing(serve, tmp_path, gate):
    make_ledger(tmp_path, batchSize=1)
    server = serve(store=tmp_path)
    os.kill(add(server, 1, seq="a", start=True).json()["pid"], signal.SIGKILL)
    eventually(lambda: add(server, 1, seq="a").status_code == 503)
    running = background(add, server, gate.body(add=1), seq="b", start=True)
    gate.wait_entered()
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/ledger", b"1",
                        headers={NAMES["seq"]: "a", NAMES["start"]: "true"}))
        eventually(lambda: server.metric("sconce_queue_depth", model_name="ledger") == 1)
        behind = background(add, server, 1, seq="a")
        eventually(lambda: server.metric("sconce_queue_depth", model_name="ledger") == 2)
    assert_error(behind.result(), 503, "InternalServerException",
                 "The request that was to start its sequence anew has not run.")
    assert add(server, 1, seq="a").status_code == 503
    gate.open()
    assert running.result().status_code == 200
    assert add(server, 5, seq="a", start=True).json()["sum"] == 5


def test_scaled_down_worker_leaves_its_sequences_to_be_started_anew(serve, tmp_path):
    make_ledger(tmp_path, minWorkers=2, maxWorkers=2)
    server = serve(store=tmp_path)
    for name in "ab":
        add(server, 1, seq=name, start=True)
    assert server.manage("PUT", "/models/ledger?min_worker=1&synchronous=true").status_code == 200
    codes = sorted(add(server, 1, seq=name).status_code for name in "ab")
    assert codes == [200, 503]
    for name in "ab":
        assert add(server, 3, seq=name, start=True).json()["sum"] == 3


def test_a_sequence_ends_with_the_worker_that_runs_its_first_request(serve, tmp_path, gate):
    make_ledger(tmp_path)
    server = serve(store=tmp_path)
    running = background(add, server, gate.body(add=5), seq="a", start=True)
    gate.wait_entered()
    waiting = background(add, server, 1, seq="a")
    eventually(lambda: server.describe("ledger")[0]["jobQueueStatus"]["pendingRequests"] == 1)
    assert server.manage("PUT", "/models/ledger?min_worker=0&max_worker=0").status_code == 202
    assert waiting.result().status_code == 503
    assert server.manage("PUT", "/models/ledger?min_worker=1&synchronous=true").status_code == 200
    # Its state is still to come, at a place that nobody is sent to any more.
    assert add(server, 1, seq="a").status_code == 503
    gate.open()
    assert running.result().json()["sum"] == 5
    assert add(server, 1, seq="a").status_code == 503
    assert add(server, 3, seq="a", start=True).json()["sum"] == 3
